"""What GitHub answered to each question, as one job hands it to the next, and as people read it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from ratchet import files
from ratchet.errors import RatchetError

FILE = "answers.json"
LARGEST = 1_000_000
"""Bytes that it may have."""

Outcome = Literal["as we think", "otherwise", "could not ask"]


class Answer(BaseModel):
    """What came of one question.

    Attributes:
        id: Of the question.
        thought: What the loop takes for granted.
        outcome: Whether it is so.
        found: What GitHub did; or why it could not be asked.
        follows: What does not work when it is otherwise.
        todo: What to do then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    thought: str
    outcome: Outcome
    found: str
    follows: str
    todo: str


class Answers(BaseModel):
    """What a run of the self-test came to.

    Attributes:
        repository: "owner/name".
        run: The run of selftest.yml.
        answers: In the order in which they were asked.
        pull_request: Number of the one that was opened; None when none could be.
        commit: The one that bears statuses; None when there is none.
        left: What is still there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    repository: str
    run: int
    answers: tuple[Answer, ...] = ()
    pull_request: int | None = None
    commit: str | None = None
    left: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether nothing is otherwise; what could not be asked does not count."""
        return all(answer.outcome != "otherwise" for answer in self.answers)

    def write(self, folder: Path) -> None:
        """Write `answers.json`."""
        files.write_json(folder / FILE, self.model_dump(mode="json"))


def read(path: Path) -> Answers:
    """Read `answers.json`.

    Raises:
        RatchetError: It is none, or too large to be one.
    """
    content = files.read_bytes(path)
    if content is None:
        raise RatchetError(f"{path}: is not there\n`ratchet selftest ask` writes it")
    if len(content) > LARGEST:
        raise RatchetError(f"{path}: has more than {LARGEST / 1e6:g} MB, which no answers have")
    try:
        return Answers.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RatchetError(
            f"{path}: {where}: {first['msg']}\nit was not written by this version of the loop"
        ) from error


OUTCOMES = get_args(Outcome)


def told(found: Answers) -> list[str]:
    """The answers as lines of text: under what is otherwise, what we think, what follows and what to do."""
    lines = []
    for answer in found.answers:
        lines.append(f"{answer.outcome:<13}  {answer.id}: {answer.found}")
        if answer.outcome == "otherwise":
            more = f"we think that {answer.thought}", answer.follows, answer.todo
            lines += [f"{'':<13}  {line}" for line in more]
    lines += [f"{'left':<13}  {what}" for what in found.left]
    return [*lines, _counted(found)]


def summary(found: Answers) -> str:
    """The answers as a page of Markdown."""
    from ratchet.report.document import Code, Column, Document, Items, Paragraph, Section, Table
    from ratchet.report.markdown import render

    rows = tuple((answer.outcome, Code(answer.id), answer.thought, answer.found) for answer in found.answers)
    columns = tuple(map(Column, ("Outcome", "Question", "We think", "GitHub")))
    other = [answer for answer in found.answers if answer.outcome == "otherwise"]
    todo = tuple((Code(answer.id), f": {answer.follows} {answer.todo}") for answer in other)
    sections = [Section(_counted(found), (Table(columns, rows),))]
    if todo:
        sections.append(Section("What follows, and what to do", (Items(todo),)))
    sections.append(Section("What is left", (Items(found.left),) if found.left else (Paragraph("Nothing."),)))
    return render(Document("Self-test", tuple(sections)))


def _counted(found: Answers) -> str:
    outcomes = [answer.outcome for answer in found.answers]
    return ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in OUTCOMES)

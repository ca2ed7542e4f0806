"""How answers are told, and handed from job to job."""

from __future__ import annotations

from pathlib import Path

import pytest

from ratchet.errors import RatchetError
from ratchet.selftest import answers
from ratchet.selftest.answers import Answer, Answers

FOUND = Answers(
    repository="ada/flights",
    run=7,
    answers=(
        Answer(
            id="commit-down",
            thought="commits can be read",
            outcome="as we think",
            found="223 files",
            follows="A release stops.",
            todo="Report it.",
        ),
        Answer(
            id="requests-left",
            thought="there are 1,000 requests an hour",
            outcome="otherwise",
            found="60 an hour",
            follows="Jobs fail for want of requests.",
            todo="Run them again | later.",
        ),
        Answer(
            id="gates-count",
            thought="gates count",
            outcome="could not ask",
            found="no ruleset asks for them",
            follows="",
            todo="",
        ),
    ),
    left=("pull request 1, closed",),
)


def test_as_text_only_what_is_otherwise_is_explained() -> None:
    """One line for each answer, three more under what is otherwise, then what is left and the counts."""
    assert answers.told(FOUND) == [
        "as we think    commit-down: 223 files",
        "otherwise      requests-left: 60 an hour",
        "               we think that there are 1,000 requests an hour",
        "               Jobs fail for want of requests.",
        "               Run them again | later.",
        "could not ask  gates-count: no ruleset asks for them",
        "left           pull request 1, closed",
        "1 as we think, 1 otherwise, 1 could not ask",
    ]


def test_as_a_page_everything_stands_in_a_table() -> None:
    """What follows from what is otherwise stands under it; text from elsewhere is escaped."""
    page = answers.summary(FOUND)

    assert "1 as we think, 1 otherwise, 1 could not ask" in page
    assert "| as we think | `commit-down` | commits can be read | 223 files |" in page
    assert "- `requests-left`: Jobs fail for want of requests. Run them again \\| later." in page
    assert "- pull request 1, closed" in page


def test_what_could_not_be_asked_is_no_failure() -> None:
    """On the first day there are no rulesets yet."""
    asked = [answer for answer in FOUND.answers if answer.outcome != "otherwise"]

    assert FOUND.model_copy(update={"answers": tuple(asked)}).well
    assert not FOUND.well


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    """From one job to the next."""
    FOUND.write(tmp_path)

    assert answers.read(tmp_path / answers.FILE) == FOUND


def test_where_there_are_none_it_is_said_who_writes_them(tmp_path: Path) -> None:
    """And a file that is too large for answers is not read."""
    with pytest.raises(RatchetError, match=r"answers\.json: is not there\n`ratchet selftest ask` writes it"):
        answers.read(tmp_path / answers.FILE)

    (tmp_path / answers.FILE).write_bytes(b" " * (answers.LARGEST + 1))
    with pytest.raises(RatchetError, match="has more than 1 MB"):
        answers.read(tmp_path / answers.FILE)

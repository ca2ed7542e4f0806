"""The two jobs of selftest.yml: one asks with the rights of the loop, the other with the least that writes comments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ratchet.selftest import comments, questions
from ratchet.selftest.answers import Answer, Answers
from ratchet.selftest.questions import Question
from ratchet.selftest.scene import Scene, Wait, clean

if TYPE_CHECKING:
    from ratchet.forge import Forge

QUESTIONS: Mapping[str, Question] = {**questions.ASKED, **comments.ASKED}
"""All of them by their names, in the order in which they are asked."""


def ask(forge: Forge, run: int, wait: Wait) -> Answers:
    """Ask what the first job can, and take away all that was made for it and can be taken away.

    Args:
        forge: With a token that may write to `actions`, `contents`, `pull-requests` and `statuses`.
        run: Of selftest.yml.
        wait: How long GitHub has for what it does after it has answered.
    """
    scene = Scene(forge, run, wait)
    clean(forge, wait, run)  # what was cut off before
    try:
        found = _asked(questions.ASKED.values(), scene)
    finally:
        failed = clean(forge, wait, run)
    sha = scene.second or scene.first
    left = [
        *([f"pull request {scene.number}, closed"] if scene.number else []),
        *([f"statuses of commit {sha[:10]}, which no branch holds"] if sha else []),
        *(f"could not be removed: {what}" for what in failed),
    ]
    return Answers(
        repository=forge.repository,
        run=run,
        answers=found,
        pull_request=scene.number,
        commit=sha,
        left=tuple(left),
    )


def comment(forge: Forge, run: int, wait: Wait, before: Answers | None) -> Answers:
    """Ask what the second job can, and put it to the answers of the first.

    Args:
        forge: With a token that may write to `pull-requests` alone.
        run: Of selftest.yml.
        wait: As in `ask`.
        before: Those answers; None when the first job has not come to any.
    """
    if before is None:
        silent = tuple(
            each.answer("could not ask", "the job `ask` has not come to an end") for each in QUESTIONS.values()
        )
        return Answers(repository=forge.repository, run=run, answers=silent)
    scene = Scene(forge, run, wait, second=before.commit, number=before.pull_request)
    return before.model_copy(update={"answers": before.answers + _asked(comments.ASKED.values(), scene)})


def _asked(among: Iterable[Question], scene: Scene) -> tuple[Answer, ...]:
    return tuple(each.answered(scene) for each in among)

"""The self-test from a desk: what keeps it from being run, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selftest_example import NAME, WAIT, World, world

from ratchet.errors import RatchetError
from ratchet.selftest import live
from ratchet.selftest.answers import FILE, Answers
from ratchet.selftest.scene import WORKFLOW
from rehearsal.forge import Event, Run


@pytest.fixture
def place(tmp_path: Path) -> Iterator[World]:
    """A repository whose workflows nobody executes."""
    with world(tmp_path, executes=False) as made:
        yield made


def ends(place: World, conclusion: str, leave: Callable[[Run], object] = lambda _: None) -> None:
    """Whatever is dispatched ends so, and leaves something."""

    def hear(event: Event) -> None:
        if event.name == "workflow_dispatch":
            run = place.run(WORKFLOW, event="workflow_dispatch")
            leave(run)
            place.server.close_run(run, conclusion)

    place.server.listen(hear)


def test_its_answers_are_read_from_the_artifact(place: World, tmp_path: Path) -> None:
    """Also of a run that failed, because something is otherwise."""
    made = Answers(repository=NAME, run=7, left=("a pull request",))
    made.write(tmp_path / "made")
    ends(place, "failure", lambda run: place.server.store_artifact(run, "selftest", tmp_path / "made"))

    assert live.ask(place.client(), WAIT) == made


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "selftest.yml ended as failure, without answers\nits log says why: "),
        ("{}", "answers.json: repository: Field required"),
        ("[", "answers.json: the file: Invalid JSON"),
        ('{"repository": "ada/flights", "run": 1, "mood": "good"}', "answers.json: mood: Extra inputs"),
    ],
)
def test_what_are_no_answers_is_said(place: World, tmp_path: Path, text: str | None, said: str) -> None:
    """With the file and the field, or with where the log is."""

    def leave(run: Run) -> None:
        if text is not None:
            (tmp_path / "made").mkdir()
            (tmp_path / "made" / FILE).write_text(text)
            place.server.store_artifact(run, "selftest", tmp_path / "made")

    ends(place, "failure", leave)

    with pytest.raises(RatchetError) as error:
        live.ask(place.client(), WAIT)

    assert said in str(error.value)


def test_an_artifact_without_answers_is_said(place: World) -> None:
    """It is not the self-test's."""
    ends(place, "success", lambda run: place.server.store_artifact(run, "selftest", Path("params.yaml")))

    with pytest.raises(RatchetError, match=r"its artifact selftest holds no answers\.json"):
        live.ask(place.client(), WAIT)


def test_a_run_that_does_not_end_is_not_waited_for_without_end(place: World) -> None:
    """Runners may be busy, or Actions may be switched off for the workflow."""
    with pytest.raises(RatchetError, match=r"selftest\.yml has not ended after 0 s\nsee .*/actions/workflows/selftest"):
        live.ask(place.client(), replace(WAIT, seconds=0))


def test_a_repository_without_the_workflow_is_said(tmp_path: Path) -> None:
    """As one that was made before there was a self-test."""
    with (
        world(tmp_path, without=WORKFLOW, executes=False) as place,
        pytest.raises(RatchetError, match=r"has no \.github/workflows/selftest\.yml on main"),
    ):
        live.ask(place.client(), WAIT)

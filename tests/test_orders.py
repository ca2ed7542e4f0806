"""No order of events leaves a gate pending or wrong: every one is tried, also those that cross within a handler."""

from __future__ import annotations

import pytest

from orders_example import BOT, LOCKED, PROPOSED, GitHub, Life, Phase, ends
from ratchet import settle
from settle_example import CI, REPORT

Phases = tuple[Phase, ...]
BEGUN: Phases = ("in_progress", "success")
WORLDS: dict[str, Phases] = {"held": ("held",), "none": (), "failed": ("void",)}


def proposed(report: Phases, ci: Phases, actor: str = "ada", event: str = "pull_request", first: int = 1) -> list[Life]:
    """Runs of the commit that is proposed."""
    return [Life(first, REPORT, PROPOSED, actor, event, report), Life(first + 1, CI, PROPOSED, actor, event, ci)]


def of_lock(report: Phases, ci: Phases, actor: str = BOT) -> list[Life]:
    """Runs of the commit that brings the lock."""
    return [
        Life(8, REPORT, LOCKED, actor, "pull_request", report),
        Life(9, CI, LOCKED, actor, "pull_request", ci),
    ]


def gates(start: GitHub, sha: str) -> set[tuple[str | None, str | None]]:
    """How `model-gate` and `ci-gate` of a commit may end."""
    found = [end.gates(sha) for end in ends(start)]
    assert len(found) > 0
    return {(end.get("model-gate"), end.get("ci-gate")) for end in found}


@pytest.mark.parametrize(
    ("world", "ci"), [("held", "success"), ("none", "success"), ("none", "failure"), ("failed", "failure")]
)
def test_the_commit_with_the_lock_has_what_its_parent_has(world: str, ci: Phase) -> None:
    """Its own runs are held, are none, or fail without a job; report.yml or ci.yml is slower; events cross."""
    start = GitHub(proposed(BEGUN, ("in_progress", ci)), of_lock(WORLDS[world], WORLDS[world]))

    assert gates(start, LOCKED) == {("success", ci)}


@pytest.mark.parametrize(("own", "state"), [("success", "success"), ("failure", "failure"), ("void", "success")])
def test_a_run_of_the_commit_with_the_lock_that_was_approved_speaks_for_itself(own: Phase, state: str) -> None:
    """It replaces what was carried over, unless it ends without having begun a job."""
    approved: Phases = ("held", "in_progress", own) if own != "void" else ("held", "void")
    start = GitHub(proposed(BEGUN, BEGUN), of_lock(("held",), approved), crosses=False)

    assert gates(start, LOCKED) == {("success", state)}


def test_both_runs_of_the_commit_with_the_lock_may_be_approved() -> None:
    """The model is judged there once more."""
    begun: Phases = ("held", "in_progress", "success")
    start = GitHub(proposed(BEGUN, BEGUN), of_lock(begun, begun), crosses=False)

    assert gates(start, LOCKED) == {("success", "success")}


@pytest.mark.parametrize(("held", "state"), [(("held",), "pending"), (("held", "in_progress", "success"), "success")])
def test_what_a_first_time_author_proposes_waits_until_it_is_approved(held: Phases, state: str) -> None:
    """The gates say so, and then what comes of it."""
    start = GitHub(proposed(held, held), of_lock(("held",), ("held",)), crosses=False)

    assert gates(start, PROPOSED if state == "pending" else LOCKED) == {(state, state)}


@pytest.mark.parametrize("beside", [("held",), ("void",), ("held", "in_progress", "failure")])
def test_what_a_bot_proposes_is_judged_by_its_dispatched_runs(beside: Phases) -> None:
    """What its pull request sets off besides waits, fails without a job, or is older: the newest that began counts."""
    _, ci = proposed((), beside, BOT)
    dispatched = proposed(BEGUN, BEGUN, BOT, "workflow_dispatch", first=3)

    assert gates(GitHub([ci, *dispatched], crosses=False), LOCKED) == {("success", "success")}


def test_a_lock_that_a_person_pushed_has_tests_of_its_own() -> None:
    """Those of its parent, which may end later, do not turn it green."""
    start = GitHub(
        [*proposed(BEGUN, BEGUN), *of_lock(BEGUN, ("in_progress", "failure"), "ada")], head=LOCKED, crosses=False
    )

    assert gates(start, LOCKED) == {("success", "failure")}


@pytest.mark.parametrize("path", [REPORT, CI])
def test_a_second_run_that_is_cancelled_without_a_job_leaves_the_gate_to_the_first(path: str) -> None:
    """A reopened pull request's, seen at work: what the first one said stands again, or it has to run again."""
    first, second = Life(1, path, PROPOSED, "ada", "pull_request", BEGUN), ("in_progress", "gone")
    start = GitHub([first, Life(3, path, PROPOSED, "ada", "pull_request", second)])

    found = {(end.head, end.gates(end.head).get(settle.WORKFLOWS[path])) for end in ends(start)}

    assert found == ({(PROPOSED, "success")} if path == CI else {(LOCKED, "success"), (PROPOSED, "error")})


def test_an_approved_run_of_the_commit_with_the_lock_may_be_cancelled_without_a_job() -> None:
    """The verdict that was carried over stands again."""
    approved: Phases = ("held", "in_progress", "gone")
    start = GitHub(proposed(BEGUN, BEGUN), of_lock(approved, ("held",)), crosses=False)

    assert gates(start, LOCKED) == {("success", "success")}


def test_a_run_that_is_at_work_has_a_say_although_github_lists_it_as_queued() -> None:
    """While one of its jobs waits: a person's commit with the lock has tests of its own then, too."""
    lives = [*proposed(BEGUN, BEGUN), Life(9, CI, LOCKED, "ada", "pull_request", ("queued",))]
    start = GitHub(lives, head=LOCKED, crosses=False)

    assert {end.gates(LOCKED)["ci-gate"] for end in ends(start)} == {"pending"}

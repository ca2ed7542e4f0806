"""What the loop leaves alone: the self-test's own pull requests, and nothing else by that name."""

from __future__ import annotations

from pathlib import Path

import pytest

from forge_example import Desk, desk
from ratchet import judge
from ratchet.forge import BOT, Pull
from ratchet.release import candidate
from ratchet.selftest.branch import PREFIX, is_selftest
from rehearsal.forge import Forge as Server
from settle_example import CI, REPORT, Place


def pull(**fields: str) -> Pull:
    """A pull request of the self-test, but for some fields."""
    given = {"author": BOT, "head_repository": "ada/flights", "head_branch": f"{PREFIX}12", **fields}
    return Pull(
        number=1,
        title="self-test",
        body="",
        state="open",
        merged=False,
        head_sha="a" * 40,
        base_repository="ada/flights",
        base_branch="main",
        base_sha="b" * 40,
        merge_sha=None,
        url="",
        **given,
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"head_branch": "ratchet-selftest"}, False),
        ({"head_branch": f"mine/{PREFIX}12"}, False),
        ({"head_repository": "eve/flights"}, False),
        ({"author": "ada"}, False),
        ({"author": "github-actions"}, False),
    ],
)
def test_it_is_known_by_name_repository_and_author(fields: dict[str, str], expected: bool) -> None:
    """A name alone can be anybody's."""
    assert is_selftest(pull(**fields)) is expected


def proposed(made: Desk, *, by_bot: bool) -> Place:
    """A pull request from a branch of that name."""
    branch = f"{PREFIX}12"
    made.commit(branch, {"params.yaml": "rate: 1\n"})
    with made.server.changing():
        made.server.repository(made.name).settings.actions_may_open_pulls = True
    author = made.job(contents="read", pull_requests="write") if by_bot else made.client()
    number = author.create_pull("self-test", branch, "main").number
    return Place(made, made.client(tries=2), made.server.pull(made.name, number))


@pytest.mark.parametrize(("by_bot", "states"), [(True, {}), (False, {"ci-gate": "success"})])
def test_no_gate_of_it_is_ever_set(forge: Server, by_bot: bool, states: dict[str, str]) -> None:
    """Its runs are nobody's; those of a person's branch of that name set their gate."""
    place = proposed(desk(forge), by_bot=by_bot)

    place.settle(place.ended(CI)[1])

    assert place.states(place.head) == states


def test_a_run_of_it_that_is_gone_is_not_judged(forge: Server, tmp_path: Path) -> None:
    """The self-test deletes the runs that came of it, and verdict.yml may begin later."""
    place = proposed(desk(forge), by_bot=True)
    run, _ = place.ended(REPORT, "failure")
    place.forge.delete_run(run.id)

    assert judge.judge(place.forge, run.id, 1, tmp_path) is None


@pytest.mark.parametrize(("by_bot", "expected"), [(True, []), (False, [1])])
def test_a_release_brings_it_nothing(forge: Server, by_bot: bool, expected: list[int]) -> None:
    """It is not among the pull requests that get main's changes; a person's branch of that name is."""
    place = proposed(desk(forge), by_bot=by_bot)
    place.desk.commit("main", {"README.md": "# More\n"})

    assert candidate.behind(place.forge, str(place.forge.branch("main"))) == expected

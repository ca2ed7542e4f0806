"""What a workflow's token asks of GitHub's API does not grow with the ledger, nor with what else is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forge_example import Desk, desk
from ratchet import files, ledger
from ratchet.release.publish import REFRESHED, Built
from rehearsal.forge import Forge as Server
from rehearsal.forge.access import person
from release_example import Yard
from settle_example import Place

pytestmark = pytest.mark.xdist_group("outputs")

MOST = 60
"""Requests of a release, and of everything that follows from one pull request."""
RIGHTS = {"actions": "write", "contents": "write", "issues": "write", "pull_requests": "write", "statuses": "write"}
WORKFLOW = "name: {0}\non:\n  workflow_dispatch:\njobs: {{}}\n"
WORKFLOWS = {f".github/workflows/{name}.yml": WORKFLOW.format(name) for name in ("report", "ci")}
IMAGE = f"ghcr.io/ada/flights@sha256:{'1' * 64}"


def remember(made: Desk, number: int) -> None:
    """Refreshes of pull requests long closed, as so many records."""
    entries = [
        ledger.record(
            "refresh",
            "2026-11-24T13:07:00Z",
            pull_request=1000 + index,
            run=5000 + index,
            who="ada",
            reason="",
            old_sha="1" * 40,
            base_sha="2" * 40,
            new_sha="3" * 40,
        )
        for index in range(number)
    ]
    head = made.git.branch("records")
    told = [
        f"commit refs/heads/records\ncommitter A <a@example.org> 0 +0000\ndata 0\n{f'from {head}' if head else ''}\n"
    ]
    for entry in entries:
        text = ledger.text(entry).decode()
        told.append(f"M 100644 inline {ledger.path_of(entry)}\ndata {len(text.encode())}\n{text}\n")
    if entries:
        made.git.run("fast-import", "--quiet", stdin="".join(told).encode())


def open_pulls(made: Desk, number: int) -> None:
    """Pull requests of one commit, each from a branch of its own."""
    sha = made.commit("other-0", {"docs/page.md": "A page.\n"})
    for index in range(number):
        made.server.move(made.name, f"refs/heads/other-{index}", sha, person("ada"))
        made.client().create_pull(f"Other {index}", f"other-{index}", "main")


def spent(made: Desk, act: Callable[[], object]) -> list[str]:
    """The requests of workflows that something makes; uploads do not count, as they go to another server."""
    before = len(made.server.quota.calls)
    act()
    calls = made.server.quota.calls[before:]
    return [f"{one.method} {one.path}" for one in calls if not one.path.startswith("/api/uploads")]


@pytest.fixture
def server(forge: Server) -> Iterator[Server]:
    """The forge, with patience for more than an hour of tests."""
    forge.quota.workflow, held = 100_000, forge.quota.workflow
    yield forge
    forge.quota.workflow = held


def test_a_release_asks_as_much_of_a_large_repository(server: Server, two_models: Path, tmp_path: Path) -> None:
    """With 500 records and 40 open pull requests as with none and those that a release refreshes."""
    counts = []
    for name, records, pulls in (("small", 0, REFRESHED), ("large", 500, 40)):
        (tmp_path / name).mkdir()
        yard = Yard(desk(server), two_models, tmp_path / name)
        yard.desk.commit("main", WORKFLOWS, "Workflows")
        yard.main("weak")
        yard.released("weak")
        open_pulls(yard.desk, pulls)
        yard.main("good")
        yard.judged("good")
        remember(yard.desk, records)
        files.write_json(tmp_path / name / "built" / "smoke.json", {"rows": 200})
        yard.job = yard.desk.job(**RIGHTS)

        found = spent(yard.desk, lambda yard=yard: yard.candidate())
        said: list[str] = []
        found += spent(
            yard.desk,
            lambda yard=yard, said=said, name=name: said.extend(
                yard.publish(Built(IMAGE, "coins:1", tmp_path / name / "built"))
            ),
        )

        assert sum("is judged again" in one for one in said) == REFRESHED
        counts.append(found)

    assert len(counts[0]) == len(counts[1]) <= MOST, "\n".join(counts[1])


@pytest.mark.parametrize("owner", ["ada", "bob"])
def test_what_follows_from_a_run_asks_as_much_in_a_large_repository(server: Server, owner: str) -> None:
    """Of a pull request of ours and of a fork's: the verdict is recorded, told and set."""
    counts = []
    for records, pulls in ((0, 2), (500, 40)):
        made = desk(server)
        place = Place(made, made.job(**RIGHTS), made.pull(owner=owner))
        open_pulls(made, pulls)
        remember(made, records)
        run, event = place.ended()
        judgement = place.judgement(run, "promote", lock=None if owner == "bob" else "schema: '2.0'\nstages: {}\n")
        counts.append(spent(made, lambda place=place, event=event, judgement=judgement: place.settle(event, judgement)))

    assert len(counts[0]) == len(counts[1]) <= MOST / 2, "\n".join(counts[1])

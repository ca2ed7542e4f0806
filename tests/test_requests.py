"""What a workflow's token asks of GitHub's API grows neither with the ledger nor with what else is open.

Nor does a job ask the same thing twice, but for what others change while it writes: what it knows, it passes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

import requests_example
from evidence_example import repository_of
from forge_example import Desk, desk
from judge_example import WEAK, Court
from ratchet import comment, files, judge, ledger, settle
from ratchet.forge import Forge, Patience
from ratchet.release import refusal
from ratchet.release.publish import REFRESHED, Built
from rehearsal.forge import Forge as Server
from rehearsal.forge.access import person
from rehearsal.forge.quota import Call
from rehearsal.project import ROOT
from release_example import Yard
from requests_example import MOST
from settle_example import CI, LOCK, Place

pytestmark = pytest.mark.xdist_group("outputs")

WORKFLOW = "name: {0}\non:\n  workflow_dispatch:\njobs: {{}}\n"
WORKFLOWS = {f".github/workflows/{name}.yml": WORKFLOW.format(name) for name in ("report", "ci")}
IMAGE = f"ghcr.io/ada/flights@sha256:{'1' * 64}"
NUMBERS = count()


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


@pytest.fixture(scope="module")
def server(forge: Server) -> Server:
    """The forge, with patience for more than an hour of tests."""
    forge.quota.workflow = 100_000
    return forge


@pytest.fixture(scope="module")
def repositories(server: Server, two_models: Path) -> list[Desk]:
    """A small and a large one, whose main holds the weak model."""
    found = []
    for records, pulls in ((0, 2), (500, 40)):
        made = desk(server)
        made.commit("main", repository_of(two_models / "weak", WEAK), "The weak model")
        remember(made, records)
        open_pulls(made, pulls)
        found.append(made)
    return found


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Forge]:
    """Begins a job of a workflow, and makes the client that it makes, with its own permissions and its event."""

    def begin(made: Desk, workflow: str, name: str, event: Mapping[str, Any] | None = None) -> Forge:
        path = f".github/workflows/{workflow}"
        run = made.run(path, event="workflow_run" if event else "push")
        permissions = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))["jobs"][name]["permissions"]
        made.server.begin_job(run, name, permissions)
        told = tmp_path / f"event-{next(NUMBERS)}.json"
        about = {"repository": {"full_name": made.name, "default_branch": "main"}}
        told.write_text(json.dumps(event or about), encoding="utf-8")
        environ = {
            "GITHUB_REPOSITORY": made.name,
            "GITHUB_TOKEN": made.server.mint(run),
            "GITHUB_API_URL": made.server.api,
            "GITHUB_SERVER_URL": made.server.url,
            "GITHUB_EVENT_PATH": str(told),
        }
        return Forge.from_environment(environ, Patience(tries=2, sleep=made.waits.append))

    return begin


def spent(made: Desk, act: Callable[[], object]) -> list[Call]:
    """The requests of workflows that something makes."""
    before = len(made.server.quota.calls)
    act()
    return requests_example.counted(made.server, before)


def check(server: Server, small: list[Call], large: list[Call], most: int = MOST // 2) -> None:
    """In a large repository there are no more requests than in a small one, and none is made twice in a job."""
    told = requests_example.table(server, large)
    assert 0 < len(small) == len(large) <= most, f"{len(small)} in a small repository, in a large one {told}"
    assert not requests_example.repeated(server, [*small, *large]), told


def test_a_release_asks_as_much_of_a_large_repository(
    server: Server, job: Callable[..., Forge], two_models: Path, tmp_path: Path
) -> None:
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
        said: list[str] = []

        def release(yard: Yard = yard, said: list[str] = said, built: Path = tmp_path / name / "built") -> None:
            yard.job = job(yard.desk, "release.yml", "candidate")
            yard.candidate()
            yard.job = job(yard.desk, "release.yml", "publish")
            said += yard.publish(Built(IMAGE, "coins:1", built))
            refusal.refuse(job(yard.desk, "release.yml", "refuse"), yard.folder, {"publish": "success"}, "")

        counts.append(spent(yard.desk, release))
        assert sum("is judged again" in one for one in said) == REFRESHED

    check(server, *counts, most=MOST)


def test_the_judge_asks_as_much_of_a_large_repository(
    server: Server,
    repositories: list[Desk],
    job: Callable[..., Forge],
    two_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whose run it was, the evidence, the champion with what stands beside it."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    counts = []
    for made in repositories:
        court = Court(made, two_models, tmp_path / made.name)
        court.scratch.mkdir(parents=True)
        court.release("weak")
        run = court.propose_good()
        court.hand_in(run, champion=None)

        def judged(court: Court = court, number: int = run.id) -> None:
            found = judge.judge(job(court.desk, "verdict.yml", "judge"), number, 1, court.out, tmp_path / "cache")
            assert found is not None
            assert (found["outcome"], found["champion"]["tag"]) == ("judged", "model-v1")

        counts.append(spent(made, judged))

    check(server, *counts)


def proposed(made: Desk, owner: str) -> Place:
    """A pull request of its own."""
    return Place(made, made.client(), made.pull(f"change-{next(NUMBERS)}", owner))


@pytest.mark.parametrize("owner", ["ada", "bob"])
def test_what_follows_from_a_verdict_asks_as_much_of_a_large_repository(
    server: Server, repositories: list[Desk], job: Callable[..., Forge], owner: str
) -> None:
    """Of a pull request of ours and of a fork's: it is recorded and set, the lock is committed, and it is told."""
    counts = []
    for made in repositories:
        place = proposed(made, owner)
        place.ended(CI)
        run, event = place.ended()
        judgement = place.judgement(run, "promote", lock=None if owner == "bob" else LOCK)

        def follow(place: Place = place, event: Mapping[str, Any] = event, judgement: Any = judgement) -> None:
            client = job(place.desk, "verdict.yml", "write", event)
            found = settle.settle(client, event, judgement, place.links)
            client = job(place.desk, "verdict.yml", "comment", event)
            client.upsert_comment(place.pull.number, comment.MARKER, found.comment or "")

        counts.append(spent(made, follow))
        assert place.states(place.head)["model-gate"] == ("failure" if owner == "bob" else "success")
        assert (place.head == run.head_sha) == (owner == "bob")

    check(server, *counts)


def begins(place: Place) -> dict[str, Any]:
    """report.yml is at work."""
    return place.event(place.run(), "in_progress")


def is_cut_off(place: Place) -> dict[str, Any]:
    """report.yml was cancelled: whether a job of it had begun, its jobs tell."""
    return place.ended(conclusion="cancelled")[1]


def fails(place: Place) -> dict[str, Any]:
    """ci.yml has failed: so do its jobs."""
    return place.ended(CI, "failure")[1]


def is_slow(place: Place) -> dict[str, Any]:
    """ci.yml fails after the verdict, when the lock is on top of the commit that it was about."""
    run, event = place.ended()
    place.settle(event, place.judgement(run))
    assert place.head != run.head_sha
    return place.ended(CI, "failure", run.head_sha)[1]


@pytest.mark.parametrize(
    ("owner", "happen"),
    [
        ("ada", begins),
        ("ada", is_cut_off),
        ("ada", fails),
        ("ada", is_slow),
        ("bob", begins),
        ("bob", is_cut_off),
        ("bob", fails),
    ],
)
def test_what_is_said_of_a_run_asks_as_much_of_a_large_repository(
    server: Server,
    repositories: list[Desk],
    job: Callable[..., Forge],
    owner: str,
    happen: Callable[[Place], dict[str, Any]],
) -> None:
    """It begins, ends badly, or is about tests: the gates are set, and the comment where there is one."""
    counts = []
    for made in repositories:
        place = proposed(made, owner)
        event = happen(place)
        place.forge = job(made, "verdict.yml", "waiting", event)

        counts.append(spent(made, lambda place=place, event=event: place.settle(event)))

        assert place.states(place.head)

    check(server, *counts, most=MOST // 6)


def test_a_job_that_asks_twice_is_found(server: Server, job: Callable[..., Forge]) -> None:
    """By its requests with what they ask for; another job may ask the same, and of runs one that has written since."""
    made = desk(server)
    number, sha = made.pull().number, str(made.git.branch("main"))

    def ask() -> None:
        one, other = (job(made, "verdict.yml", "write") for _ in range(2))
        for client in (one, other, one):
            client.runs(sha)
        other.runs("1" * 40)
        other.pull(number)
        other.set_status(sha, "model-gate", "pending", "")
        other.runs(sha)
        other.pull(number)

    found = requests_example.repeated(server, spent(made, ask))

    root = f"write: GET /api/v3/repos/{made.name}"
    assert [line.partition(", ")[2].partition("?")[0] for line in found] == [
        f"{root}/actions/runs",
        f"{root}/pulls/{number}",
    ]

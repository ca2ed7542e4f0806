"""The server: git over HTTP, rules for pushes, faults on purpose, and a forge that is opened again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from forge_desk import ADA, NAME, WORKFLOW, Desk, shell
from starlette.responses import PlainTextResponse

from rehearsal.forge import Fault, Forge, Status

HERE = f"/repos/{NAME}"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Forge(tmp_path / "forge") as forge:
        forge.create_repository(NAME)
        found = Desk(forge)
        found.commit("main", {"README.md": "flights\n", ".github/workflows/report.yml": WORKFLOW})
        forge.listen(found.events.append)
        yield found


@pytest.fixture
def clone(desk: Desk, tmp_path: Path) -> Path:
    address = desk.forge.url.replace("://", f"://ada:{desk.forge.token('ada')}@")
    shell("git", "clone", "--quiet", f"{address}/{NAME}.git", "clone", cwd=tmp_path)
    return tmp_path / "clone"


def commit(clone: Path, name: str, text: str) -> str:
    (clone / name).parent.mkdir(parents=True, exist_ok=True)
    (clone / name).write_text(text)
    shell("git", "add", "--all", cwd=clone)
    shell("git", "commit", "--quiet", "--message", f"Change {name}", cwd=clone)
    return shell("git", "rev-parse", "HEAD", cwd=clone).stdout.strip()


def push(clone: Path, *arguments: str) -> tuple[int, str]:
    done = shell("git", "push", *arguments, cwd=clone, check=False)
    return done.returncode, done.stderr


JSON, BYTES = "application/vnd.github+json", "application/octet-stream"


@pytest.mark.parametrize(
    ("what", "accept", "status"),
    [
        ("artifact", BYTES, 415),
        ("artifact", JSON, 302),
        ("artifact", "*/*", 302),
        ("tarball", BYTES, 415),
        ("tarball", JSON, 302),
        ("zipball", BYTES, 415),
        ("zipball", "application/zip, */*;q=0.5", 302),
        ("asset", BYTES, 302),
        ("asset", JSON, 200),
        ("asset", "*/*", 200),
        ("repository", "text/html", 415),
        ("repository", "application/json; charset=utf-8", 200),
        ("repository", "application/vnd.github.v3+json", 200),
    ],
)
def test_bytes_are_asked_for_as_json_but_those_of_an_asset(
    desk: Desk, tmp_path: Path, what: str, accept: str, status: int
) -> None:
    """GitHub's media types: 415 for every other, and an asset as JSON where its bytes are not asked for."""
    artifact = desk.forge.store_artifact(desk.open_run(), "evidence", tmp_path)
    release = desk.ask("POST", f"{HERE}/releases", json={"tag_name": "v1"}).json()
    where, headers = release["upload_url"].partition("{")[0], {"Authorization": f"Bearer {desk.forge.token('ada')}"}
    asset = httpx.post(f"{where}?name=a", content=b"a", headers=headers).json()
    paths = {
        "artifact": f"/actions/artifacts/{artifact.id}/zip",
        "tarball": "/tarball/main",
        "zipball": "/zipball/main",
        "asset": f"/releases/assets/{asset['id']}",
        "repository": "",
    }

    answer = desk.ask("GET", f"{HERE}{paths[what]}", accept=accept)

    assert answer.status_code == status
    if status == 415:
        said = f"Unsupported 'Accept' header: '{accept}'. Must accept 'application/json'."
        assert answer.json()["message"] == said


def test_a_push_is_told_with_its_commits(desk: Desk, clone: Path) -> None:
    """Before, after, who, and what they changed."""
    before, after = desk.git.branch("main"), commit(clone, "params.yaml", "seed: 1\n")

    assert push(clone, "origin", "HEAD:main")[0] == 0

    payload = desk.events[0].payload
    assert (payload["ref"], payload["before"], payload["after"]) == ("refs/heads/main", before, after)
    assert [(one["message"], one["added"]) for one in payload["commits"]] == [("Change params.yaml", ["params.yaml"])]
    assert desk.told() == ["push by ada"]


def test_a_pushed_branch_moves_its_pull_request(desk: Desk, clone: Path) -> None:
    """As a person's push does on GitHub."""
    commit(clone, "params.yaml", "seed: 1\n")
    push(clone, "origin", "HEAD:topic")
    pull = desk.propose()
    desk.told()

    sha = commit(clone, "params.yaml", "seed: 2\n")
    push(clone, "origin", "HEAD:topic")

    assert (pull.head_sha, desk.told()) == (sha, ["push by ada", "pull_request.synchronize by ada"])


def test_a_protected_branch_takes_no_push(desk: Desk, clone: Path) -> None:
    """Git shows GitHub's reason; other branches are free."""
    desk.protect({"type": "pull_request", "parameters": {}})
    before = desk.git.branch("main")
    commit(clone, "params.yaml", "seed: 1\n")

    code, words = push(clone, "origin", "HEAD:main", "HEAD:topic")

    assert code == 1
    assert "GH013: Repository rule violations found for refs/heads/main." in words
    assert "Changes must be made through a pull request." in words
    assert desk.git.branch("main") == before
    assert desk.told() == ["push by ada"]


def test_history_that_is_protected_is_not_rewritten(desk: Desk, clone: Path) -> None:
    """A fast-forward passes, force does not, neither does deletion; where no rule holds, force passes."""
    desk.protect({"type": "non_fast_forward"}, {"type": "deletion"}, branch="records")
    first = commit(clone, "one.json", "{}\n")
    push(clone, "origin", "HEAD:records", "HEAD:free")
    second = commit(clone, "two.json", "{}\n")
    assert push(clone, "origin", "HEAD:records", "HEAD:free")[0] == 0

    forced, words = push(clone, "--force", "origin", f"{first}:records")
    gone, more = push(clone, "origin", ":records")

    assert (forced, gone, desk.git.branch("records")) == (1, 1, second)
    assert "Cannot force-push to this branch" in words
    assert "Cannot delete this branch" in more
    assert push(clone, "--force", "origin", f"{first}:free")[0] == 0
    assert desk.git.branch("free") == first


def test_a_workflows_push_brings_no_new_workflow_file(desk: Desk, clone: Path) -> None:
    """In GitHub's words; other files pass, and nothing is told of them."""
    _, token = desk.running({"contents": "write"})
    desk.told()
    address = desk.forge.url.replace("://", f"://x-access-token:{token}@") + f"/{NAME}.git"
    commit(clone, "dvc.lock", "stages: {}\n")
    assert push(clone, address, "HEAD:topic")[0] == 0
    commit(clone, ".github/workflows/evil.yml", "on: push\n")

    code, words = push(clone, address, "HEAD:topic")

    assert code == 1
    assert "refusing to allow a GitHub App to create or update workflow `.github/workflows/evil.yml`" in words
    assert desk.told() == []


def test_a_reader_cannot_push(desk: Desk, clone: Path) -> None:
    """403 with their name; a job that reads gets the same."""
    commit(clone, "params.yaml", "seed: 1\n")
    _, job = desk.running({"contents": "read"})

    for who, token in (("bob", desk.forge.token("bob", role="read")), ("github-actions[bot]", job)):
        address = desk.forge.url.replace("://", f"://x:{token}@") + f"/{NAME}.git"
        code, words = push(clone, address, "HEAD:topic")

        assert code == 128
        assert "403" in words
        assert f"denied to {who}" in words


def test_a_private_repository_is_not_there_for_strangers(desk: Desk) -> None:
    """404 over the API, 401 for git without a token."""
    desk.forge.create_repository("ada/secret", private=True)

    assert desk.ask("GET", "/repos/ada/secret", None).status_code == 404
    assert httpx.get(f"{desk.forge.url}/ada/secret.git/info/refs?service=git-upload-pack").status_code == 401


def test_a_fault_is_answered_as_often_as_it_was_asked_for(desk: Desk) -> None:
    """With its status and headers, and nothing is done."""
    desk.forge.faults.append(Fault("POST", "/statuses/", 502, times=2, headers={"Retry-After": "1"}))
    path, body = f"{HERE}/statuses/{desk.git.branch('main')}", {"state": "success"}

    codes = [desk.ask("POST", path, json=body).status_code for _ in range(3)]

    assert codes == [502, 502, 201]
    assert len(desk.forge.state.statuses) == 1


@pytest.mark.parametrize(("kind", "made"), [("cut", 1), ("drop", 0)])
def test_a_connection_is_cut_after_or_before_the_change(desk: Desk, kind: str, made: int) -> None:
    """The client sees no answer in either case."""
    desk.forge.faults.append(Fault("POST", "/issues$", kind))

    with pytest.raises(httpx.RemoteProtocolError):
        desk.ask("POST", f"{HERE}/issues", json={"title": "Drift"})

    assert len(desk.forge.state.issues) == made


def test_another_application_is_served_under_its_prefix(desk: Desk) -> None:
    """It sees its own paths."""

    async def echo(scope, receive, send) -> None:
        await PlainTextResponse(scope["path"] + "?")(scope, receive, send)

    desk.forge.mount("/_runner", echo)

    assert httpx.get(f"{desk.forge.url}/_runner/cache").text == "/_runner/cache?"


def test_a_forge_that_is_opened_again_is_as_it_was(desk: Desk, tmp_path: Path) -> None:
    """Records, tokens, git and the port."""
    token, pull_url = desk.forge.token("ada"), f"{HERE}/pulls/1"
    desk.commit("topic", {"params.yaml": "seed: 1\n"})
    desk.propose()
    with desk.forge.changing() as state:
        state.statuses.append(Status(1, NAME, "0" * 40, "ci-gate", "success", "ada"))
    shown, url, before = desk.ask("GET", pull_url, token).json(), desk.forge.url, desk.forge.state
    desk.forge.stop()

    with Forge(tmp_path / "forge") as again:
        answer = httpx.get(f"{again.api}{pull_url}", headers={"Authorization": f"token {token}"})

        assert again.url == url
        assert answer.json() == shown
        assert again.state == before


def test_events_arrive_in_order_after_what_they_tell_is_stored(desk: Desk, tmp_path: Path) -> None:
    """A listener that changes the forge is told of its own change later, and finds everything stored."""
    seen: list[tuple[str, bool]] = []

    def follow(event) -> None:
        stored = (tmp_path / "forge" / "state.json").read_text()
        seen.append((event.name, desk.forge.pulls(NAME)[0].head_sha in stored))
        if event.name == "pull_request" and event.action == "opened":
            desk.commit("topic", {"params.yaml": "seed: 2\n"}, ADA)

    desk.commit("topic", {"params.yaml": "seed: 1\n"})
    desk.forge.listen(follow)
    desk.propose()

    assert seen == [("pull_request", True), ("push", True), ("pull_request", True)]

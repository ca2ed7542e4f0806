"""The client does what it says, once, on a good day and on a bad one, and otherwise says what to do."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from forge_example import Desk, desk
from ratchet.errors import RatchetError
from ratchet.forge import ApiError, Asset, Forge, Moved, NotFound, Patience
from ratchet.forge.api import Api
from rehearsal.forge import BOT
from rehearsal.forge import Forge as Server

MARKER = "<!-- ratchet -->"
MISSING = "0" * 40


@pytest.fixture
def place(forge: Server) -> Iterator[Desk]:
    """A new repository; whatever was to fail does so no more afterwards."""
    yield desk(forge)
    forge.faults.clear()


def at_once(*calls: Callable[[], object]) -> None:
    """Run all at the same time, and raise what one of them raises."""
    failures: list[BaseException] = []

    def guarded(call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # a thread's error must reach the test
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# --- the environment


def test_a_job_is_given_its_repository_and_token(place: Desk) -> None:
    """The environment of a workflow's job is all that is needed."""
    environment = {
        "GITHUB_REPOSITORY": place.name,
        "GITHUB_API_URL": place.server.api,
        "GITHUB_SERVER_URL": place.server.url,
        "GITHUB_TOKEN": place.server.token("ada"),
    }

    found = Forge.from_environment(environment)

    assert (found.repository, found.default_branch, found.login) == (place.name, "main", "ada")
    assert found.server_url == place.server.url


@pytest.mark.parametrize(
    ("told", "branch"),
    [
        ({"repository": {"full_name": "ada/flights", "default_branch": "trunk"}}, "trunk"),
        ({"repository": {"full_name": "bob/flights", "default_branch": "trunk"}}, None),
        ({"schedule": "17 5 * * *"}, None),
    ],
)
def test_the_default_branch_is_asked_for_only_where_the_event_does_not_name_it(
    tmp_path: Path, told: dict[str, Any], branch: str | None
) -> None:
    """As the payload says of this repository; nobody listens at the address where it would be asked for."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps(told))
    given = {"GITHUB_REPOSITORY": "ada/flights", "GITHUB_TOKEN": "x", "GITHUB_API_URL": "http://127.0.0.1:9"}

    found = Forge.from_environment({**given, "GITHUB_EVENT_PATH": str(event)}, Patience(tries=1))

    if branch:
        assert found.default_branch == branch
    else:
        with pytest.raises(ApiError, match="cannot be reached"):
            found.default_branch  # noqa: B018


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"GITHUB_TOKEN": "x"}, r"GITHUB_REPOSITORY: is not set; it names the repository as owner/name\nat a desk: "),
        ({"GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "flights"}, r"GITHUB_REPOSITORY: is flights; it names"),
        ({"GITHUB_REPOSITORY": "ada/flights"}, r"GITHUB_TOKEN: is not set\nin a workflow pass `GITHUB_TOKEN: "),
    ],
)
def test_what_is_missing_is_named(environment: dict[str, str], message: str) -> None:
    """An error in one or two lines: what is not set, and how to set it."""
    with pytest.raises(RatchetError, match=message):
        Forge.from_environment(environment)


def test_importing_the_client_does_not_import_httpx() -> None:
    """Verbs that do not talk to GitHub do not wait for what does."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, ratchet.forge, ratchet.ledger, ratchet.doctor; print('httpx' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "False\n"


def test_a_token_that_cannot_be_sent_is_refused_without_being_shown() -> None:
    """A secret that was pasted with the end of its line would be printed by what refuses to send it."""
    with pytest.raises(RatchetError, match=r"^GITHUB_TOKEN: has characters that no token has") as refused:
        Forge("ada/flights", "ghp_secret\n")

    assert "ghp_secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("HTTPS_PROXY", "gopher://proxy"), ("ALL_PROXY", "socks5://proxy"), ("SSL_CERT_FILE", "/none/there")],
)
def test_a_proxy_or_certificates_that_cannot_be_used_are_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """In the words of who set them, and before anything is sent."""
    monkeypatch.setenv(name, value)

    with pytest.raises(RatchetError, match=r"^the environment's proxy or certificates cannot be used: .*\nsee HTTPS_"):
        Forge("ada/flights", "token")


def test_a_workflows_token_is_of_the_bot(place: Desk) -> None:
    """A job's token may not ask who it is; it is known."""
    assert place.job(contents="read").login == BOT


# --- pull requests


def test_a_pull_request_is_read(place: Desk) -> None:
    """Everything the loop needs of it, from one answer."""
    made = place.pull("faster")

    found = place.client().pull(made.number)

    assert (found.title, found.state, found.author, found.is_open) == ("Try faster", "open", "ada", True)
    assert (found.head_repository, found.head_branch) == (place.name, "faster")
    assert found.head_sha == place.git.branch("faster")
    assert (found.base_branch, found.base_sha) == ("main", place.git.branch("main"))
    assert (found.merged, found.merge_sha, found.is_fork) == (False, None, False)
    assert found.url == f"{place.server.url}/{place.name}/pull/{made.number}"


def test_pull_requests_are_found_by_their_head(place: Desk) -> None:
    """By the branch, whatever they go to."""
    number = place.pull("faster").number
    client = place.client()

    assert [found.number for found in client.pulls_of(place.name, "faster")] == [number]
    assert client.pulls_of(place.name, "slower") == []


def test_a_forks_pull_request_is_found_although_runs_do_not_name_it(place: Desk) -> None:
    """The same branch name here and in a fork are told apart by the repository."""
    here, there = place.pull("faster"), place.pull("faster", owner="bob")
    client = place.client()

    (found,) = client.pulls_of(there.head_repository, "faster")
    (own,) = client.pulls_of(place.name, "faster")

    assert (found.number, found.is_fork) == (there.number, True)
    assert own.number == here.number


def test_closed_pull_requests_are_not_found(place: Desk) -> None:
    """A run that ends after its pull request was closed is of none."""
    made = place.pull("faster")
    client = place.client()

    with place.server.changing():
        made.state = "closed"

    assert client.pulls_of(place.name, "faster") == []
    assert client.open_pulls() == []
    assert client.pull(made.number).is_open is False


def test_opening_a_pull_request_twice_gives_the_same_one(place: Desk) -> None:
    """Also when the first answer was lost."""
    place.commit("faster", {"params.yaml": "rate: 2\n"})
    client = place.client()
    place.fails("POST", r"/pulls$", "cut")

    first = client.create_pull("Faster", "faster", "main", "Trees are cheap.")
    second = client.create_pull("Faster", "faster", "main")

    assert first.number == second.number
    assert [pull.number for pull in client.open_pulls("main")] == [first.number]


def test_a_pull_request_gets_another_text_when_it_has_another(place: Desk) -> None:
    """Nothing is sent for the same one."""
    number, client = place.pull("faster").number, place.client()
    edited = client.edit_pull(client.pull(number), "Faster still", "Trees are cheap.")
    place.fails("PATCH", r"/pulls/\d+$", 502, times=99)

    again = client.edit_pull(edited, "Faster still", "Trees are cheap.\r\n")

    assert (again.number, again.title, again.body) == (number, "Faster still", "Trees are cheap.")


def test_a_branch_is_deleted_with_its_pull_request(place: Desk) -> None:
    """It is closed, and not merged. A second time there is nothing to delete; a refusal is told."""
    number, client = place.pull("faster").number, place.client()

    client.delete_branch("faster")
    client.delete_branch("faster")

    assert (client.branch("faster"), client.pull(number).state) == (None, "closed")
    closed = client.closed_pull("faster")
    assert closed is not None
    assert closed.number == number
    with pytest.raises(ApiError, match="contents: write"):
        place.job(contents="read").delete_branch("main")


# --- git


def test_a_commit_tells_what_it_changes(place: Desk) -> None:
    """Paths against its first parent, and its parents."""
    parent = place.git.branch("main")
    sha = place.commit("main", {"dvc.lock": "schema: '2.0'\n"}, "Lock")

    found = place.client().commit(sha)

    assert (found.sha, found.parents, found.message.strip()) == (sha, (parent,), "Lock")
    assert found.files == ("dvc.lock",)
    assert found.tree == place.git.commit(sha).tree


def test_a_large_commit_is_listed_whole(place: Desk) -> None:
    """A page of a commit's answer holds a hundred files."""
    sha = place.commit("main", {f"data/{index:03}": "x\n" for index in range(120)})

    found = place.client().commit(sha)

    assert len(found.files) == 120


def test_a_comparison_starts_where_the_two_parted(place: Desk) -> None:
    """What main got meanwhile is not part of the change."""
    fork_point = place.git.branch("main")
    place.commit("faster", {"params.yaml": "rate: 2\n"})
    place.commit("main", {"README.md": "# Flights of New York\n"})

    found = place.client().compare("main", "faster")

    assert (found.merge_base, found.files) == (fork_point, ("params.yaml",))


def test_files_are_committed_onto_a_branch(place: Desk) -> None:
    """Text, bytes and a deletion in one commit; what is not named stays."""
    parent = place.commit("faster", {"params.yaml": "rate: 2\n", "old": "gone\n"})

    sha = place.client().commit_files(
        "faster", parent, {"dvc.lock": b"schema: '2.0'\n", "bytes": b"\xff\x00", "old": None}, "Lock"
    )

    assert place.git.branch("faster") == sha
    assert place.git.commit(sha).parents == (parent,)
    found = {entry.path: place.git.blob(entry.sha or "") for entry in place.git.tree(sha)}
    assert found == {
        "README.md": b"# Flights\n",
        "params.yaml": b"rate: 2\n",
        "dvc.lock": b"schema: '2.0'\n",
        "bytes": b"\xff\x00",
    }


def test_a_branch_that_moved_is_left_alone(place: Desk) -> None:
    """Never forced: whoever pushed meanwhile keeps their commit."""
    old = place.commit("faster", {"params.yaml": "rate: 2\n"})
    new = place.commit("faster", {"params.yaml": "rate: 3\n"})

    with pytest.raises(Moved, match=r"branch faster: has moved meanwhile\nrun it again"):
        place.client().commit_files("faster", old, {"dvc.lock": b"x"}, "Lock")

    assert place.git.branch("faster") == new


def test_a_branch_that_is_gone_counts_as_moved(place: Desk) -> None:
    """Somebody deleted it after its pull request was merged."""
    with pytest.raises(Moved, match=r"branch gone: has moved meanwhile"):
        place.client().commit_files("gone", place.git.branch("main"), {"dvc.lock": b"x"}, "Lock")


def test_a_rule_that_forbids_a_commit_is_told_as_it_is(place: Desk) -> None:
    """Nobody was faster: to try again would not help."""
    rules = [{"type": "pull_request", "parameters": {}}]
    conditions = {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}}
    with place.server.changing():
        place.server.repository(place.name).rulesets.append(
            {"id": 1, "name": "main", "enforcement": "active", "conditions": conditions, "rules": rules}
        )
    head = place.git.branch("main")

    with pytest.raises(ApiError, match=r"GitHub answers 422: .*Changes must be made through a pull request"):
        place.client().commit_files("main", head, {"a": b"b"}, "A")

    assert place.git.branch("main") == head


def test_a_commit_may_merge_another(place: Desk) -> None:
    """A branch takes in main, with a file resolved by hand."""
    head = place.commit("faster", {"dvc.lock": "theirs\n"})
    main = place.commit("main", {"dvc.lock": "ours\n"})

    sha = place.client().commit_files("faster", head, {"dvc.lock": b"both\n"}, "Merge main", merged=[main])

    assert place.git.commit(sha).parents == (head, main)
    assert place.git.read(sha, "dvc.lock") == b"both\n"


def test_a_new_branch_without_parent_has_no_history(place: Desk) -> None:
    """And when somebody else made it first, that is told."""
    client = place.client()

    sha = client.commit_files("records", None, {"a.json": b"{}"}, "Begin")

    assert place.git.commit(sha).parents == ()
    assert [entry.path for entry in place.git.tree(sha)] == ["a.json"]
    with pytest.raises(Moved, match=r"branch records: is there already, at "):
        client.commit_files("records", None, {"b.json": b"{}"}, "Begin")


def test_a_branch_is_made_once(place: Desk) -> None:
    """Again at the same commit is no error, elsewhere is."""
    client, sha = place.client(), place.git.branch("main") or ""

    client.create_branch("adopted/12", sha)
    client.create_branch("adopted/12", sha)

    assert client.branch("adopted/12") == sha
    assert client.branch("adopted/13") is None
    with pytest.raises(Moved):
        client.create_branch("adopted/12", place.commit("main", {"a": "b\n"}))


# --- statuses


def test_the_newest_status_of_each_context_counts(place: Desk) -> None:
    """Statuses are added, never changed; a long description is cut."""
    sha = place.git.branch("main") or ""
    client = place.job(statuses="write")

    client.set_status(sha, "model-gate", "pending", "the model is being judged", "https://example.org/1")
    client.set_status(sha, "ci-gate", "success", "all jobs pass")
    client.set_status(sha, "model-gate", "failure", "x" * 200)

    found = client.statuses(sha)
    assert {context: status.state for context, status in found.items()} == {
        "model-gate": "failure",
        "ci-gate": "success",
    }
    assert found["model-gate"].description == "x" * 139 + "…"
    assert found["ci-gate"].creator == BOT


def test_a_status_takes_one_request(place: Desk) -> None:
    """What it was before is not looked for: the newest counts, also where it says the same."""
    sha = place.git.branch("main") or ""
    client, before = place.job(statuses="write"), len(place.server.quota.calls)

    for _ in range(2):
        client.set_status(sha, "model-gate", "success", "promoted", "https://example.org/1")

    assert [call.method for call in place.server.quota.calls[before:]] == ["POST"] * 2
    assert client.statuses(sha)["model-gate"].state == "success"


@pytest.mark.parametrize("verb", ["cut", "drop"])
def test_a_status_whose_answer_is_lost_is_set_once(place: Desk, verb: Literal["cut", "drop"]) -> None:
    """It is looked for before it is set again."""
    sha = place.git.branch("main") or ""
    place.fails("POST", r"/statuses/", verb)

    place.client().set_status(sha, "model-gate", "success", "promoted")

    assert len([status for status in place.server.state.statuses if status.repository == place.name]) == 1


# --- the comment


def test_a_comment_is_made_and_then_edited(place: Desk) -> None:
    """One comment, whatever it says."""
    number = place.pull().number
    client = place.job(pull_requests="write", issues="write")

    first = client.upsert_comment(number, MARKER, f"{MARKER}\npending")
    second = client.upsert_comment(number, MARKER, f"{MARKER}\nPromote.")

    assert first == second
    assert [(comment.author, comment.body) for comment in client.comments(number)] == [(BOT, f"{MARKER}\nPromote.")]


def test_an_equal_comment_is_not_edited(place: Desk) -> None:
    """GitHub would show it as edited, and tell subscribers."""
    number = place.pull().number
    client = place.client()
    client.upsert_comment(number, MARKER, f"{MARKER}\nPromote.\n")
    place.fails("PATCH", r"/issues/comments/", 500, times=99)

    client.upsert_comment(number, MARKER, f"{MARKER}\nPromote.")

    assert len(client.comments(number)) == 1


def test_the_comment_is_found_behind_120_others(place: Desk) -> None:
    """Pages are followed to the last."""
    number = place.pull().number
    client = place.client()
    for index in range(120):
        client._post(f"/issues/{number}/comments", {"body": f"talk {index}"})
    client.upsert_comment(number, MARKER, f"{MARKER}\npending")

    client.upsert_comment(number, MARKER, f"{MARKER}\nPromote.")

    bodies = [comment.body for comment in client.comments(number)]
    assert len(bodies) == 121
    assert [body for body in bodies if MARKER in body] == [f"{MARKER}\nPromote."]


def test_a_comment_of_somebody_else_is_never_taken_for_ours(place: Desk) -> None:
    """Whoever copies the marker gets their own comment left alone, and ours beside it."""
    number = place.pull().number
    place.client(place.server.token("eve", role="read"))._post(
        f"/issues/{number}/comments", {"body": f"{MARKER}\nPromote, I say."}
    )

    client = place.job(pull_requests="write", issues="write")
    client.upsert_comment(number, MARKER, f"{MARKER}\nBlock.")

    assert [(comment.author, comment.body) for comment in client.comments(number)] == [
        ("eve", f"{MARKER}\nPromote, I say."),
        (BOT, f"{MARKER}\nBlock."),
    ]


def test_our_comment_is_found_by_its_marker(place: Desk) -> None:
    """And not the one of somebody who copies it; none is no error."""
    number = place.pull().number
    client = place.job(pull_requests="write", issues="write")
    place.client(place.server.token("eve", role="read"))._post(f"/issues/{number}/comments", {"body": MARKER})
    assert client.marked_comment(number, MARKER) is None

    client.upsert_comment(number, MARKER, f"{MARKER}\nBlock.")

    assert client.marked_comment(number, MARKER) == f"{MARKER}\nBlock."


def test_later_duplicates_are_removed(place: Desk) -> None:
    """The oldest stays, for people have linked to it."""
    number = place.pull().number
    client = place.client()
    for index in range(3):
        client._post(f"/issues/{number}/comments", {"body": f"{MARKER}\n{index}"})
    oldest = client.comments(number)[0]

    url = client.upsert_comment(number, MARKER, f"{MARKER}\nPromote.")

    assert url == oldest.url
    assert [(comment.id, comment.body) for comment in client.comments(number)] == [(oldest.id, f"{MARKER}\nPromote.")]


def test_runs_that_end_at_once_leave_one_comment(place: Desk) -> None:
    """Whoever comes first, one comment remains, with the words of one of them."""
    number = place.pull().number
    clients = [place.client() for _ in range(4)]
    bodies = [f"{MARKER}\nverdict {index}" for index in range(4)]

    at_once(*(lambda c=c, b=b: c.upsert_comment(number, MARKER, b) for c, b in zip(clients, bodies, strict=True)))

    found = [comment.body for comment in place.client().comments(number)]
    assert len(found) == 1
    assert found[0] in bodies


def test_a_connection_that_is_cut_in_an_upsert_does_not_double_the_comment(place: Desk) -> None:
    """The comment was made, the answer was lost: it is looked for before it is sent again."""
    number = place.pull().number
    place.fails("POST", r"/issues/\d+/comments", "cut")

    place.client().upsert_comment(number, MARKER, f"{MARKER}\nPromote.")

    assert [comment.body for comment in place.client().comments(number)] == [f"{MARKER}\nPromote."]


def test_a_comment_that_was_not_made_is_sent_again(place: Desk) -> None:
    """The connection was cut before anything happened."""
    number = place.pull().number
    place.fails("POST", r"/issues/\d+/comments", "drop")

    place.client().upsert_comment(number, MARKER, f"{MARKER}\nPromote.")

    assert len(place.client().comments(number)) == 1


def test_a_comment_that_vanishes_is_looked_for_again(place: Desk) -> None:
    """Somebody removed it between looking and writing; when that goes on, it is told."""
    number = place.pull().number
    client = place.client()
    client.upsert_comment(number, MARKER, f"{MARKER}\npending")
    place.fails("PATCH", r"/issues/comments/", 404, message="Not Found")

    client.upsert_comment(number, MARKER, f"{MARKER}\nPromote.")

    assert [comment.body for comment in client.comments(number)] == [f"{MARKER}\nPromote."]
    place.fails("PATCH", r"/issues/comments/", 404, times=99, message="Not Found")
    with pytest.raises(ApiError, match=rf"pull request {number}: its comment vanishes as fast as it is written"):
        client.upsert_comment(number, MARKER, f"{MARKER}\nBlock.")


def test_a_duplicate_that_another_run_has_removed_is_no_error(place: Desk) -> None:
    """Both runs saw it, and one was faster."""
    number = place.pull().number
    client = place.client()
    for index in range(2):
        client._post(f"/issues/{number}/comments", {"body": f"{MARKER}\n{index}"})
    place.fails("DELETE", r"/issues/comments/", 404, message="Not Found")

    client.upsert_comment(number, MARKER, f"{MARKER}\nPromote.")

    assert client.comments(number)[0].body == f"{MARKER}\nPromote."


# --- issues


def test_an_issue_is_open_once(place: Desk) -> None:
    """The same title is the same issue, brought up to date; once closed, a new one is opened."""
    client = place.client()
    place.fails("POST", r"/issues$", "cut")

    first = client.issue("The data has drifted", "In October.", ["bug"])
    second = client.issue("The data has drifted", "In November.", ["bug"])

    assert (first.number, second.body) == (second.number, "In November.")
    client._api.send("PATCH", f"/repos/{place.name}/issues/{first.number}", {"state": "closed"})
    assert client.issue("The data has drifted", "In December.").number != first.number


def test_an_issue_is_found_by_its_mark_and_its_author(place: Desk) -> None:
    """Of a job's token, too. One with another title is the same; a stranger's is not, be it the same to the letter."""
    stranger = place.client(place.server.token("eve", role="read"))
    job = place.job(issues="write")
    copied = stranger.issue("The data are broken", f"{MARKER}\nThe same.")

    made = job.issue("The data are broken", f"{MARKER}\nThe same.", marker=MARKER)
    again = job.issue("The data of June are broken", f"{MARKER}\nIn June.", marker=MARKER)

    assert copied.number != made.number == again.number
    assert (made.author, again.body) == (BOT, f"{MARKER}\nIn June.")
    assert [issue.number for issue in job.open_issues(MARKER)] == [made.number]
    assert [issue.number for issue in stranger.open_issues(MARKER)] == [copied.number, made.number]


# --- runs and artifacts


def test_runs_are_read_and_listed(place: Desk) -> None:
    """By workflow, and by the commit they ran."""
    place.commit("main", {f".github/workflows/{name}.yml": "on: pull_request\n" for name in ("report", "ci")})
    made = place.run()
    place.server.begin_job(made, "train", {"contents": "read"})
    place.server.close_run(made, "failure")
    other = place.run(".github/workflows/ci.yml")
    client = place.client()

    found = client.run(made.id)

    assert (found.path, found.event, found.status, found.conclusion) == (
        ".github/workflows/report.yml",
        "pull_request",
        "completed",
        "failure",
    )
    assert (found.attempt, found.head_repository, found.head_sha) == (1, place.name, place.git.branch("main"))
    assert [run.id for run in client.runs(found.head_sha)] == [other.id, made.id]
    assert client.runs(MISSING) == []
    assert [job.name for job in client.jobs(made.id, 1)] == ["train"]


def test_an_artifact_is_downloaded_whole(place: Desk, tmp_path: Path) -> None:
    """By its number, with its digest checked."""
    (tmp_path / "run.json").write_text("{}")
    run = place.run()
    place.server.store_artifact(run, "evidence", tmp_path)
    client = place.client()
    [artifact] = client.artifacts(run.id)

    client.download(artifact, tmp_path / "down" / "evidence.zip", limit=10_000)

    assert (artifact.name, artifact.run_id, artifact.expired) == ("evidence", run.id, False)
    assert artifact.digest is not None
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", artifact.digest)
    with zipfile.ZipFile(tmp_path / "down" / "evidence.zip") as archive:
        assert archive.read("run.json") == b"{}"
    assert [path.name for path in (tmp_path / "down").iterdir()] == ["evidence.zip"]


def artifact_of(place: Desk, tmp_path: Path, content: bytes) -> tuple[Forge, object]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "data").write_bytes(content)
    run = place.run()
    place.server.store_artifact(run, "evidence", source)
    client = place.client()
    return client, client.artifacts(run.id)[0]


def test_each_download_asks_for_the_media_type_of_its_kind(place: Desk, tmp_path: Path) -> None:
    """GitHub refuses artifacts and tarballs to who asks for bytes, and describes an asset to who does not."""
    client, artifact = artifact_of(place, tmp_path, b"data")
    sha = place.git.branch("main") or ""
    client.create_release("model-v1", sha, "model-v1", "The first.", [bundle(tmp_path)])
    [asset] = client.releases()[0].assets
    target = tmp_path / "down"

    client.download(artifact, target, limit=10_000)  # type: ignore[arg-type]
    client.download_asset(asset, target, limit=10_000)

    api = Api(place.server.api, place.server.token("ada"), Patience())
    for path in (f"/actions/artifacts/{artifact.id}/zip", f"/tarball/{sha}"):  # type: ignore[attr-defined]
        with pytest.raises(ApiError, match=r"answers 415: Unsupported 'Accept' header: 'application/octet-stream'"):
            api.download(f"/repos/{place.name}{path}", target, 10_000, accept="application/octet-stream")
    with pytest.raises(ApiError, match="has the digest"):
        api.download(f"/repos/{place.name}/releases/assets/{asset.id}", target, 10_000, asset.digest)
    assert target.read_bytes() == b"trees"


def test_an_artifact_beyond_the_limit_is_not_kept(place: Desk, tmp_path: Path) -> None:
    """Nothing of it stays on the disk."""
    client, artifact = artifact_of(place, tmp_path, bytes(range(256)) * 4)

    with pytest.raises(ApiError, match=r"is larger than 0 MB\nnothing that large is expected there"):
        client.download(artifact, tmp_path / "evidence.zip", limit=100)  # type: ignore[arg-type]

    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_artifact_with_another_digest_is_not_kept(place: Desk, tmp_path: Path) -> None:
    """What was noted when it was uploaded is what one gets, or nothing."""
    client, artifact = artifact_of(place, tmp_path, b"data")
    stored = place.server.state.artifacts[-1].path
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        archive.writestr("data", "forged")
    Path(stored).write_bytes(changed.getvalue())

    with pytest.raises(ApiError, match=r"has the digest sha256:[0-9a-f]{64}, and should have sha256:"):
        client.download(artifact, tmp_path / "evidence.zip", limit=10_000)  # type: ignore[arg-type]

    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_download_that_is_cut_is_tried_again(place: Desk, tmp_path: Path) -> None:
    """The token is not needed where the artifact lies."""
    client, artifact = artifact_of(place, tmp_path, b"data")
    place.fails("GET", r"/actions/artifacts/\d+/zip", 502)
    place.fails("GET", r"/actions/artifacts/\d+/zip", "cut")

    client.download(artifact, tmp_path / "evidence.zip", limit=10_000)  # type: ignore[arg-type]

    assert zipfile.is_zipfile(tmp_path / "evidence.zip")


class Elsewhere(BaseHTTPRequestHandler):
    """A GitHub whose downloads lie with another host, `localhost`; a proxy is asked for whole addresses."""

    seen: ClassVar[list[tuple[str, str, str | None]]] = []

    def do_GET(self) -> None:
        """Of a write, too."""
        self.seen.append((self.command, self.path, self.headers["Authorization"]))
        is_api = "/api/v3/" in self.path
        self.send_response(302 if is_api else 200)
        self.send_header("Location", f"http://localhost:{self.server.server_port}/blob")  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0" if is_api else "5")
        self.end_headers()
        self.wfile.write(b"" if is_api else b"trees")

    do_POST = do_GET  # noqa: N815  # the name that the library looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of such a GitHub."""
    Elsewhere.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


BUNDLE = Asset(7, "bundle.zip", 5, None, True, "")
BUNDLES_PATH = "/api/v3/repos/ada/flights/releases/assets/7"


def test_the_token_does_not_follow_a_redirect(elsewhere: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Artifacts lie with another host, which has no business with it, nor with what `~/.netrc` knows."""
    (tmp_path / "netrc").write_text("default login eve password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    client = Forge("ada/flights", "secret", api_url=f"http://127.0.0.1:{elsewhere}/api/v3")

    client.download_asset(BUNDLE, tmp_path / "bundle.zip", limit=5)

    assert Elsewhere.seen == [("GET", BUNDLES_PATH, "Bearer secret"), ("GET", "/blob", None)]
    assert (tmp_path / "bundle.zip").read_bytes() == b"trees"


def test_a_write_is_not_sent_to_where_it_is_redirected(elsewhere: int) -> None:
    """It would arrive as a read, and count as done."""
    client = Forge("ada/flights", "secret", api_url=f"http://127.0.0.1:{elsewhere}/api/v3")

    with pytest.raises(ApiError, match=r"^POST /repos/ada/flights/issues/1/labels: GitHub answers 302"):
        client.label(1, ["retraining"])

    assert Elsewhere.seen == [("POST", "/api/v3/repos/ada/flights/issues/1/labels", "Bearer secret")]


def test_a_file_goes_to_github_alone(elsewhere: int, tmp_path: Path) -> None:
    """Whatever address a description names: with the file goes the token."""
    api = Api(f"http://127.0.0.1:{elsewhere}/api/v3", "secret", Patience())

    for address in (f"http://localhost:{elsewhere}/uploads", f"http://127.0.0.1:{elsewhere}.example.org/uploads"):
        with pytest.raises(ApiError, match=r": does not belong to http://127.*\nit is not shown the token"):
            api.upload(address, bundle(tmp_path), lambda: None, dict)

    assert Elsewhere.seen == []


def test_the_environments_proxy_is_used(elsewhere: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For GitHub and for where it redirects to, except for hosts that need none."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{elsewhere}")
    monkeypatch.setenv("NO_PROXY", "localhost")
    client = Forge("ada/flights", "secret", api_url="http://github.example/api/v3")

    client.download_asset(BUNDLE, tmp_path / "bundle.zip", limit=5)

    assert [path for _, path, _ in Elsewhere.seen] == [f"http://github.example{BUNDLES_PATH}", "/blob"]


def test_an_artifact_that_is_gone_says_so(place: Desk, tmp_path: Path) -> None:
    """Artifacts live 90 days."""
    client, artifact = artifact_of(place, tmp_path, b"data")
    with place.server.changing() as state:
        state.artifacts[-1].expired = True

    with pytest.raises(ApiError, match=r"is gone: it has expired or was deleted\nrun again what makes it"):
        client.download(artifact, tmp_path / "evidence.zip", limit=10_000)  # type: ignore[arg-type]


def test_a_workflow_is_dispatched_once(place: Desk) -> None:
    """Also when the answer to the first try is lost: the run that it started is looked for."""
    place.commit(
        "main",
        {".github/workflows/report.yml": "on:\n  workflow_dispatch:\n    inputs:\n      pr:\n        type: string\n"},
    )
    events: list[object] = []

    def open_run(event: object) -> None:
        if getattr(event, "name", "") == "workflow_dispatch" and getattr(event, "repository", "") == place.name:
            events.append(event)
            place.run(event="workflow_dispatch")

    place.server.listen(open_run)
    place.fails("POST", r"/dispatches$", "cut")

    place.client().dispatch("report.yml", "main", {"pr": "12"})

    assert len(events) == 1


# --- releases


def bundle(tmp_path: Path, content: bytes = b"trees") -> Path:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(content)
    return path


def test_a_release_has_its_files(place: Desk, tmp_path: Path) -> None:
    """A new repository has none; then it is found by its tag, and its files downloaded."""
    client, sha = place.client(), place.git.branch("main") or ""
    assert client.release("model-v1") is None

    made = client.create_release("model-v1", sha, "model-v1", "The first.", [bundle(tmp_path)])

    found = client.release("model-v1")
    assert found == made
    assert (found.tag, found.draft, [asset.name for asset in found.assets]) == ("model-v1", False, ["bundle.tar.gz"])
    asset = found.asset("bundle.tar.gz")
    assert asset is not None
    client.download_asset(asset, tmp_path / "down", limit=100)
    assert (tmp_path / "down").read_bytes() == b"trees"
    assert place.git.ref("refs/tags/model-v1") == sha


def test_a_release_is_made_once(place: Desk, tmp_path: Path) -> None:
    """Again changes nothing; with another file it is refused, for a release never changes."""
    client, sha = place.client(), place.git.branch("main") or ""
    first = client.create_release("model-v1", sha, "model-v1", "The first.", [bundle(tmp_path)])

    second = client.create_release("model-v1", sha, "model-v1", "The first.", [bundle(tmp_path)])

    assert first == second
    assert len(client.releases()) == 1
    with pytest.raises(ApiError, match=r"release model-v1: is published without this bundle.tar.gz"):
        client.create_release("model-v1", sha, "model-v1", "The first.", [bundle(tmp_path, b"other")])


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", r"/releases$"), ("POST", r"/releases/\d+/assets"), ("PATCH", r"/releases/\d+$")],
)
def test_a_release_that_was_left_half_made_is_finished(place: Desk, tmp_path: Path, method: str, path: str) -> None:
    """The job died on the way; nobody saw half a release, and the next run publishes one."""
    client, sha = place.client(), place.git.branch("main") or ""
    place.fails(method, path, 502, times=5)
    with pytest.raises(ApiError, match=r"GitHub answers 502 after 5 tries\nrun it again"):
        client.create_release("model-v1", sha, "model-v1", "The first.", [bundle(tmp_path)])
    assert client.release("model-v1") is None

    made = client.create_release("model-v1", sha, "model-v1", "The first.", [bundle(tmp_path)])

    assert [asset.name for asset in made.assets] == ["bundle.tar.gz"]
    assert [release.tag for release in client.releases()] == ["model-v1"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", r"/releases$"), ("POST", r"/releases/\d+/assets"), ("PATCH", r"/releases/\d+$")],
)
def test_a_release_survives_an_answer_that_is_lost(place: Desk, tmp_path: Path, method: str, path: str) -> None:
    """Whichever of its requests was done although nobody heard: there is one release with one file."""
    client, sha = place.client(), place.git.branch("main") or ""
    place.fails(method, path, "cut")

    made = client.create_release("model-v1", sha, "model-v1", "The first.", [bundle(tmp_path)])

    assert (made.draft, len(made.assets), len(client.releases())) == (False, 1, 1)


# --- a bad day


def test_a_server_that_stumbles_is_asked_again(place: Desk) -> None:
    """Longer waits each time, and the answer in the end."""
    place.fails("GET", r"/collaborators/ada/permission$", 502, times=3)

    assert place.client().permission("ada") == "admin"
    assert place.waits == [0.5, 1.0, 2.0]


def test_patience_has_a_bound(place: Desk) -> None:
    """Five tries, then one error in two lines that says what to do."""
    place.fails("GET", r"/collaborators/ada/permission$", 503, times=99)

    with pytest.raises(ApiError) as caught:
        place.client().permission("ada")

    assert str(caught.value) == (
        f"GET /repos/{place.name}/collaborators/ada/permission: GitHub answers 503 after 5 tries\nrun it again"
    )
    assert caught.value.status == 503
    assert place.waits == [0.5, 1.0, 2.0, 4.0]


def test_github_is_given_the_rest_it_asks_for(place: Desk) -> None:
    """`Retry-After` of a rate limit is waited for, also in a write, which was not done."""
    sha = place.git.branch("main") or ""
    place.fails("POST", r"/statuses/", 429, headers={"Retry-After": "7"})

    place.client().set_status(sha, "model-gate", "pending", "judging")

    assert place.waits == [7.0]
    assert len([status for status in place.server.state.statuses if status.repository == place.name]) == 1


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (
            403,
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 9)},
            "API rate limit exceeded",
        ),
        (403, {"Retry-After": "9"}, "You have exceeded a secondary rate limit"),
    ],
)
def test_a_rate_limit_that_looks_like_a_refusal_is_waited_for(
    place: Desk, status: int, headers: dict[str, str], message: str
) -> None:
    """GitHub answers 403 for both; the headers tell them apart."""
    place.fails("GET", r"/collaborators/ada/permission$", status, headers=headers, message=message)

    assert place.client().permission("ada") == "admin"
    assert len(place.waits) == 1
    assert 0 <= place.waits[0] <= 9


def test_a_rest_that_is_too_long_is_told_at_once(place: Desk) -> None:
    """A job that would sleep for an hour ends, and says when to come back."""
    place.fails("GET", r"/collaborators/ada/permission$", 429, headers={"Retry-After": "3600"})

    with pytest.raises(ApiError, match=r"limits the rate of requests, and asks for 3600 s of rest\nrun it again"):
        place.client().permission("ada")

    assert place.waits == []


def test_a_connection_that_is_cut_is_made_again(place: Desk) -> None:
    """Reading twice is harmless."""
    place.fails("GET", r"/collaborators/ada/permission$", "cut", times=2)

    assert place.client().permission("ada") == "admin"


def test_a_server_that_is_not_there_is_named() -> None:
    """The address, and the reason, in one line."""
    waits: list[float] = []
    patience = Patience(tries=2, sleep=waits.append, jitter=lambda: 0.0)
    client = Forge("ada/flights", "token", api_url="http://127.0.0.1:9/api/v3", patience=patience)

    with pytest.raises(ApiError, match=r"http://127.0.0.1:9/api/v3 cannot be reached: .*refused.* after 2 tries"):
        client.permission("ada")

    assert waits == [0.5]


def test_a_wrong_token_is_told(place: Desk) -> None:
    """At once: asking again would not help."""
    for call in (lambda c: c.permission("ada"), lambda c: c.login):
        with pytest.raises(ApiError, match=r"the token was refused: it is expired or wrong\nin a workflow") as caught:
            call(place.client("wrong"))

        assert (caught.value.status, place.waits) == (401, [])


@pytest.mark.parametrize(
    ("permissions", "call", "needed"),
    [
        (
            {"contents": "read"},
            lambda c, sha, n: c.set_status(sha, "model-gate", "pending", ""),
            "statuses: read|statuses: write",
        ),
        ({"statuses": "read"}, lambda c, sha, n: c.set_status(sha, "model-gate", "pending", ""), "statuses: write"),
        ({"contents": "read"}, lambda c, sha, n: c.commit_files("main", sha, {"a": b"b"}, "A"), "contents: write"),
        (
            {"pull_requests": "read", "issues": "read"},
            lambda c, sha, n: c.upsert_comment(n, MARKER, MARKER),
            "issues: write` or `pull-requests: write",
        ),
        ({"contents": "read"}, lambda c, sha, n: c.pull(n), "pull-requests: read"),
        (
            {"actions": "read", "contents": "read"},
            lambda c, sha, n: c.dispatch("ci.yml", "main"),
            "actions: write",
        ),
        ({"contents": "read"}, lambda c, sha, n: c.create_branch("new", sha), "contents: write"),
    ],
)
def test_a_permission_that_is_missing_is_named(
    place: Desk, permissions: dict[str, str], call: Callable[[Forge, str, int], object], needed: str
) -> None:
    """As it is written in a workflow."""
    place.commit("main", {".github/workflows/ci.yml": "on: workflow_dispatch\n"})
    number = place.pull().number

    with pytest.raises(ApiError, match=rf"the job needs `({needed})`") as caught:
        call(place.job(**permissions), place.git.branch("main") or "", number)

    assert (caught.value.status, place.waits) == (403, [])


def test_githubs_own_word_on_the_permission_comes_first(place: Desk) -> None:
    """GitHub names what an endpoint accepts in a header."""
    place.fails(
        "GET",
        r"/pulls/1$",
        403,
        headers={"X-Accepted-GitHub-Permissions": "issues=read; pull_requests=read"},
        message="Resource not accessible by integration",
    )

    with pytest.raises(ApiError) as caught:
        place.client().pull(1)

    assert str(caught.value) == (
        f"GET /repos/{place.name}/pulls/1: the token may not do this: Resource not accessible by integration\n"
        "the job needs `issues: read` or `pull-requests: read`"
    )


def test_the_reasons_under_a_refusal_are_told(place: Desk) -> None:
    """GitHub's message alone says "Validation Failed"."""
    place.commit("faster", {"params.yaml": "rate: 2\n"})

    with pytest.raises(ApiError, match=r"POST /repos/.*/pulls: GitHub answers 422: Validation Failed; \S+") as caught:
        place.client().create_pull("Faster", "faster", "no-such-branch")

    assert caught.value.status == 422


def test_what_is_not_there_is_told(place: Desk) -> None:
    """By the request that did not find it."""
    with pytest.raises(NotFound, match=rf"GET /repos/{place.name}/pulls/99: is not there, or the token may not see it"):
        place.client().pull(99)


def test_permission_of_a_person(place: Desk) -> None:
    """Who may do what here; a stranger may nothing, or read what is public."""
    place.server.token("grace", role="write")
    client = place.client()

    assert client.permission("ada") == "admin"
    assert client.permission("grace") == "write"
    assert client.permission("nobody-at-all") in {"none", "read"}


def test_a_setting_that_may_not_be_read_is_an_answer_too(place: Desk) -> None:
    """The doctor reports what it was told; a refused token is an error all the same."""
    assert place.client().ask("/actions/permissions").known is True
    denied = place.client(place.server.token("eve", role="read")).ask("/actions/permissions")
    assert (denied.known, denied.body) == (False, None)
    with pytest.raises(ApiError):
        place.client("wrong").ask("/actions/permissions")

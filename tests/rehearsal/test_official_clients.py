"""Clients that are not ours make the loop's calls against the local forge: Octokit, `@actions/artifact`, `gh` and git.

Which calls the loop makes is read from its own client; `ODD` says which of them another client cannot make, and why.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract import calls
from contract.cases import READS, WRITES, R, Row
from contract.desk import NAME
from contract.world import Call, World

from rehearsal import project
from rehearsal.forge import Artifact, Forge, Run
from rehearsal.runner import results
from rehearsal.runner.service import Guest, Service

# The requests share one forge, so one process makes them all.
pytestmark = pytest.mark.xdist_group("clients")

LOOP = calls.of_the_loop()
ODD: dict[str, dict[str, str]] = {
    "gh": {
        f"POST {R}/releases/{{release_id}}/assets": "`gh api` sends JSON or a file, and `gh release upload` finds the "
        "release by GraphQL",
    },
    "octokit": {},
}
"""Client to operation to why it cannot make it."""

CLIENTS = project.ROOT / "tests" / "rehearsal" / "clients"
GH = shutil.which("gh", path=str(Path(sys.executable).parent))
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (CLIENTS / "node_modules").is_dir(),
    reason="Node, or tests/rehearsal/clients/node_modules, is not there: `make test` installs it where npm is",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A forge on which something of everything exists."""
    folder = tmp_path_factory.mktemp("clients")
    with Forge(folder / "forge", bot_runs="held") as forge:
        yield World(forge, folder)


def row_of(operation: str) -> Row:
    """A request to an operation that succeeds."""
    return next(row for row in (*READS, *WRITES) if row[0] == operation and row[1] < 400)


def test_every_call_of_the_loop_has_a_request_that_succeeds() -> None:
    """What the loop asks is in GitHub's description, and each client makes it, or it is said why not."""
    assert len(LOOP) > 25
    assert {name for name in LOOP if row_of(name)} == set(LOOP)
    assert all(set(odd) <= set(LOOP) for odd in ODD.values())


# Octokit.


@needs_node
def test_octokit_makes_every_call_of_the_loop(world: World) -> None:
    """By the method that GitHub has made for it; bytes come after a redirect."""
    names = [name for name in LOOP if name not in ODD["octokit"]]
    rows = {name: row_of(name) for name in names}
    asked = [{"operation": name, **_parameters(world, rows[name][2](world))} for name in names]

    answers = dict(zip(names, _octokit(world.forge, asked), strict=True))

    wanted = {name: 200 if rows[name][1] == 302 else rows[name][1] for name in names}
    assert {name: answer["status"] for name, answer in answers.items()} == wanted, answers
    assert all(answer["method"] for answer in answers.values())
    for name, row in rows.items():
        if row[1] == 302:
            assert answers[name]["bytes"] > 0, name


@needs_node
def test_octokit_is_told_what_is_wrong(world: World) -> None:
    """A missing thing, a missing right, and a wrong token, each as GitHub says it."""
    path = {"owner": "ada", "repo": "flights"}
    asked = [
        {"operation": f"GET {R}/releases/tags/{{tag}}", "parameters": {**path, "tag": "none"}},
        {"operation": f"GET {R}", "parameters": path, "token": "wrong"},
        {
            "operation": f"POST {R}/statuses/{{sha}}",
            "parameters": {**path, "sha": world.head, "state": "success"},
            "token": world.tokens["idle"],
        },
    ]

    answers = _octokit(world.forge, [{"token": world.tokens["ada"], **one} for one in asked])

    assert [answer["status"] for answer in answers] == [404, 401, 403]
    assert "Resource not accessible by integration" in answers[2]["message"]


def _parameters(world: World, call: Call) -> dict[str, Any]:
    owner, repository = NAME.split("/")
    sent = {"owner": owner, "repo": repository, **call.path, **call.query}
    upload = base64.b64encode(call.body).decode() if isinstance(call.body, bytes) else None
    return {
        "parameters": sent | (call.body or {} if upload is None else {}),
        "token": world.tokens[call.who],
        **({"upload": upload} if upload else {}),
    }


def _octokit(forge: Forge, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = _node(forge, "octokit.mjs", stdin="".join(f"{json.dumps(one)}\n" for one in asked))
    return [json.loads(line) for line in done.splitlines()]


def _node(forge: Forge, *command: str, stdin: str = "", **more: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(forge.folder),
        "GITHUB_API_URL": forge.api,
        "UPLOADS_URL": f"{forge.url}/api/uploads",
        **more,
    }
    done = subprocess.run(
        ["node", *command], cwd=CLIENTS, env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# gh.


@dataclass(frozen=True)
class Gh:
    """GitHub's command line, which takes the forge for github.localhost."""

    world: World
    proxy: str

    def run(self, *arguments: str, who: str = "ada", stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it as somebody."""
        assert GH
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.world.folder),
            "GH_CONFIG_DIR": str(self.world.folder / "gh"),
            "GH_HOST": "github.localhost",
            "GH_TOKEN": self.world.tokens[who],
            "GH_ENTERPRISE_TOKEN": self.world.tokens[who],  # for the addresses that the forge gives
            "GH_REPO": f"github.localhost/{NAME}",
            "GH_PROMPT_DISABLED": "1",
            "GH_NO_UPDATE_NOTIFIER": "1",
            "HTTP_PROXY": self.proxy,
        }
        command = [GH, *arguments]
        return subprocess.run(
            command,
            cwd=self.world.folder,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )


class _Proxy(BaseHTTPRequestHandler):
    """Gives what is asked of api.github.localhost to the forge's API, and of any other place to that place."""

    forge: Forge

    def _pass(self) -> None:
        url = self.path.replace("http://api.github.localhost/", f"{self.forge.api}/")
        hops = {"host", "proxy-connection", "transfer-encoding"}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in hops}
        content = b"".join(self._chunks())
        answer = httpx.request(self.command, url, headers=kept, content=content, timeout=30)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection", "content-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def _chunks(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass  # noqa: N815 - names of the library

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - name of the library
        """Say nothing."""


@pytest.fixture(scope="module")
def gh(world: World) -> Iterator[Gh]:
    """GitHub's command line."""
    if GH is None:
        pytest.skip("gh is not installed: `make install`")
    handler = type("Proxy", (_Proxy,), {"forge": world.forge})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Gh(world, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.mark.parametrize("operation", [name for name in LOOP if name not in ODD["gh"]])
def test_gh_makes_every_call_of_the_loop(gh: Gh, operation: str) -> None:
    """As `gh api` sends it: JSON or `*/*` is asked for, redirects are followed."""
    _, _, make = row_of(operation)
    call = make(gh.world)
    verb, _, template = operation.partition(" ")
    owner, repository = NAME.split("/")
    path = template.format(**{"owner": owner, "repo": repository, **call.path})
    query = "&".join(f"{name}={value}" for name, value in call.query.items())
    accept = ("--header", "Accept: application/octet-stream") if "releases/assets" in path and verb == "GET" else ()
    body = ("--input", "-") if call.body is not None else ()
    where = path.lstrip("/") + (f"?{query}" if query else "")

    done = gh.run("api", "--method", verb, where, *accept, *body, who=call.who, stdin=json.dumps(call.body))

    assert done.returncode == 0, done.stdout + done.stderr


def test_gh_downloads_an_artifact_of_a_run(gh: Gh, tmp_path: Path) -> None:
    """`gh run download`, which unpacks it."""
    run = gh.world.finished_run()

    done = gh.run("run", "download", str(run.id), "--name", "evidence", "--dir", str(tmp_path / "out"))

    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run.json"]


def test_gh_lists_runs_and_starts_a_workflow(gh: Gh) -> None:
    """`gh run list`, `gh workflow run`."""
    listed = gh.run("run", "list", "--json", "databaseId,status,conclusion", "--limit", "100")
    assert listed.returncode == 0, listed.stderr
    assert gh.world.run.id in [one["databaseId"] for one in json.loads(listed.stdout)]

    started = gh.run("workflow", "run", "report.yml", "--ref", "main", "--field", "reason=a try")

    assert started.returncode == 0, started.stderr


def test_gh_downloads_an_asset_of_a_release(gh: Gh, tmp_path: Path) -> None:
    """`gh release download`, by tag."""
    tag = gh.world.release["tag_name"]

    done = gh.run("release", "download", tag, "--dir", str(tmp_path))

    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.zip"]


# @actions/artifact.


@dataclass(frozen=True)
class Job:
    """A job of a run, with what its runner would give it."""

    forge: Forge
    service: Service
    run: Run
    folder: Path

    def call(self, function: str, *arguments: Any, run: Run | None = None) -> dict[str, Any]:
        """Call a function of GitHub's client of artifacts."""
        asked = run or self.run
        token = results.runtime_token(asked)
        self.service.guests[token] = Guest(asked, ["refs/heads/main"])
        said = _node(
            self.forge,
            "artifact.mjs",
            function,
            json.dumps(arguments),
            ACTIONS_RUNTIME_TOKEN=token,
            ACTIONS_RESULTS_URL=f"{self.forge.url}/",
            GITHUB_SERVER_URL="https://github.com",  # the client refuses others
            GITHUB_WORKSPACE=str(self.folder),
            GITHUB_RETENTION_DAYS="90",
        )
        return dict(json.loads(said))

    def kept(self, name: str) -> Artifact:
        """What the forge has of that name."""
        found = self.forge.artifact(self.run, name)
        assert found
        return found


@pytest.fixture
def job(world: World, tmp_path: Path) -> Job:
    """A job that may upload."""
    service = Service(world.forge, tmp_path / "caches")
    service.mount()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "judgement.json").write_text('{"outcome": "judged"}')
    (tmp_path / "out" / "report.html").write_text("<p>report</p>")
    return Job(world.forge, service, world.open_run(), tmp_path)


def upload(job: Job, name: str, *files: str, **options: Any) -> dict[str, Any]:
    """Upload files of the job."""
    paths = [str(job.folder / "out" / file) for file in files]
    return job.call("uploadArtifact", name, paths, str(job.folder / "out"), options)


@needs_node
def test_the_artifact_client_uploads_and_downloads_in_a_run(job: Job) -> None:
    """The digest, the size and the files are those that were uploaded; the REST API tells the same of it."""
    made = upload(job, "judgement", "judgement.json", "report.html")

    found = job.call("getArtifact", "judgement")["artifact"]
    job.call(
        "downloadArtifact", made["id"], {"path": str(job.folder / "in"), "expectedHash": f"sha256:{made['digest']}"}
    )

    assert (found["id"], found["size"], found["digest"]) == (made["id"], made["size"], f"sha256:{made['digest']}")
    assert job.kept("judgement").digest == f"sha256:{made['digest']}"
    assert (job.folder / "in" / "judgement.json").read_text() == '{"outcome": "judged"}'
    assert [one["name"] for one in job.call("listArtifacts")["artifacts"]] == ["judgement"]


@needs_node
def test_the_artifact_client_keeps_one_file_as_it_is(job: Job) -> None:
    """`archive: false`: named after the file, and downloaded without being unpacked."""
    made = upload(job, "ignored", "report.html", skipArchive=True)

    job.call("downloadArtifact", made["id"], {"path": str(job.folder / "in")})

    assert Path(job.kept("report.html").path).read_text() == "<p>report</p>"
    assert (job.folder / "in" / "report.html").read_text() == "<p>report</p>"


@needs_node
def test_a_name_is_taken_once_in_a_run_whatever_its_attempt(job: Job) -> None:
    """Until it is deleted, which is what `overwrite` does."""
    upload(job, "judgement", "judgement.json")
    with job.forge.changing():
        job.run.attempt += 1

    refused = upload(job, "judgement", "report.html")["error"]
    job.call("deleteArtifact", "judgement")
    made = upload(job, "judgement", "report.html")

    assert "(409)" in refused
    assert "an artifact with this name already exists on the workflow run" in refused
    assert job.kept("judgement").id == made["id"]


@needs_node
def test_the_artifact_client_reads_another_run_with_a_token(job: Job, world: World) -> None:
    """Through the REST API, as the judge does; the token of the runtime is worth nothing there."""
    upload(job, "judgement", "judgement.json")
    other = world.open_run()
    owner, repository = NAME.split("/")
    by = {
        "token": world.tokens["bot"],
        "workflowRunId": job.run.id,
        "repositoryOwner": owner,
        "repositoryName": repository,
    }

    found = job.call("getArtifact", "judgement", {"findBy": by}, run=other)["artifact"]
    target = {"path": str(job.folder / "in"), "findBy": by}
    job.call("downloadArtifact", found["id"], target, run=other)

    assert (job.folder / "in" / "judgement.json").read_text() == '{"outcome": "judged"}'
    assert "error" in job.call("getArtifact", "judgement", run=other)


def test_the_versions_of_the_clients_are_pinned() -> None:
    """A number each, and a lock that names no registry."""
    wanted: Mapping[str, str] = json.loads((CLIENTS / "package.json").read_text())["dependencies"]
    locked = json.loads((CLIENTS / "package-lock.json").read_text())["packages"]

    assert all(locked[f"node_modules/{name}"]["version"] == version for name, version in wanted.items())
    assert not any("resolved" in one for one in locked.values())

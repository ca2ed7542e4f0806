"""A desk: a repository on a local forge, a runner beside it, and people who edit, propose and merge as in a browser."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import httpx

from ratchet import comment, params
from ratchet.errors import RatchetError
from rehearsal import project
from rehearsal.forge import BotRuns, Forge
from rehearsal.runner import Runner

Json = dict[str, Any]
Change = bytes | None | Mapping[str, Any]

AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", "-c", "commit.gpgsign=false")


class Desk:
    """Forge, runner and one repository, whose owner is whoever stands before the slash.

    Args:
        folder: Where everything lies; what is there is opened again.
        repository: Its full name.
        port: Of the forge; 0 is any free one.
        workers: How many jobs run at once.
        bot_runs: What becomes of a pull request's event that a workflow's own token causes; None: as before.
    """

    def __init__(
        self,
        folder: Path,
        repository: str = "ada/flights",
        port: int = 0,
        workers: int = 2,
        bot_runs: BotRuns | None = None,
    ) -> None:
        self.folder, self.name = folder, repository
        self.owner = repository.split("/", maxsplit=1)[0]
        self.forge = Forge(folder, port, bot_runs)
        self.runner = Runner(self.forge, workers=workers)
        self._clients: dict[str, httpx.Client] = {}

    def __enter__(self) -> Desk:
        """Start forge and runner."""
        self.forge.start()
        self.runner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all that was started."""
        for client in self._clients.values():
            client.close()
        self.runner.stop()
        self.forge.stop()

    @property
    def url(self) -> str:
        """The repository's page."""
        return f"{self.forge.url}/{self.name}"

    @property
    def branch(self) -> str:
        """The default branch."""
        return self.forge.repository(self.name).default_branch

    def found(self, files: Path, branch: str = "main") -> None:
        """Make the repository, with the files of a folder as the first commit of its default branch."""
        self.forge.create_repository(self.name, branch=branch)
        with TemporaryDirectory() as scratch:
            clone = Path(scratch, "project")
            shutil.copytree(files, clone, ignore=shutil.ignore_patterns(".git"))
            git(clone, "init", "--quiet", "--initial-branch", branch)
            git(clone, "add", "--all")
            git(clone, *AUTHOR, "commit", "--quiet", "--message", "The project")
            git(clone, "push", "--quiet", self.remote(self.owner), branch)

    def protect(self) -> None:
        """What a maintainer clicks on the first day: import the ruleset, let Actions open pull requests."""
        ruleset = json.loads((project.ROOT / ".github" / "rulesets" / "main.json").read_text(encoding="utf-8"))
        names = ("name", "target", "enforcement", "conditions", "rules")
        checked(self.ask("POST", "/rulesets", **{name: ruleset[name] for name in names}))
        with self.forge.changing():
            self.forge.repository(self.name).settings.actions_may_open_pulls = True

    def remote(self, who: str, repository: str | None = None) -> str:
        """Address for git, with the token of a person in it."""
        secret = f"{who}:{self.token(who)}"
        return f"{self.forge.url.replace('://', f'://{secret}@')}/{repository or self.name}.git"

    def token(self, who: str) -> str:
        """The token of a person: the owner may do everything, others may propose."""
        return self.forge.token(who, role="admin" if who == self.owner else "read")

    def ask(self, method: str, path: str, who: str | None = None, **body: Any) -> httpx.Response:
        """Call the REST API as a person; `path` begins after the repository's name, or with `/repos/`."""
        person = who or self.owner
        if person not in self._clients:
            headers = {"Authorization": f"Bearer {self.token(person)}"}
            self._clients[person] = httpx.Client(headers=headers, timeout=60, follow_redirects=True)
        where = path if path.startswith("/repos/") else f"/repos/{self.name}{path}"
        return self._clients[person].request(method, f"{self.forge.api}{where}", json=body or None)

    def get(self, path: str, **query: Any) -> Any:
        """What the API says of a path."""
        return checked(self.ask("GET", path + ("?" + str(httpx.QueryParams(query)) if query else "")))

    def propose(self, title: str, changes: Mapping[str, Change], branch: str, who: str | None = None) -> int:
        """Edit files on a new branch of the default one and open a pull request; its number.

        Args:
            title: Of the pull request.
            changes: Path to its new content, to None (removed), or, of params.yaml, to dotted keys and values.
            branch: Name of the branch.
            who: Someone else than the owner works in a fork.
        """
        person = who or self.owner
        repository = self.name if person == self.owner else self.forge.fork(self.name, person).full_name
        base = self.get(f"/git/ref/heads/{self.branch}")["object"]["sha"]
        ref = {"ref": f"refs/heads/{branch}", "sha": base}
        checked(self.ask("POST", f"/repos/{repository}/git/refs", person, **ref))
        self.edit(changes, branch, repository, person)
        head = branch if repository == self.name else f"{person}:{branch}"
        opened = checked(self.ask("POST", "/pulls", person, title=title, head=head, base=self.branch, body=""))
        return int(opened["number"])

    def edit(
        self, changes: Mapping[str, Change], branch: str, repository: str | None = None, who: str | None = None
    ) -> None:
        """Change files of a branch, one commit each, as the pencil in the browser does."""
        where = repository or self.name
        for path, change in changes.items():
            url = f"/repos/{where}/contents/{path}"
            there = self.ask("GET", f"{url}?ref={branch}", who)
            old: Json = checked(there) if there.status_code == 200 else {}
            body: Json = {"message": f"Edit {path}", "branch": branch} | ({"sha": old["sha"]} if old else {})
            if change is None:
                checked(self.ask("DELETE", url, who, **body))
                continue
            content = change if isinstance(change, bytes) else _edited(base64.b64decode(old["content"]), change)
            checked(self.ask("PUT", url, who, **body, content=base64.b64encode(content).decode()))

    def wait(self, timeout: float = 900) -> None:
        """Until nothing runs any more, what was set off by what ended included."""
        self.runner.wait(timeout)

    def pull(self, number: int) -> Json:
        """A pull request."""
        return dict(self.get(f"/pulls/{number}"))

    def merge(self, number: int, how: str = "merge") -> httpx.Response:
        """Press the button."""
        return self.ask("PUT", f"/pulls/{number}/merge", merge_method=how)

    def close(self, number: int) -> None:
        """Give a pull request up."""
        checked(self.ask("PATCH", f"/pulls/{number}", state="closed"))

    def comments(self, number: int) -> list[str]:
        """Bodies of the comments that are the loop's."""
        found, page = [], 1
        while listed := self.get(f"/issues/{number}/comments", per_page=100, page=page):
            found += [each["body"] for each in listed if each["body"].startswith(comment.MARKER)]
            page += 1
        return found

    def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        """Context to state and description, of a commit."""
        listed = self.get(f"/commits/{sha}/status")["statuses"]
        return {each["context"]: (each["state"], each["description"]) for each in listed}

    def dispatch(self, workflow: str, ref: str = "", who: str | None = None, **inputs: str) -> httpx.Response:
        """Start a workflow by hand, on the default branch unless another is named."""
        where = f"/actions/workflows/{workflow}/dispatches"
        return self.ask("POST", where, who, ref=ref or self.branch, inputs=inputs)

    def guard(self, environment: str = "production", reviewers: Collection[str] = ()) -> None:
        """Ask for an approval before anything is deployed to an environment; the owner's, unless others are named."""
        people = [{"type": "User", "id": self.forge.state.user(who).id} for who in reviewers or [self.owner]]
        checked(self.ask("PUT", f"/environments/{environment}", reviewers=people))

    def waiting(self) -> list[int]:
        """The runs that wait for an approval, oldest first."""
        listed = self.get("/actions/runs", status="waiting", per_page=100)["workflow_runs"]
        return sorted(int(run["id"]) for run in listed)

    def approve(self, run: int, who: str | None = None, verdict: str = "approved", comment: str = "") -> httpx.Response:
        """Let a run go on that waits for an approval; or, with the verdict "rejected", end it."""
        where = f"/actions/runs/{run}/pending_deployments"
        awaited = [one["environment"]["id"] for one in self.get(where)]
        return self.ask("POST", where, who, environment_ids=awaited, state=verdict, comment=comment)

    def approve_workflows(self, number: int, who: str | None = None) -> None:
        """Press "Approve workflows to run" on a pull request: the runs of its head that are held begin."""
        sha, actor = self.pull(number)["head"]["sha"], self.forge.actor(self.token(who or self.owner))
        for run in self.forge.runs(self.name):
            if run.head_sha == sha and run.is_held and actor:
                self.forge.approve_run(run, actor)

    def review(self, number: int, who: str, event: str = "APPROVE", body: str = "") -> httpx.Response:
        """Say what somebody thinks of a pull request."""
        return self.ask("POST", f"/pulls/{number}/reviews", who, event=event, body=body)

    def head(self, branch: str) -> str | None:
        """The commit that a branch points at; None when there is no such branch."""
        answer = self.ask("GET", f"/git/ref/heads/{branch}")
        return None if answer.status_code == 404 else str(checked(answer)["object"]["sha"])

    def file(self, branch: str, path: str) -> bytes:
        """What a file of a branch holds."""
        return base64.b64decode(self.get(f"/contents/{path}", ref=branch)["content"])

    def records(self) -> dict[str, Json]:
        """The ledger: path to record."""
        if self.ask("GET", "/branches/records").status_code == 404:
            return {}
        entries = self.get("/git/trees/records", recursive=1)["tree"]
        paths = {entry["path"]: entry["sha"] for entry in entries if entry["type"] == "blob"}
        blobs = {path: self.get(f"/git/blobs/{sha}")["content"] for path, sha in paths.items()}
        return {path: json.loads(base64.b64decode(content)) for path, content in blobs.items()}


def checked(response: httpx.Response) -> Any:
    """The JSON of an answer.

    Raises:
        RatchetError: It is no success.
    """
    if response.is_error:
        raise RatchetError(
            f"{response.request.method} {response.request.url.path}: {response.status_code}: {response.text}"
        )
    return response.json() if response.content else None


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; its output.

    Raises:
        RatchetError: It fails.
    """
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RatchetError(f"git {' '.join(arguments[-2:])}: {done.stderr.strip()}")
    return done.stdout.strip()


def _edited(content: bytes, changes: Mapping[str, Any]) -> bytes:
    with TemporaryDirectory() as scratch:
        path = Path(scratch, "params.yaml")
        path.write_bytes(content)
        params.edit(path, changes)
        return path.read_bytes()

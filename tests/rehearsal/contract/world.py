"""A forge on which something of everything exists, and plain HTTP requests to it that must keep to the description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from contract import desk
from contract.description import Operation, operation_of
from contract.desk import NAME, branch, git, run_of

from rehearsal.forge import BOT, Forge, Run
from rehearsal.forge.git import Entry, Person

PERMISSIONS = ("actions", "checks", "contents", "issues", "pull-requests", "statuses")
EVERYTHING = dict.fromkeys(PERMISSIONS, "write")


@dataclass
class Call:
    """A request: who makes it, what stands in the path's braces, the query, and the body (JSON or bytes)."""

    who: str = "ada"
    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None


@dataclass
class World:
    """The forge, a clone of `ada/flights`, and what the requests refer to.

    People: `ada` owns the repository, `eve` and `bob` read it, `nobody` has no token, `wrong` an unknown one;
    `bot` is a job that may do everything, `idle` a job that may do nothing.
    """

    forge: Forge
    folder: Path
    numbers: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.clone = desk.seeded(self.forge, self.folder / "clone")
        self.forge.repository(desk.NAME).settings.actions_may_open_pulls = True
        self.main = git(self.clone, "rev-parse", "main")
        self.tokens = {"ada": self.forge.token("ada"), "eve": self.forge.token("eve", role="read"), "wrong": "wrong"}
        self.tokens["bob"] = self.forge.token("bob", role="read")
        self.head = branch(self.clone, "more-trees", {"params.yaml": "seed: 1\n\n\n\ntrees: 200\n"}, "Twice the trees")
        self.http = httpx.Client(timeout=30)
        self.pull = self.number_of("POST /repos/{owner}/{repo}/pulls", title="Twice", head="more-trees", base="main")
        self.run = self.finished_run()
        self.tokens |= {"bot": self.job_token("bot", EVERYTHING), "idle": self.job_token("idle", {})}

    # What is there once.

    @cached_property
    def issue(self) -> int:
        """An issue with a label."""
        return self.number_of("POST /repos/{owner}/{repo}/issues", title="Drift", body="It drifts.", labels=["drift"])

    @cached_property
    def release(self) -> dict[str, Any]:
        """A published release with one asset."""
        made = self.release_of("model-v1", draft=False)
        self.asset(made["id"], "bundle.zip")
        return dict(self.json("GET /repos/{owner}/{repo}/releases/{release_id}", release_id=made["id"]))

    @cached_property
    def ruleset(self) -> int:
        """A ruleset that asks nothing of anybody yet."""
        return self.ruleset_of("idle")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """An environment that its owner has to let runs into."""
        return self.environment_of("production", self.user("ada"))

    @cached_property
    def check(self) -> int:
        """A check run on the pull request's head."""
        body = {"name": "lint", "head_sha": self.head, "status": "in_progress"}
        return int(self.json("POST /repos/{owner}/{repo}/check-runs", body=body, who="bot")["id"])

    # What is made anew each time it is asked for.

    def name(self, beginning: str) -> str:
        """A name that nothing has yet."""
        return f"{beginning}-{next(self.numbers)}"

    def branch(self, content: str = "trees: 300\n", path: str = "params.yaml", message: str = "Change") -> str:
        """A branch off the first commit with one file changed."""
        made, git = self.name("branch"), self.forge.git(NAME)
        tree = git.write_tree(self.main, [Entry(path, "100644", "blob", git.write_blob(content.encode()))])
        sha = git.write_commit(tree, [self.main], message, Person("ada", "ada@example.org"))
        self.forge.move(NAME, f"refs/heads/{made}", sha, self.forge.owner(NAME))
        return made

    def sha(self, name: str) -> str:
        """The commit that a branch is at."""
        return self.forge.git(NAME).branch(name) or ""

    def pull_of(self, head: str, base: str = "main") -> int:
        """A pull request."""
        return self.number_of("POST /repos/{owner}/{repo}/pulls", title="Change", head=head, base=base)

    def conflict(self) -> int:
        """A pull request whose base changed the same line."""
        return self.pull_of(self.branch("trees: 1\n"), self.branch("trees: 2\n"))

    def mergeable(self) -> int:
        """A pull request whose base went on elsewhere."""
        base = self.branch(path="README.md", content="# Base\n")
        return self.pull_of(self.branch(), base)

    def merged(self) -> int:
        """A pull request that was merged."""
        number = self.mergeable()
        self.json("PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge", pull_number=number, body={})
        return number

    def reviewed(self) -> int:
        """A pull request that somebody has approved."""
        number = self.mergeable()
        path = "POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews"
        self.json(path, body={"event": "APPROVE", "body": "Fine."}, who="eve", pull_number=number)
        return number

    def user(self, login: str) -> int:
        """The number of a person."""
        return int(self.json("GET /users/{username}", username=login)["id"])

    def environment_of(self, name: str, *reviewers: int) -> dict[str, Any]:
        """An environment."""
        body = {"reviewers": [{"type": "User", "id": number} for number in reviewers]}
        path = "PUT /repos/{owner}/{repo}/environments/{environment_name}"
        return dict(self.json(path, body=body, environment_name=name))

    def place(self) -> str:
        """The name of an environment that nobody guards."""
        return str(self.environment_of(self.name("place"))["name"])

    def comment(self) -> int:
        """A comment on the issue, by the bot."""
        body = {"body": "A word."}
        path = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments"
        return int(self.json(path, issue_number=self.issue, body=body, who="bot")["id"])

    def label(self) -> str:
        """A label that the issue has."""
        name = self.name("label")
        path = "POST /repos/{owner}/{repo}/issues/{issue_number}/labels"
        self.json(path, issue_number=self.pull, body={"labels": [name]})
        return name

    def release_of(self, tag: str, *, draft: bool) -> dict[str, Any]:
        """A release without assets."""
        body = {"tag_name": tag, "target_commitish": self.main, "name": tag, "body": "Notes.", "draft": draft}
        return dict(self.json("POST /repos/{owner}/{repo}/releases", body=body))

    def draft(self) -> int:
        """A draft of a release."""
        return int(self.release_of(self.name("draft"), draft=True)["id"])

    def asset(self, release: int, name: str) -> int:
        """An asset of a release."""
        call = Call(path={"release_id": release}, query={"name": name}, body=b"bytes")
        answer = self.send(Operation("POST /repos/{owner}/{repo}/releases/{release_id}/assets"), call)
        return int(answer.raise_for_status().json()["id"])

    def loose_asset(self) -> int:
        """An asset of a draft."""
        return self.asset(self.draft(), "bundle.zip")

    def ruleset_of(self, branch: str, context: str = "model-gate") -> int:
        """A ruleset that keeps a branch until a status is green, and its history as it is."""
        made = self.json("POST /repos/{owner}/{repo}/rulesets", body=ruleset(self.name("rules"), branch, context))
        return int(made["id"])

    def blob(self) -> str:
        """A blob."""
        body = {"content": self.name("text"), "encoding": "utf-8"}
        return str(self.json("POST /repos/{owner}/{repo}/git/blobs", body=body)["sha"])

    def tree(self) -> str:
        """The tree of the first commit."""
        return git(self.clone, "rev-parse", f"{self.main}^{{tree}}")

    def commit(self, parent: str) -> str:
        """A commit that no branch holds."""
        body = {"message": self.name("Loose"), "tree": self.tree(), "parents": [parent]}
        return str(self.json("POST /repos/{owner}/{repo}/git/commits", body=body)["sha"])

    def blob_of(self, path: str) -> str:
        """The blob of a file in the first commit."""
        return git(self.clone, "rev-parse", f"{self.main}:{path}")

    def tag(self) -> str:
        """An annotated tag's object."""
        body = {"tag": self.name("tag"), "message": "Tag", "object": self.main, "type": "commit"}
        return str(self.json("POST /repos/{owner}/{repo}/git/tags", body=body)["sha"])

    def even(self) -> str:
        """A branch without a commit of its own."""
        made = self.name("even")
        self.forge.move(NAME, f"refs/heads/{made}", self.main, self.forge.owner(NAME))
        return made

    def guarded(self) -> int:
        """A pull request whose base wants a status that nobody has set."""
        base = self.branch(path="README.md", content="# Base\n")
        number = self.pull_of(self.branch(), base)
        self.ruleset_of(base)
        return number

    # Runs.

    def open_run(self) -> Run:
        """A run under way with one job."""
        run = self.forge.open_run(run_of(self.head))
        self.forge.begin_run(run)
        return run

    def finished_run(self) -> Run:
        """A run that ended well, with a job, its log, and an artifact."""
        run = self.open_run()
        job = self.forge.begin_job(run, "report", {"contents": "read"})
        (self.folder / "evidence").mkdir(exist_ok=True)
        (self.folder / "evidence" / "run.json").write_text("{}")
        (self.folder / "log.txt").write_text("echo report\nreport\n")
        with self.forge.changing():
            run.log = str(self.folder / "log.txt")
        self.forge.store_artifact(run, "evidence", self.folder / "evidence")
        self.forge.end_job(job, "success", [{"name": "echo report", "conclusion": "success", "seconds": 0.5}])
        self.forge.close_run(run, "success")
        return run

    def waiting_run(self) -> Run:
        """A run that waits until a maintainer lets it."""
        run = self.forge.open_run(replace(run_of(self.head), actor=BOT))
        assert run.is_held
        return run

    def held_run(self) -> Run:
        """A run that waits for the reviewers of an environment."""
        run = self.forge.open_run(run_of(self.head))
        assert self.forge.hold_run(run, [self.environment["name"]])
        return run

    def approved_run(self) -> Run:
        """A run that was let into an environment."""
        run = self.held_run()
        body = {"environment_ids": [self.environment["id"]], "state": "approved", "comment": ""}
        self.json("POST /repos/{owner}/{repo}/actions/runs/{run_id}/pending_deployments", body=body, run_id=run.id)
        return run

    def job_token(self, name: str, permissions: Mapping[str, str]) -> str:
        """The token of a job that is under way."""
        run = self.open_run()
        self.forge.begin_job(run, name, permissions)
        return self.forge.mint(run)

    @property
    def artifact(self) -> int:
        """The artifact of the run."""
        found = self.forge.artifact(self.run, "evidence")
        assert found
        return found.id

    def loose_artifact(self) -> int:
        """An artifact of a run of its own."""
        found = self.forge.artifact(self.finished_run(), "evidence")
        assert found
        return found.id

    def expired_artifact(self) -> int:
        """An artifact whose time is over."""
        found = self.forge.artifact(self.finished_run(), "evidence")
        assert found
        with self.forge.changing():
            found.expired = True
        return found.id

    # HTTP.

    def send(self, operation: Operation, call: Call) -> httpx.Response:
        """Send a request, redirects not followed."""
        owner, repository = NAME.split("/")
        values = {"owner": owner, "repo": repository, **call.path}
        path = operation.template.format(**{key: quote(str(value), safe="/:") for key, value in values.items()})
        assert operation_of(operation.method, path) == operation
        uploads = operation.name.endswith("/releases/{release_id}/assets") and operation.method == "POST"
        token = self.tokens.get(call.who)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        content = {"content": call.body} if isinstance(call.body, bytes) else {"json": call.body}
        if isinstance(call.body, bytes):
            headers["Content-Type"] = "application/octet-stream"
        root = f"{self.forge.url}/api/uploads" if uploads else self.forge.api
        sent: dict[str, Any] = content if call.body is not None else {}
        return self.http.request(operation.method, root + path, params=dict(call.query), headers=headers, **sent)

    def json(self, operation: str, body: Any = None, who: str = "ada", **path: Any) -> Any:
        """The answer to a request that succeeds."""
        return self.send(Operation(operation), Call(who, path, {}, body)).raise_for_status().json()

    def number_of(self, operation: str, **body: Any) -> int:
        """The number of an issue or a pull request that is made."""
        return int(self.json(operation, body=body)["number"])


def ruleset(name: str, branch: str, context: str = "model-gate") -> dict[str, Any]:
    """Keep a branch until a status is green; no deletion, no rewriting."""
    checks = {
        "strict_required_status_checks_policy": True,
        "do_not_enforce_on_create": True,
        "required_status_checks": [{"context": context}],
    }
    return {
        "name": name,
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": [f"refs/heads/{branch}"], "exclude": []}},
        "rules": [
            {"type": "deletion"},
            {"type": "non_fast_forward"},
            {"type": "required_status_checks", "parameters": checks},
        ],
        "bypass_actors": [],
    }


Make = Callable[[World], Call]

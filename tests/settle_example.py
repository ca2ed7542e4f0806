"""A pull request on a local forge, and what its workflows would do about it: what tests of the verbs share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import report_example
from forge_example import Desk
from ratchet import comment, ledger, settle
from ratchet.forge import Forge
from ratchet.settle import Settled
from rehearsal.forge import Pull as ServerPull
from rehearsal.forge import Run as ServerRun
from rehearsal.forge import events, runs
from rehearsal.forge.access import person
from rehearsal.forge.git import Entry, Person

LOCK = "schema: '2.0'\nstages: {}\n"
REPORT, CI = ".github/workflows/report.yml", ".github/workflows/ci.yml"
SENTENCES = {
    "promote": "Promote: log loss falls.",
    "safe": "Hold, safe: no gain is proven.",
    "cannot tell": "Hold, cannot tell: too few days.",
    "judge changed": "Hold, judge changed: it touches the gate.",
    "block": "Block: log loss rises.",
    "void": "Void: it has seen the holdout.",
}


def verdict(said: str) -> dict[str, Any]:
    """A verdict: "promote", "block", "void", or the kind of a hold."""
    is_hold = said in {"safe", "cannot tell", "judge changed"}
    word = {"verdict": "hold", "hold": said} if is_hold else {"verdict": said, "hold": None}
    return {**report_example.verdict(), **word, "sentence": SENTENCES[said]}


def judged(said: str = "promote", **more: Any) -> dict[str, Any]:
    """A judgement with looks 1 to 3, whose lock has to be committed."""
    looks = [{**verdict(said), "look": {"number": look, "level": 0.03, "budget": 0.05}} for look in (1, 2, 3)]
    return report_example.judgement() | {"verdicts": looks, "first_look": 1, "lock": LOCK, **more}


@dataclass
class Place:
    """A repository with one pull request, and what its workflows would do about it."""

    desk: Desk
    forge: Forge
    pull: ServerPull

    @property
    def head(self) -> str:
        """The head of the pull request now."""
        return str(self.desk.server.pull(self.desk.name, self.pull.number).head_sha)

    @property
    def links(self) -> comment.Links:
        """Where things stand."""
        return comment.Links(self.desk.server.url, self.desk.name)

    def run(self, path: str = REPORT, sha: str = "", **fields: Any) -> ServerRun:
        """A run for the head, in progress: its job has begun."""
        run = self.opened(path, sha, **fields)
        self.begin(run)
        return run

    def opened(self, path: str = REPORT, sha: str = "", **fields: Any) -> ServerRun:
        """A run for the head that nobody executes yet: queued, or what becomes of a bot's."""
        where = {"head_branch": self.pull.head_ref, "head_repository": self.pull.head_repository}
        return self.desk.opened(path, head_sha=sha or self.head, **where, **fields)

    def begin(self, run: ServerRun) -> None:
        """A runner takes it."""
        self.desk.server.begin_run(run)
        self.desk.server.begin_job(run, "job", {})

    def event(self, run: ServerRun, action: str) -> dict[str, Any]:
        """What GitHub tells verdict.yml about a run as it is now."""
        payload: dict[str, Any] = json.loads(json.dumps(events.workflow_run(self.desk.server, run, action).payload))
        return payload

    def ended(self, path: str = REPORT, conclusion: str = "success", sha: str = "") -> tuple[ServerRun, dict[str, Any]]:
        """A run that has ended, and the event of it."""
        run = self.run(path, sha)
        self.desk.server.close_run(run, conclusion)
        return run, self.event(run, "completed")

    def rerun(self, run: ServerRun) -> None:
        """Somebody runs it again: its next attempt is queued."""
        with self.desk.server.changing():
            runs.rerun(self.desk.server, run, person("ada"))

    def judgement(self, run: ServerRun, said: str = "promote", **more: Any) -> dict[str, Any]:
        """What the judge found about a run of this pull request."""
        return self.about(run, judged(said, **more))

    def about(self, run: ServerRun, judgement: Mapping[str, Any]) -> dict[str, Any]:
        """The judgement, as one about that run."""
        head = {
            "sha": run.head_sha,
            "repository": run.head_repository,
            "branch": run.head_branch,
            "is_fork": self.pull.is_fork,
        }
        named = {"id": run.id, "attempt": run.attempt, "url": f"{self.desk.server.url}/run/{run.id}"}
        return {**judgement, "pull_request": self.pull.number, "head": head, "run": named}

    def interrupted(self, name: str, deed: Callable[[], object]) -> Forge:
        """A client to which something else happens just before it does something for the first time."""
        client, deeds = self.desk.client(tries=2), [deed]
        does = getattr(client, name)

        def first(*arguments: Any, **options: Any) -> Any:
            while deeds:
                deeds.pop()()
            return does(*arguments, **options)

        setattr(client, name, first)
        return client

    def settle(self, event: Mapping[str, Any], judgement: Mapping[str, Any] | None = None) -> Settled:
        """Settle and comment, as the jobs do."""
        found = settle.settle(self.forge, event, judgement, self.links)
        if found.comment is not None and found.pull_request is not None:
            self.forge.upsert_comment(found.pull_request, comment.MARKER, found.comment)
        return found

    def states(self, sha: str) -> dict[str, str]:
        """Context to state of a commit."""
        return {context: found.state for context, found in self.desk.server.statuses(self.desk.name, sha).items()}

    def status(self, sha: str, context: str = "model-gate") -> tuple[str, str]:
        """State and description of one status."""
        found = self.desk.server.statuses(self.desk.name, sha)[context]
        return found.state, found.description or ""

    def verdicts(self) -> list[dict[str, Any]]:
        """The verdicts in the ledger, oldest first."""
        return ledger.Ledger(self.forge).listing().all_verdicts()

    def claims(self) -> list[dict[str, Any]]:
        """What the ledger holds of a fork's own scores."""
        return ledger.Ledger(self.forge).listing().claims(self.pull.number)

    def comments(self) -> list[str]:
        """What stands under the pull request."""
        return [found.body for found in self.forge.comments(self.pull.number)]

    def push(self, files: Mapping[str, str]) -> str:
        """A person pushes onto the branch of the pull request."""
        name = self.pull.head_repository if self.pull.is_fork else ""
        return self.desk.commit(self.pull.head_ref, files, "A push", name=name)

    def delete(self, path: str) -> str:
        """A person deletes a file on the branch."""
        git = self.desk.git
        tree = git.write_tree(self.head, [Entry(path, "100644", "blob", None)])
        sha = git.write_commit(tree, [self.head], "Away with it", Person("Ada", "ada@example.org"))
        self.desk.server.move(self.desk.name, f"refs/heads/{self.pull.head_ref}", sha, person("ada"))
        return str(sha)

"""A forge, a repository on it and plain clients: what the tests of the forge's own rules share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from rehearsal.forge import BOT, Event, Forge, Pull, Run
from rehearsal.forge.access import Actor, person
from rehearsal.forge.git import Entry, Git, Person
from rehearsal.forge.pulls import Proposal, open_pull
from rehearsal.forge.state import Token

NAME = "ada/flights"
ADA = person("ada")
WORKFLOW = """\
name: Report
on:
  workflow_dispatch:
    inputs:
      reason: {required: true}
      kind: {default: accept, options: [accept, adopt]}
"""


@dataclass
class Desk:
    """The forge, and every event it told, oldest first."""

    forge: Forge
    events: list[Event] = field(default_factory=list)

    @property
    def git(self) -> Git:
        """The repository's git."""
        return self.forge.git(NAME)

    def told(self) -> list[str]:
        """The events as `name.action by whom`; forgets them."""
        found = [
            f"{one.name}.{one.action} by {one.actor}" if one.action else f"{one.name} by {one.actor}"
            for one in self.events
        ]
        self.events.clear()
        return found

    def commit(self, branch: str, files: Mapping[str, str | None], by: Actor = ADA, name: str = NAME) -> str:
        """Commit files to a branch, as a push of somebody does."""
        git = self.forge.git(name)
        parent = git.branch(branch) or git.branch("main")
        entries = [
            Entry(path, "100644", "blob", None if text is None else git.write_blob(text.encode()))
            for path, text in files.items()
        ]
        tree = git.write_tree(parent, entries)
        sha = git.write_commit(
            tree, [parent] if parent else [], f"{branch} changes", Person("ada", "ada@example.invalid")
        )
        self.forge.move(name, f"refs/heads/{branch}", sha, by)
        return sha

    def propose(self, branch: str = "topic", by: Actor = ADA, head: str | None = None) -> Pull:
        """Open a pull request into main."""
        with self.forge.changing():
            proposal = Proposal(f"Change {branch}", head or branch, "main")
            return open_pull(self.forge, self.forge.repository(NAME), proposal, by)

    def protect(self, *rules: Mapping[str, Any], bypass: list[dict[str, Any]] | None = None, branch: str = "") -> None:
        """Activate a ruleset."""
        include = [f"refs/heads/{branch}" if branch else "~DEFAULT_BRANCH"]
        body = {
            "name": f"rules of {branch or 'main'}",
            "target": "branch",
            "enforcement": "active",
            "conditions": {"ref_name": {"include": include, "exclude": []}},
            "rules": list(rules),
            "bypass_actors": bypass or [],
        }
        answer = self.ask("POST", f"/repos/{NAME}/rulesets", json=body)
        assert answer.status_code == 201, answer.text

    def ask(
        self, method: str, path: str, token: str | None = "", accept: str = "*/*", **options: Any
    ) -> httpx.Response:
        """Call the API, by default as the owner; None: without a token."""
        value = self.forge.token("ada") if token == "" else token
        headers = {"Accept": accept} | ({"Authorization": f"Bearer {value}"} if value else {})
        return httpx.request(method, f"{self.forge.api}{path}", headers=headers, timeout=30, **options)

    def open_run(self, event: str = "pull_request", actor: str = "ada", **fields: Any) -> Run:
        """A run of report.yml on main's head, queued."""
        head = fields.pop("head_sha", None) or self.git.branch("main") or ""
        source = fields.pop("head_repository", NAME)
        run = Run(NAME, ".github/workflows/report.yml", "Report", event, "topic", head, source, actor, **fields)
        return self.forge.open_run(run)

    def running(self, permissions: Mapping[str, str], **fields: Any) -> tuple[Run, str]:
        """A run with one job in progress, and its token."""
        run = self.open_run(**fields)
        self.forge.begin_run(run)
        self.forge.begin_job(run, "job", permissions)
        return run, self.forge.mint(run)


def bot(**permissions: str) -> Actor:
    """A workflow's token; `pull_requests` with an underscore."""
    held = {name.replace("_", "-"): level for name, level in permissions.items()}
    return Actor(Token("", BOT, NAME, held, role="none", run_id=None))


def shell(*command: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run git as a person would, without their configuration."""
    env = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "ada",
        "GIT_AUTHOR_EMAIL": "ada@example.invalid",
        "GIT_COMMITTER_NAME": "ada",
        "GIT_COMMITTER_EMAIL": "ada@example.invalid",
    }
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=check)

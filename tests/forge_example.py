"""A repository on a local forge, and clients of it: what tests of everything that talks to GitHub share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ratchet.forge import Forge, Patience
from rehearsal.forge import Fault
from rehearsal.forge import Forge as Server
from rehearsal.forge import Pull as ServerPull
from rehearsal.forge import Run as ServerRun
from rehearsal.forge.access import person
from rehearsal.forge.git import Entry, Git, Person

NUMBERS = count(1)


@dataclass
class Desk:
    """One repository, "ada/flights<n>", whose main branch holds a README.

    Attributes:
        server: The forge it lies on.
        name: Its full name.
        waits: Seconds that clients were told to wait; nobody really does.
    """

    server: Server
    name: str
    waits: list[float] = field(default_factory=list)

    @property
    def git(self) -> Git:
        """Its bare repository."""
        return self.server.git(self.name)

    def client(self, token: str | None = None, tries: int = 5) -> Forge:
        """A client, by default with the token of its owner."""
        patience = Patience(tries=tries, sleep=self.waits.append, jitter=lambda: 0.0)
        given = self.server.token("ada") if token is None else token
        return Forge(self.name, given, api_url=self.server.api, server_url=self.server.url, patience=patience)

    def run(self, path: str = ".github/workflows/report.yml", **fields: Any) -> ServerRun:
        """A run that is in progress."""
        run = self.opened(path, **fields)
        self.server.begin_run(run)
        return run

    def opened(self, path: str = ".github/workflows/report.yml", **fields: Any) -> ServerRun:
        """A run that nobody executes yet."""
        repository = fields.pop("head_repository", self.name)
        run = ServerRun(
            id=0,
            number=0,
            repository=self.name,
            path=path,
            name=path.rpartition("/")[2],
            event=fields.pop("event", "pull_request"),
            head_branch=fields.pop("head_branch", "main"),
            head_sha=fields.pop("head_sha", self.git.branch("main")),
            head_repository=repository,
            actor=fields.pop("actor", "ada"),
            **fields,
        )
        return self.server.open_run(run)

    def job(self, **permissions: str) -> Forge:
        """A client with the token of a job that has these permissions, `pull_requests` with an underscore."""
        run = self.run()
        self.server.begin_job(run, "write", {name.replace("_", "-"): level for name, level in permissions.items()})
        return self.client(self.server.mint(run))

    def commit(self, branch: str, files: Mapping[str, str], message: str = "A change", name: str = "") -> str:
        """Commit files onto a branch, made from main when it is new; of this repository, or of a fork named here."""
        where = name or self.name
        git = self.server.git(where)
        parent = git.branch(branch) or git.branch("main")
        entries = [Entry(path, "100644", "blob", git.write_blob(text.encode())) for path, text in files.items()]
        tree = git.write_tree(parent, entries)
        sha = git.write_commit(tree, [parent] if parent else [], message, Person("Ada", "ada@example.org"))
        self.server.move(where, f"refs/heads/{branch}", sha, person(where.split("/")[0]))
        return sha

    def pull(self, branch: str = "change", owner: str = "ada") -> ServerPull:
        """An open pull request; from the fork of another owner."""
        fork = self.server.fork(self.name, owner).full_name if owner != "ada" else ""
        self.commit(branch, {"params.yaml": f"rate: {branch}\n"}, name=fork)
        number = self.client().create_pull(f"Try {branch}", branch if not fork else f"{owner}:{branch}", "main").number
        return self.server.pull(self.name, number)

    def fails(self, method: str, path: str, status: int | str, **fields: Any) -> None:
        """Let requests fail from now on, the next one by default."""
        self.server.faults.append(Fault(method, path, status, **fields))  # type: ignore[arg-type]


def desk(server: Server) -> Desk:
    """A new repository on the forge."""
    made = Desk(server, f"ada/flights{next(NUMBERS)}")
    server.create_repository(made.name)
    made.commit("main", {"README.md": "# Flights\n"}, "Begin")
    return made


def server(folder: Path) -> Server:
    """A forge in a folder, not started yet."""
    return Server(folder)

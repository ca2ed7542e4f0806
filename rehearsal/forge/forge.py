"""The forge itself: holds the state, tells what happens to whoever listens, and starts the server."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from starlette.types import ASGIApp

from rehearsal.forge import access, artifacts, environments, events, heads, pulls, releases, repositories, runs, store
from rehearsal.forge.access import Actor
from rehearsal.forge.faults import Fault
from rehearsal.forge.git import Git
from rehearsal.forge.quota import Quota
from rehearsal.forge.refusal import not_found
from rehearsal.forge.server import Server
from rehearsal.forge.state import Artifact, BotRuns, Event, Job, Pull, Release, Repository, Run, State, Status, Token

Listener = Callable[[Event], None]


class Forge:
    """A forge in a folder: `state.json`, bare repositories under `git/`, stored files under `files/`.

    Args:
        folder: Loaded when it holds a forge, made otherwise.
        port: To listen on; 0 is any free one, kept when the folder is opened again.
        bot_runs: What becomes of a pull request's event that a workflow's own token causes; None: as before.
    """

    def __init__(self, folder: Path | str, port: int = 0, bot_runs: BotRuns | None = None) -> None:
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state: State = store.load(self.folder / "state.json")
        self.state.bot_runs = bot_runs or self.state.bot_runs
        self.faults: list[Fault] = []
        self.quota = Quota()
        self.mounts: dict[str, ASGIApp] = {}
        self._lock = threading.RLock()
        self._depth = 0
        self._is_changed = False
        self._events: deque[Event] = deque()
        self._delivery = threading.RLock()
        self._listeners: list[Listener] = []
        self._gits: dict[str, Git] = {}
        self._server = Server(self, port or self.state.port)
        for repository in self.state.repositories:  # the folder may have been moved
            repository.git = repositories.path_of(self, repository.owner, repository.name)

    # Life.

    def start(self) -> Forge:
        """Serve on 127.0.0.1 until `stop`; returns when requests are answered."""
        port = self._server.start()
        with self.changing():
            self.state.port = port
        return self

    def stop(self) -> None:
        """Stop serving; what is stored stays."""
        self._server.stop()

    def __enter__(self) -> Forge:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def url(self) -> str:
        """What GITHUB_SERVER_URL is: no slash at its end."""
        return self._server.url

    @property
    def api(self) -> str:
        """What GITHUB_API_URL is."""
        return f"{self.url}/api/v3"

    def mount(self, prefix: str, app: ASGIApp) -> None:
        """Serve another application under a prefix like `/_runner`; it sees paths without the prefix."""
        self.mounts[prefix.rstrip("/")] = app

    # Changes and events.

    @contextmanager
    def changing(self) -> Iterator[State]:
        """Hold the forge still and change it; stored, and told to the listeners, when the outermost one is left."""
        try:
            with self._lock:
                self._depth += 1
                self._is_changed = True
                try:
                    yield self.state
                finally:
                    self._leave()
        finally:
            self._deliver()

    @contextmanager
    def reading(self) -> Iterator[State]:
        """Hold the forge still without changing it."""
        with self._lock:
            self._depth += 1
            try:
                yield self.state
            finally:
                self._leave()

    def _leave(self) -> None:
        self._depth -= 1
        if self._depth == 0 and self._is_changed:
            self._is_changed = False
            store.save(self.folder / "state.json", self.state)

    def listen(self, callback: Listener) -> None:
        """Call back with every event, after its change is stored, outside the lock, one at a time and in order."""
        self._listeners.append(callback)

    def emit(self, event: Event, by: Actor | None = None) -> None:
        """Something happened. What a workflow's own token does is kept quiet, with GitHub's exceptions."""
        if by is None or not by.is_workflow or events.starts_runs_anyway(event, self.state.bot_runs):
            self._events.append(event)

    def _deliver(self) -> None:
        if self._depth and self._owns_lock():
            return
        with self._delivery:
            while self._events:
                event = self._events.popleft()
                for listener in list(self._listeners):
                    listener(event)

    def _owns_lock(self) -> bool:
        return bool(self._lock._is_owned())  # type: ignore[attr-defined]  # CPython's own, as its Condition uses it

    # What there is.

    def repository(self, name: str) -> Repository:
        """The repository of that full name.

        Raises:
            Refusal: 404, there is none.
        """
        found = self.state.repository(name)
        if found is None:
            raise not_found()
        return found

    def git(self, repository: Repository | str) -> Git:
        """Its git repository."""
        one = self.repository(repository) if isinstance(repository, str) else repository
        if one.full_name not in self._gits:
            self._gits[one.full_name] = Git(one.git)
        return self._gits[one.full_name]

    def pull(self, repository: Repository | str, number: int) -> Pull:
        """A pull request.

        Raises:
            Refusal: 404, there is none.
        """
        found = self.state.pull(_name(repository), number)
        if found is None:
            raise not_found()
        return found

    def pulls(self, repository: Repository | str) -> list[Pull]:
        """The pull requests of a repository, oldest first."""
        return [pull for pull in self.state.pulls if pull.repository == _name(repository)]

    def runs(self, repository: Repository | str) -> list[Run]:
        """The runs of a repository, oldest first."""
        return self.state.runs_of(_name(repository))

    def run(self, identifier: int) -> Run:
        """A run by its id.

        Raises:
            Refusal: 404, there is none.
        """
        found = self.state.run(identifier)
        if found is None:
            raise not_found()
        return found

    def statuses(self, repository: Repository | str, sha: str) -> dict[str, Status]:
        """The newest status of each context of a commit."""
        return self.state.statuses_of(_name(repository), sha)

    def releases(self, repository: Repository | str) -> list[Release]:
        """The releases of a repository, oldest first."""
        return self.state.releases_of(_name(repository))

    # Repositories and tokens.

    def create_repository(
        self,
        name: str,
        fork_of: str | None = None,
        private: bool = False,  # noqa: FBT001, FBT002
        branch: str = "main",
    ) -> Repository:
        """Make an empty repository `owner/name` with that default branch, or a fork of another."""
        return repositories.create(self, name, fork_of=fork_of, is_private=private, branch=branch)

    def fork(self, name: str, owner: str) -> Repository:
        """Fork a repository; as on GitHub, releases and rulesets stay behind and Actions are off."""
        return repositories.fork(self, name, owner)

    def token(self, user: str, role: str = "admin", repository: str | None = None) -> str:
        """A person's token; the role (admin, write, read) holds everywhere but in their own forks."""
        return repositories.person_token(self, user, role, repository)

    def mint(self, run: Run) -> str:
        """A workflow's token: may what all jobs of the run that are in progress may."""
        return runs.mint(self, run)

    def actor(self, value: str | None) -> Actor | None:
        """Whose token this is; None when it is nobody's, an actor without a token when there is no value."""
        if value is None:
            return Actor()
        found = next((token for token in self.state.tokens if token.value == value), None)
        return Actor(runs.current(self, found)) if found else None

    def owner(self, repository: Repository | str) -> Actor:
        """The owner of a repository, as who a page's button acts."""
        return access.person(_name(repository).split("/")[0])

    # Branches and pull requests, for whoever needs no HTTP.

    def move(self, repository: Repository | str, ref: str, sha: str | None, actor: Actor) -> None:
        """Move a full ref as a push would: rules, events, heads of pull requests. None deletes it."""
        with self.changing():
            heads.move(self, self.repository(_name(repository)), ref, sha, actor, is_forced=True)

    def merge(self, pull: Pull, method: str, actor: Actor) -> str:
        """Merge a pull request (merge, squash, rebase) if the rules let it be; the new head of its base.

        Raises:
            Refusal: 405, with the reason.
        """
        with self.changing():
            return pulls.merge(self, pull, pulls.Merge(method), actor)

    def blockers(self, pull: Pull) -> list[str]:
        """Why a pull request cannot be merged now, in GitHub's words; empty when it can."""
        with self.reading():
            return pulls.blockers(self, pull)

    # Runs, for whoever executes them.

    def open_run(self, run: Run) -> Run:
        """Store a new run: queued, or what `bot_runs` says when a workflow's token caused it."""
        return runs.open_run(self, run)

    def approve_run(self, run: Run, actor: Actor) -> None:
        """Press "Approve workflows to run".

        Raises:
            Refusal: 403, it does not wait, or who presses may not write.
        """
        with self.changing() as state:
            access.check(state, self.repository(run.repository), actor, ["actions:write"], "write")
            runs.approve(self, run, actor)

    def hold_run(self, run: Run, names: Sequence[str]) -> bool:
        """Whether a run has to wait for the reviewers of these environments; it then does, until they approve."""
        return environments.hold(self, run, names)

    def begin_run(self, run: Run) -> None:
        """It is being executed."""
        runs.begin_run(self, run)

    def begin_job(self, run: Run, name: str, permissions: Mapping[str, str]) -> Job:
        """A job of it begins; its token may what `permissions` say, like `{"statuses": "write"}`."""
        return runs.begin_job(self, run, name, permissions)

    def end_job(self, job: Job, conclusion: str, steps: Sequence[Mapping[str, Any]] = ()) -> None:
        """A job ended: success, failure, cancelled or skipped; steps are name, conclusion, seconds."""
        runs.end_job(self, job, conclusion, steps)

    def close_run(self, run: Run, conclusion: str) -> None:
        """A run ended: its tokens die, and `workflow_run` completed is told."""
        runs.close_run(self, run, conclusion)

    def store_artifact(self, run: Run, name: str, source: Path, *, archive: bool = True) -> Artifact:
        """Keep a folder or a file as an artifact; one of the same name in the same run is replaced.

        Args:
            run: That made it.
            name: Of the artifact.
            source: What to keep.
            archive: Zip it. Otherwise `source` is one file and is kept as it is.
        """
        return artifacts.keep(self, run, name, source, is_archived=archive)

    def artifact(self, run: Run, name: str) -> Artifact | None:
        """The artifact of a run by its name."""
        return next((one for one in reversed(self.state.artifacts) if (one.run_id, one.name) == (run.id, name)), None)

    def publish(self, release: Release, actor: Actor) -> None:
        """A draft becomes a release: its tag is made."""
        with self.changing():
            releases.publish(self, release, actor)

    def revoke(self, run: Run) -> None:
        """The tokens of a run are worth nothing from now on."""
        with self.changing():
            self.state.tokens = [token for token in self.state.tokens if token.run_id != run.id]

    def add_token(self, token: Token) -> str:
        """Accept a token from now on."""
        with self.changing():
            self.state.user(token.user)
            self.state.tokens.append(token)
        return token.value


def _name(repository: Repository | str) -> str:
    return repository if isinstance(repository, str) else repository.full_name

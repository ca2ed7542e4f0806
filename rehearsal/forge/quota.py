"""How many requests the API answers in an hour, and which ones workflows have made."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from rehearsal.forge.access import Actor

HOUR = 3600.0


@dataclass(frozen=True)
class Call:
    """A request that was made with a workflow's own token.

    Attributes:
        repository: That the token is of.
        run: That the token was given to.
        job: The job of it that was in progress.
        method: "GET", …
        path: Without the query.
        query: As it was sent; empty when there was none.
    """

    repository: str
    run: int | None
    job: str
    method: str
    path: str
    query: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}{'?' if self.query else ''}{self.query}"


@dataclass
class Spent:
    """What somebody has used of an hour, which began with the first request in it."""

    limit: int
    used: int
    reset: int

    @property
    def remaining(self) -> int:
        """How many requests are left."""
        return max(self.limit - self.used, 0)

    def headers(self) -> dict[str, str]:
        """As they stand in every answer of the API."""
        facts = {**self.shape(), "resource": "core"}
        return {f"X-RateLimit-{name.capitalize()}": str(value) for name, value in facts.items()}

    def shape(self) -> dict[str, int]:
        """As `GET /rate_limit` has it."""
        return {"limit": self.limit, "used": self.used, "remaining": self.remaining, "reset": self.reset}


@dataclass
class Quota:
    """The hours of everybody who asks. A test may set other limits.

    Attributes:
        workflow: Requests an hour of all workflows of a repository together.
        person: Of a person.
        nobody: Of all who have no token.
        calls: What workflows have asked for, oldest first.
    """

    workflow: int = 1000
    person: int = 5000
    nobody: int = 60
    calls: list[Call] = field(default_factory=list)
    _spent: dict[str, Spent] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, actor: Actor) -> Spent:
        """What somebody has used so far."""
        who, limit = self._who(actor)
        with self._lock:
            found = self._spent.get(who)
            if found is None or found.reset <= time.time():
                found = self._spent[who] = Spent(limit, 0, int(time.time() + HOUR))
            return found

    def spend(self, actor: Actor, job: str, method: str, path: str, query: str) -> tuple[Spent, bool]:
        """Count a request, as `Call` describes it; what is used by now, and whether it may be answered."""
        found = self.of(actor)
        with self._lock:
            if found.used >= found.limit:
                return found, False
            found.used += 1
            if actor.is_workflow and actor.token:
                self.calls.append(Call(actor.token.repository or "", actor.token.run_id, job, method, path, query))
            return found, True

    def pass_hour(self) -> None:
        """Let an hour go by, for stories that tell of months in minutes."""
        with self._lock:
            self._spent.clear()

    def _who(self, actor: Actor) -> tuple[str, int]:
        if actor.token is None:
            return "", self.nobody
        if actor.is_workflow:
            return f"workflows of {actor.token.repository}", self.workflow
        return actor.token.user, self.person

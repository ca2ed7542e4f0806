"""What workflows ask of the API of a local forge, by job, and what a job asks twice."""

from __future__ import annotations

from collections.abc import Sequence

from rehearsal.forge import Forge
from rehearsal.forge.quota import Call

MOST = 60
"""Requests of a release, and of everything that follows from one pull request."""


AGAIN = ("/actions/runs", "/comments")
"""What a job may read again once it has written: other jobs write meanwhile, and the last one has to see it."""


def counted(server: Forge, since: int = 0) -> list[Call]:
    """The requests from that one on; uploads do not count, as they go to another server."""
    return [call for call in server.quota.calls[since:] if not call.path.startswith("/api/uploads")]


def table(server: Forge, calls: Sequence[Call]) -> str:
    """The requests of each job, for people who look for those to save."""
    lines = [f"{len(calls)} requests"]
    for job, asked in _by_job(server, calls).items():
        lines += ["", f"{len(asked):3} {job}", *(f"      {call}" for call in asked)]
    return "\n".join(lines)


def repeated(server: Forge, calls: Sequence[Call]) -> list[str]:
    """What a job has read twice, but for `AGAIN`."""
    found = []
    for job, asked in _by_job(server, calls).items():
        known: set[str] = set()
        for call in asked:
            if call.method != "GET":
                known = {one for one in known if not one.partition("?")[0].endswith(AGAIN)}
            elif str(call) in known:
                found.append(f"{job}: {call}")
            else:
                known.add(str(call))
    return found


def _by_job(server: Forge, calls: Sequence[Call]) -> dict[str, list[Call]]:
    """By workflow, run and job, in the order in which they began to ask."""
    found: dict[str, list[Call]] = {}
    for call in calls:
        run = server.run(call.run) if call.run else None
        workflow = run.path.rpartition("/")[2] if run else "no run"
        found.setdefault(f"{workflow} {call.run}, {call.job}", []).append(call)
    return found

"""What stand-in actions ask: GitHub's service behind a runner, which keeps artifacts and caches. ASGI."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ratchet.errors import RatchetError
from rehearsal.forge import Artifact, Forge, Run
from rehearsal.runner import cache
from rehearsal.runner.cache import Cache

PREFIX = "/_runner"
_PATIENCE = 30.0  # seconds until a job that asks must be known to have begun


@dataclass
class Guest:
    """A run that may ask.

    Attributes:
        run: Which one.
        scopes: Refs whose caches it reads; it writes to the first.
        begun: Per job, set when the forge knows that it runs.
    """

    run: Run
    scopes: Sequence[str]
    begun: dict[str, threading.Event] = field(default_factory=dict)

    def job(self, name: str) -> threading.Event:
        """The event of a job."""
        return self.begun.setdefault(name, threading.Event())


@dataclass(frozen=True)
class _Asked:
    guest: Guest
    query: Mapping[str, str]
    path: Mapping[str, str]
    body: bytes


class Service:
    """Answers requests of the runs that hold a token.

    Args:
        forge: That keeps the artifacts.
        folder: That keeps the caches.
    """

    def __init__(self, forge: Forge, folder: Path) -> None:
        self._forge = forge
        self._cache = Cache(folder)
        self.guests: dict[str, Guest] = {}
        routes = [
            ("GET", "/jobs/{job}", self._job),
            ("GET", "/artifacts", self._list),
            ("POST", "/artifacts", self._upload),
            ("GET", "/artifacts/{number}", self._download),
            ("GET", "/cache", self._restore),
            ("POST", "/cache", self._save),
        ]
        self.app = Starlette(routes=[Route(path, self._answer(do), methods=[method]) for method, path, do in routes])

    def _answer(self, handle: Callable[[_Asked], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            guest = self.guests.get(request.headers.get("authorization", "").removeprefix("Bearer "))
            if guest is None:
                return _refuse(401, "the token belongs to no run")
            asked = _Asked(guest, request.query_params, request.path_params, await request.body())
            try:
                return await anyio.to_thread.run_sync(handle, asked)
            except RatchetError as error:
                return _refuse(422, str(error))

        return endpoint

    def _job(self, asked: _Asked) -> Response:
        if asked.guest.job(asked.path["job"]).wait(_PATIENCE):
            return Response(status_code=204)
        is_held = asked.guest.run.status == "waiting"
        return Response(status_code=202) if is_held else _refuse(404, "no such job runs")

    def _artifacts(self, asked: _Asked) -> list[Artifact]:
        with self._forge.reading() as state:
            return [one for one in state.artifacts if one.run_id == asked.guest.run.id]

    def _list(self, asked: _Asked) -> Response:
        found = [{"id": one.id, "name": one.name, "digest": one.digest} for one in self._artifacts(asked)]
        return JSONResponse({"artifacts": found})

    def _upload(self, asked: _Asked) -> Response:
        name, run = Path(asked.query["name"]).name, asked.guest.run
        same = [one for one in self._artifacts(asked) if (one.name, one.attempt) == (name, run.attempt)]
        if same and asked.query["overwrite"] != "true":
            return _refuse(409, f"an artifact with this name already exists on the workflow run: {name}")
        is_archive = asked.query["archive"] != "false"
        with tempfile.TemporaryDirectory(prefix="artifact-") as folder:
            # Kept as it was uploaded, byte for byte: what it holds is for its readers to doubt.
            file = Path(folder, f"{name}.zip" if is_archive else name)
            file.write_bytes(asked.body)
            kept = self._forge.store_artifact(run, name, file, archive=False)
        return JSONResponse({"id": kept.id, "digest": kept.digest}, status_code=201)

    def _download(self, asked: _Asked) -> Response:
        found = next((one for one in self._artifacts(asked) if str(one.id) == asked.path["number"]), None)
        if found is None or found.expired:
            return _refuse(404, "no such artifact")
        return Response(Path(found.path).read_bytes(), media_type="application/octet-stream")

    def _restore(self, asked: _Asked) -> Response:
        keys, query = _lines(asked.query["keys"]), asked.query
        found = self._cache.find(asked.guest.run.repository, asked.guest.scopes, keys, _lines(query["paths"]))
        if found is None:
            return _refuse(404, "nothing is cached under these keys")
        if query["lookup"] != "true":
            self._cache.restore(found, Path(query["workspace"]))
        return Response(status_code=200, headers={"Cache-Key": found.key})

    def _save(self, asked: _Asked) -> Response:
        guest, query = asked.guest, asked.query
        if guest.run.event == "workflow_run":  # GitHub gives a token that only reads where others can cause the event
            return _refuse(403, "the token may read the caches of the default branch, and not write them")
        entry = cache.entry(guest.run.repository, guest.scopes[0], query["key"], _lines(query["paths"]))
        is_new = self._cache.save(entry, Path(query["workspace"]))
        return Response(status_code=201) if is_new else _refuse(409, "the key is taken, or there is nothing to keep")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status_code=status)

"""GitHub's services behind a runner: caches, whether a job has begun, and the storage of artifacts. ASGI.

The artifacts' own service, which GitHub's client `@actions/artifact` calls too, is in `results`.
"""

from __future__ import annotations

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
from rehearsal.forge import Forge, Run
from rehearsal.runner import cache
from rehearsal.runner.cache import Cache
from rehearsal.runner.results import Fault, Results

PREFIX = "/_runner"
TWIRP = "/twirp"
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

    Attributes:
        guests: The runs, by their tokens.
    """

    def __init__(self, forge: Forge, folder: Path) -> None:
        self._forge = forge
        self._cache = Cache(folder)
        self._results = Results(forge, f"{PREFIX}/blobs")
        self.guests: dict[str, Guest] = {}
        routes = [("GET", "/jobs/{job}", self._job), ("GET", "/cache", self._restore), ("POST", "/cache", self._save)]
        self._app = Starlette(
            routes=[Route(path, self._answer(do), methods=[method]) for method, path, do in routes]
            + [Route("/blobs/{number:int}", self._store, methods=["PUT"])]
        )
        self._twirp = Starlette(routes=[Route("/{service}/{method}", self._answer(self._call), methods=["POST"])])

    def mount(self) -> None:
        """Answer at the forge's address."""
        self._forge.mount(PREFIX, self._app)
        self._forge.mount(TWIRP, self._twirp)

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

    async def _store(self, request: Request) -> Response:
        number, query, body = request.path_params["number"], request.query_params, await request.body()
        return await anyio.to_thread.run_sync(self._results.store, number, query, body)

    def _call(self, asked: _Asked) -> Response:
        try:
            return JSONResponse(self._results.call(asked.guest.run, asked.path["method"], asked.body))
        except Fault as fault:
            return JSONResponse({"code": fault.code, "msg": str(fault)}, status_code=fault.status)

    def _job(self, asked: _Asked) -> Response:
        if asked.guest.job(asked.path["job"]).wait(_PATIENCE):
            return Response(status_code=204)
        is_held = asked.guest.run.status == "waiting"
        return Response(status_code=202) if is_held else _refuse(404, "no such job runs")

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
        if guest.run.event in cache.READ_ONLY:
            return _refuse(403, "the token may read the caches of the default branch, and not write them")
        entry = cache.entry(guest.run.repository, guest.scopes[0], query["key"], _lines(query["paths"]))
        is_new = self._cache.save(entry, Path(query["workspace"]))
        return Response(status_code=201) if is_new else _refuse(409, "the key is taken, or there is nothing to keep")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status_code=status)

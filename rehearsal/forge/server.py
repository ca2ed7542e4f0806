"""The server: sends a request to the API, to git, to a stored file, to a mounted application, or to the pages."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import socket
import threading
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rehearsal.forge import access, downloads, smart
from rehearsal.forge.access import Actor
from rehearsal.forge.http import Answer, Ask, query_of
from rehearsal.forge.refusal import Refusal, not_found

if TYPE_CHECKING:
    from rehearsal.forge.faults import Fault
    from rehearsal.forge.forge import Forge

API = "/api/v3"
UPLOADS = "/api/uploads"
_DOCS = "https://docs.github.com/rest"
_COMMON = {
    "Server": "GitHub.com",
    "X-GitHub-Media-Type": "github.v3; format=json",
    "X-GitHub-Api-Version-Selected": "2022-11-28",
}
_STARTS_WITHIN = 10.0


class Server:
    """The forge behind an address on this machine."""

    def __init__(self, forge: Forge, port: int) -> None:
        self._forge = forge
        self._port = port
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._pages: ASGIApp | None = None

    @property
    def url(self) -> str:
        """No slash at its end."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> int:
        """Serve in a thread of its own; the port."""
        listening = _bind(self._port)
        self._port = listening.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
            server_header=False,
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name="forge", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _STARTS_WITHIN
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError(f"the forge does not start on port {self._port}")
            time.sleep(0.005)
        return self._port

    def stop(self) -> None:
        """Serve no more."""
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        fault = next((one for one in self._forge.faults if one.hits(scope["method"], path)), None)
        if fault and isinstance(fault.status, int):
            await _faulty(fault)(scope, receive, send)
        elif fault and fault.status == "lie":
            await self._route(path, scope, receive, send, fault)
        elif fault:
            if fault.status == "cut":
                await self._route(path, scope, receive, _nowhere)
            await _cut(send)
        else:
            await self._route(path, scope, receive, send)

    async def _route(self, path: str, scope: Scope, receive: Receive, send: Send, fault: Fault | None = None) -> None:
        for prefix, app in self._forge.mounts.items():
            if path == prefix or path.startswith(f"{prefix}/"):
                inner = {**scope, "path": path, "root_path": scope.get("root_path", "") + prefix}
                await app(inner, receive, send)
                return
        kind = _kind(path)
        if kind == "pages":
            await self._page_app()(scope, receive, send)
            return
        request = Request(scope, receive)
        raw = await request.body()
        answer = await run_in_threadpool(self._answer, kind, request, raw)
        if fault and not isinstance(answer.body, bytes):
            answer = replace(answer, body=fault.lie(answer.body))
        await _respond(answer)(scope, receive, send)

    def _page_app(self) -> ASGIApp:
        if self._pages is None:
            self._pages = importlib.import_module("rehearsal.pages").app(self._forge)
        return self._pages

    def _answer(self, kind: str, request: Request, raw: bytes) -> Answer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            actor = self._actor(headers)
            query = query_of(request.url.query)
            ask = Ask(self._forge, actor, request.url.path, {}, query, headers, raw)
            if kind == "git":
                return smart.answer(ask, request.method, request.url.path, request.url.query)
            if kind == "files":
                return downloads.answer(ask, request.url.path)
            return self._limited(ask, request.method, request.scope["path"], request.url.query)
        except Refusal as refusal:
            return smart.refused(refusal) if kind == "git" else _refused(refusal)

    def _limited(self, ask: Ask, method: str, path: str, query: str) -> Answer:
        """Answer a request to the API, unless the caller has used up its hour."""
        if path == f"{API}/rate_limit":  # it is free
            return _api(ask, method, path)
        spent, may = self._forge.quota.spend(ask.actor, self._job(ask.actor), method, path, query)
        try:
            answer = _api(ask, method, path) if may else _refused(_exceeded(ask))
        except Refusal as refusal:
            answer = _refused(refusal)
        return replace(answer, headers={**spent.headers(), **answer.headers})

    def _job(self, actor: Actor) -> str:
        """Names of the jobs in progress of the run that a token was given to."""
        run = self._forge.state.run(actor.token.run_id) if actor.token and actor.token.run_id else None
        return ", ".join(job.name for job in run.jobs if job.status == "in_progress") if run else ""

    def _actor(self, headers: Mapping[str, str]) -> Actor:
        actor = self._forge.actor(credential(headers.get("authorization")))
        if actor is None:
            raise Refusal(401, "Bad credentials")
        return actor


def credential(header: str | None) -> str | None:
    """The token in an Authorization header: `Bearer`, `token`, or the password of `Basic`."""
    if not header:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return value.strip()
    try:
        user, _, password = b64decode(value).decode().partition(":")
    except ValueError:
        return ""
    return password or user


def _kind(path: str) -> str:
    if path.startswith((f"{API}/", f"{UPLOADS}/")) or path == API:
        return "api"
    if re.match(r"/[^/]+/[^/]+\.git/", path):
        return "git"
    return "files" if downloads.is_download(path) else "pages"


def _api(ask: Ask, method: str, path: str) -> Answer:
    from rehearsal.forge import routes

    route, params = routes.find(method, path)
    if route is None:
        raise not_found()
    accept = ask.headers.get("accept", "*/*")
    if not route.serves(accept):
        raise Refusal(415, f"Unsupported 'Accept' header: '{accept}'. Must accept 'application/json'.")
    ask = Ask(ask.forge, ask.actor, path, params, ask.query, ask.headers, ask.raw)
    holding = ask.forge.reading() if method in {"GET", "HEAD"} else ask.forge.changing()
    with holding:
        if route.is_in_repository:
            access.check(ask.forge.state, ask.repository, ask.actor, route.needs, route.least)
        elif route.least != "none" and ask.actor.token is None:
            raise Refusal(401, "Requires authentication")
        return route.handler(ask)


def _exceeded(ask: Ask) -> Refusal:
    return Refusal(403, f"API rate limit exceeded for {ask.login}.")


def _refused(refusal: Refusal) -> Answer:
    body = {"message": refusal.message, "documentation_url": _DOCS}
    if refusal.status not in {405, 409, 422}:
        body["status"] = str(refusal.status)
    if refusal.errors is not None:
        body["errors"] = refusal.errors  # type: ignore[assignment]
    return Answer(refusal.status, body)


def _respond(answer: Answer) -> Response:
    headers = {**_COMMON, **answer.headers}
    if answer.body is not None and not isinstance(answer.body, bytes):
        headers = {"Content-Type": "application/json; charset=utf-8", **headers}
    return Response(answer.content, answer.status, headers)


def _faulty(fault: Fault) -> Response:
    assert isinstance(fault.status, int)  # noqa: S101 - for the type checker
    body = fault.lie({"message": fault.message, "documentation_url": _DOCS, "status": str(fault.status)})
    return Response(json.dumps(body), fault.status, {**_COMMON, "Content-Type": "application/json", **fault.headers})


async def _nowhere(message: object) -> None:
    """Where the answer goes whose connection is cut."""


async def _cut(send: Send) -> None:
    transport = send.__self__.transport  # type: ignore[attr-defined]  # of uvicorn's cycle; ASGI cannot cut
    transport.abort()
    await asyncio.sleep(0.05)  # until uvicorn has seen it; it would answer 500 otherwise


def _bind(port: int) -> socket.socket:
    """The port that was asked for (or had before), another one when that is taken."""
    for candidate in (port, 0):
        found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(("127.0.0.1", candidate))
        except OSError:
            found.close()
            continue
        return found
    raise RuntimeError("no port is free")

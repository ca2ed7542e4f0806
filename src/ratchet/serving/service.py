"""The BentoML service.

    bentoml serve ratchet.serving.service:Service

BentoML packages it, starts it and watches its worker. Requests do not pass BentoML's own middleware: that costs more
than the model, and lets a worker grow with every request (see `docs/serving.md`).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

# One row is too little work to share, and threads that wait for each other cost a tail of 40 ms.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import bentoml

from ratchet import bundle, files
from ratchet.errors import RatchetError, told_to_the_user
from ratchet.serving import fast, metrics, settings
from ratchet.serving.app import App, Message, Receive, Scope, Send
from ratchet.serving.settings import Settings

NAME = "ratchet"
REFERENCE = "reference.json"
TICK_SECONDS = 1.0

with told_to_the_user():
    _SETTINGS = settings.read()


class Served(bentoml.Service[Any]):  # type: ignore[misc]  # BentoML's own types are hidden by its lazy import
    """A BentoML service whose requests are answered by `App`; its life stays BentoML's."""

    def to_asgi(self, is_main: bool = True) -> Front:  # noqa: FBT001, FBT002  # BentoML's signature
        """The ASGI application of a worker; ends it when there is no model to serve."""
        metrics.prepare(_SETTINGS.workers)
        with told_to_the_user():
            app = load(_SETTINGS)
        return Front(app, super().to_asgi(is_main), _SETTINGS.drain_seconds)


class Front:
    """Hands requests to ours, and starting and ending to BentoML's application."""

    def __init__(self, app: App, life: Any, drain_seconds: float) -> None:
        self._app, self._life, self._drain_seconds = app, life, drain_seconds
        self._ticking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI; a WebSocket is refused by saying nothing."""
        if scope["type"] == "http":
            await self._app(scope, receive, send)
        elif scope["type"] == "lifespan":
            try:
                await self._life(scope, receive, self._starting(send))
            finally:
                self._app.close()

    def _starting(self, send: Send) -> Send:
        async def told(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                _drain_on_sigterm(self._app, self._drain_seconds)
                _silence_access_log()
                self._ticking = asyncio.create_task(_tick(self._app))
                gc.collect()
                gc.freeze()  # what is loaded stays; walking it again and again is a tail of 50 ms
            await send(message)

        return told


@bentoml.service(
    name=NAME,
    service_class=Served,
    workers=_SETTINGS.workers,
    metrics={"enabled": False},  # ours are at /metrics
    logging={"access": {"enabled": False}},
)
class Service:
    """A bundle over HTTP; its routes are those of `ratchet.serving.app`."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Before any worker is started: those that cannot start would be started again and again."""
        with told_to_the_user():
            bundle.load(place(_SETTINGS))


def load(given: Settings) -> App:
    """Open the bundle that the settings name.

    Raises:
        RatchetError: There is no bundle, it was changed, or a setting makes no sense.
    """
    opened = bundle.load(place(given))
    fast.quicken(opened)
    reference = opened.folder.parent / REFERENCE
    identity = {"model": opened.digest, "release": given.release, "commit": given.commit}
    counted = metrics.Metrics(
        opened.manifest["task"],
        identity | {"problem": opened.manifest["problem"]},
        files.read_json(reference) if reference.is_file() else {},
        given.released,
    )
    return App(opened, given, counted, _bento())


def place(given: Settings) -> Path:
    """The folder of the bundle: what the environment names, the Bento's own, or that of `dvc repro`.

    Raises:
        RatchetError: There is none.
    """
    if given.bundle is not None:
        return given.bundle
    candidates = (Path(__file__).parents[2] / "bundle", Path.cwd() / "bundle")
    for candidate in candidates:
        if (candidate / bundle.MANIFEST).is_file():
            return candidate
    raise RatchetError(f"{candidates[-1]}: there is no bundle; `dvc repro` makes one, RATCHET_BUNDLE names another")


def _drain_on_sigterm(app: App, seconds: float) -> None:
    """When told to end: first say so to whoever asks /readyz, and only then stop listening."""
    stop: Any = signal.getsignal(signal.SIGTERM)  # uvicorn's: ends when all requests are answered
    loop = asyncio.get_running_loop()
    if not callable(stop) or not seconds:
        return

    def begin(number: int, frame: FrameType | None) -> None:
        if app.is_ready:
            app.is_ready = False
            loop.call_soon_threadsafe(_later, seconds, stop)
        else:  # told twice: somebody is in a hurry
            stop(number, frame)

    signal.signal(signal.SIGTERM, begin)


def _later(seconds: float, stop: Callable[[int, None], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, stop, signal.SIGTERM, None)


def _silence_access_log() -> None:
    """Who asked what is the log of the proxy; a line for each request costs a tenth of it."""
    log = logging.getLogger("uvicorn.access")
    log.handlers, log.propagate = [], False


def _bento() -> str | None:
    from bentoml._internal.context import server_context

    version = server_context.bento_version
    return None if version in {None, "", "not available"} else f"{server_context.bento_name}:{version}"


async def _tick(app: App) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        app.tick()

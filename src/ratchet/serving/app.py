"""The ASGI application: routes, limits, answers.

It stands in front of BentoML's own stack instead of behind it: a request passes the server, this and the model. One row
is parsed, checked, scored, counted, logged and answered in the event loop, for none of that waits for anything.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from math import isfinite
from typing import Any, NamedTuple, cast

import orjson

from ratchet.bundle import Bundle
from ratchet.serving import openapi
from ratchet.serving.log import Counters, PredictionLog
from ratchet.serving.metrics import Metrics
from ratchet.serving.request import Refused, Row, Rows
from ratchet.serving.settings import Settings
from ratchet.serving.targets import LogSettings

logger = logging.getLogger("ratchet.serving")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]
Headers = Mapping[bytes, bytes]

LINGER_SECONDS, LINGER_BYTES = (
    1.0,
    16 << 20,
)  # how long a refused body is still read, so that its sender sees the answer
CLOSE_SECONDS = 5.0  # for the prediction log, when the service ends

_JSON = (b"content-type", b"application/json")
_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_NO_NUMBER = ArithmeticError
"""What a model raises for a row that has no score, 1/0 say; whatever else it raises is a fault of its code, a 500."""


class Answer(NamedTuple):
    """What is sent back."""

    status: int
    headers: Sequence[Header]
    body: bytes
    closes: bool = False


class Route(NamedTuple):
    """A method and what answers it."""

    method: str
    handler: Callable[[Scope, Receive], Awaitable[Answer]]


class App:
    """Serves one bundle."""

    def __init__(self, bundle: Bundle, settings: Settings, metrics: Metrics, bento: str | None = None) -> None:
        """Open the model and the prediction log.

        Args:
            bundle: What to serve.
            settings: Limits, token, log, and where the model comes from.
            metrics: Where to count.
            bento: Tag of the Bento, when it is served from one.
        """
        self.is_ready = True
        self._settings, self._metrics = settings, metrics
        self._rows = Rows(bundle.schema, settings.max_rows)
        self._score_row, self._score_rows = bundle.score_row, bundle.score_rows
        self._model, self._threshold = bundle.digest, bundle.manifest["threshold"]
        self._token = settings.token.encode()
        self._ids, self._origin = itertools.count(1), secrets.token_hex(6)
        self._reading: dict[asyncio.Task[Any], float] = {}  # a timer for each request would cost thirty times as much
        self._log = _log(bundle, settings, metrics)
        self._info = orjson.dumps(_info(bundle, settings, bento))
        self._description = orjson.dumps(openapi.describe(bundle.schema, bundle.manifest, settings))
        self._routes = {
            "/predict": Route("POST", self._predict),
            "/predict_batch": Route("POST", self._predict_batch),
            "/livez": Route("GET", self._livez),
            "/healthz": Route("GET", self._livez),  # BentoML's name for it
            "/readyz": Route("GET", self._readyz),
            "/metrics": Route("GET", self._read_metrics),
            "/info": Route("GET", self._read_info),
            "/openapi.json": Route("GET", self._read_description),
            "/docs": Route("GET", self._read_docs),
            "/": Route("GET", self._read_docs),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        path = scope["path"]
        route = self._routes.get(path)
        try:
            if route is None:
                path = "other"
                answer = _refusal(Refused(404, "there is nothing at this path; see /docs", closes=True))
            elif scope["method"] == route.method or (scope["method"] == "HEAD" and route.method == "GET"):
                answer = await route.handler(scope, receive)
            else:
                answer = _refusal(_wrong_method(route))
        except Refused as refused:
            answer = _refusal(refused)
        except Exception:
            logger.exception("%s %s", scope["method"], path)
            answer = _refusal(Refused(500, "the service failed; its log says how"))
        self._metrics.answered(path, answer.status, time.perf_counter() - began)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        if answer.closes:
            await _linger(receive, send, answer.body)
        else:
            await send({"type": "http.response.body", "body": answer.body})

    def tick(self) -> None:
        """Do what is to be done once a second: end the wait for slow bodies, look at the queue of the log."""
        late = time.monotonic() - self._settings.body_seconds
        for task in [task for task, began in self._reading.items() if began < late]:
            del self._reading[task]
            task.cancel()
        self._metrics.refresh()

    def close(self) -> None:
        """Write what the prediction log still holds."""
        if self._log is not None:
            self._log.close(CLOSE_SECONDS)
        self._metrics.close()

    async def _predict(self, scope: Scope, receive: Receive) -> Answer:
        began, at = time.perf_counter(), time.time()
        headers = dict(scope["headers"])
        body = await self._body(headers, receive)
        row = self._rows.one(body)
        identity = self._identity(headers)
        score = self._score(row)
        decision = None if self._threshold is None else score >= self._threshold
        self._metrics.scored(score, decision)
        answer = orjson.dumps({"id": identity, "score": score, "decision": decision, "model": self._model})
        if self._log is not None:
            kept = body if len(body) <= self._log.plain_bytes else row
            self._log.put(answer, at, kept, time.perf_counter() - began)
        return _json(answer, identity)

    async def _predict_batch(self, scope: Scope, receive: Receive) -> Answer:
        began, at = time.perf_counter(), time.time()
        headers = dict(scope["headers"])
        rows = self._rows.many(await self._body(headers, receive))
        identity = self._identity(headers)
        predictions = []
        scores = self._scores(rows)
        share = (time.perf_counter() - began) / len(rows)
        for i, (row, score) in enumerate(zip(rows, scores, strict=True)):
            decision = None if self._threshold is None else score >= self._threshold
            prediction = {"id": f"{identity}-{i}", "score": score, "decision": decision}
            predictions.append(prediction)
            self._metrics.scored(score, decision)
            if self._log is not None:
                self._log.put(orjson.dumps(prediction | {"model": self._model}), at, row, share)
        return _json(orjson.dumps({"model": self._model, "predictions": predictions}), identity)

    def _score(self, row: Row) -> float:
        try:
            score = self._score_row(row)
        except _NO_NUMBER as error:
            raise _no_score(error) from error
        if not isfinite(score):
            raise _no_score(f"it says {score}")
        return score

    def _scores(self, rows: Sequence[Row]) -> list[float]:
        try:
            scores: list[float] = self._score_rows(rows).tolist()
        except _NO_NUMBER as error:
            raise _no_score(error) from error
        for i, score in enumerate(scores):
            if not isfinite(score):
                raise _no_score(f"it says {score}", f"rows[{i}]")
        return scores

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """The whole body of a request that may be made, when it is JSON and not too large."""
        if self._token:
            self._authorize(headers)
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
            raise Refused(415, "send JSON, and say so: content-type: application/json", closes=True)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refused(415, "send JSON as it is, without a content-encoding", closes=True)
        largest = self._settings.max_body
        if int(headers.get(b"content-length", b"0")) > largest:
            raise _too_large(largest)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._reading[task] = time.monotonic()
        try:
            return await _read(receive, largest)
        except asyncio.CancelledError:
            if task in self._reading:  # somebody else wants it to end
                raise
            task.uncancel()
            raise Refused(
                408, f"the body took longer than {self._settings.body_seconds:g} seconds", closes=True
            ) from None
        finally:
            self._reading.pop(task, None)

    def _authorize(self, headers: Headers) -> None:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            raise Refused(
                401, "bring the token: authorization: Bearer …", (), ((b"www-authenticate", b"Bearer"),), closes=True
            )

    def _identity(self, headers: Headers) -> str:
        """What the caller calls this request, when that is short and plain; else a name of ours."""
        given = headers.get(b"x-request-id")
        if given is not None and _SANE_ID.fullmatch(given):
            return given.decode()
        return f"{self._origin}-{next(self._ids):x}"

    async def _livez(self, _: Scope, __: Receive) -> Answer:
        return Answer(200, _plain(b"alive\n"), b"alive\n")

    async def _readyz(self, _: Scope, __: Receive) -> Answer:
        if not self.is_ready:
            raise Refused(503, "the service is about to end")
        return Answer(200, _plain(b"ready\n"), b"ready\n")

    async def _read_metrics(self, _: Scope, __: Receive) -> Answer:
        body = self._metrics.exposition()
        return Answer(200, _typed(self._metrics.content_type, body), body)

    async def _read_info(self, _: Scope, __: Receive) -> Answer:
        return Answer(200, _typed(b"application/json", self._info), self._info)

    async def _read_description(self, _: Scope, __: Receive) -> Answer:
        return Answer(200, _typed(b"application/json", self._description), self._description)

    async def _read_docs(self, _: Scope, __: Receive) -> Answer:
        page = openapi.page()
        if page is None:
            return Answer(307, ((b"location", b"/openapi.json"), (b"content-length", b"0")), b"")
        return Answer(200, _typed(b"text/html; charset=utf-8", page), page)


def _log(bundle: Bundle, settings: Settings, metrics: Metrics) -> PredictionLog | None:
    if not settings.log:
        return None
    log = PredictionLog(
        LogSettings(
            url=settings.log,
            model=bundle.digest,
            queue=settings.log_queue,
            rotate_rows=settings.log_rotate_rows,
            rotate_seconds=settings.log_rotate_seconds,
            keep_days=settings.log_keep_days,
            private=settings.log_private,
            salt=settings.log_salt,
        ),
        bundle.schema,
        Counters(**metrics.log),
    )
    metrics.log_waits(lambda: log.waiting)
    return log


def _info(bundle: Bundle, settings: Settings, bento: str | None) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "model": bundle.digest,
        "problem": manifest["problem"],
        "task": manifest["task"],
        "threshold": manifest["threshold"],
        "release": settings.release or None,
        "commit": settings.commit or None,
        "record": settings.record or None,
        "verdict_url": settings.verdict_url,
        "source": settings.source or None,
        "trained_on": sorted(manifest["trained_on"]),
        "bento": bento,
    }


def _json(body: bytes, identity: str) -> Answer:
    headers = (_JSON, (b"content-length", b"%d" % len(body)), (b"x-request-id", identity.encode()))
    return Answer(200, headers, body)


def _refusal(refused: Refused) -> Answer:
    body = orjson.dumps({"error": refused.error, "details": list(refused.details)}, default=str)
    headers = [*_typed(b"application/json", body), *refused.headers]
    if refused.closes:
        headers.append((b"connection", b"close"))
    return Answer(refused.status, headers, body, refused.closes)


def _typed(content_type: bytes, body: bytes) -> list[Header]:
    return [(b"content-type", content_type), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]


def _plain(body: bytes) -> list[Header]:
    return _typed(b"text/plain; charset=utf-8", body)


def _wrong_method(route: Route) -> Refused:
    allowed = "GET, HEAD" if route.method == "GET" else route.method
    return Refused(405, f"use {allowed}", (), ((b"allow", allowed.encode()),), closes=True)


def _too_large(largest: int) -> Refused:
    return Refused(413, f"the body is larger than {largest} bytes; send fewer rows at a time", closes=True)


def _no_score(why: object, place: str = "") -> Refused:
    """The row is as the schema wants it, and yet the model has no answer: 1/0 in its features, say."""
    return Refused(422, f"the model has no score for this: {why}", [{"field": place, "rule": "must have a score"}])


async def _read(receive: Receive, largest: int) -> bytes:
    """The body, which mostly comes in one piece."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused(400, "the body ended before its time", closes=True)
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > largest:
            raise _too_large(largest)
    return body


async def _linger(receive: Receive, send: Send, body: bytes) -> None:
    """Send the answer, then read on for a moment: a sender sees it only when the connection is not reset."""
    await send({"type": "http.response.body", "body": body, "more_body": True})
    read = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while read < LINGER_BYTES:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body"):
                    break
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})

"""One call to GitHub's REST API: sent with PyGithub, repeated with patience, and failing in words one can act on.

PyGithub's objects hide requests behind attributes; each of these must be repeated, bounded and explained, so its
requester alone is used. It sends one request at a time: a thread needs an `Api` of its own.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import random
from typing import TYPE_CHECKING, Any, TypeVar

from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from requests import Response

T = TypeVar("T")
Json = Mapping[str, Any]

PAGE = 100
"""Entries asked for at once: GitHub's most."""
TIMEOUT = 30
"""Seconds of silence after which a connection counts as cut."""
CHUNK = 1 << 16
MEGABYTE = 1_000_000


class ApiError(RatchetError):
    """GitHub refused, or could not be reached; `status` is the HTTP status, 0 when there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ApiError):  # noqa: N818  # reads as what it says
    """It is not there, or this token may not see it."""


@dataclass(frozen=True)
class Patience:
    """How long a call is repeated before it fails.

    Attributes:
        tries: How often it is sent at most.
        seconds: How long all waits of one call may take together.
        sleep: Waits the given seconds.
        jitter: A number in [0, 1), so that callers that failed together do not come back together.
    """

    tries: int = 5
    seconds: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random


PATIENT = Patience()
"""What a job can afford."""


@dataclass(frozen=True)
class Reply:
    """The answer to a request that reached GitHub, as far as the errors are concerned."""

    status: int
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class _Transient(Exception):  # noqa: N818  # a state more than an error
    """May work the next time.

    Attributes:
        reason: What to say when it does not.
        wait: Seconds that GitHub asks for; None when it asks for none.
        sent: Whether GitHub may have done what it was asked for.
    """

    def __init__(self, reason: str, *, wait: float | None = None, sent: bool, status: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.sent, self.status = reason, wait, sent, status


class Api:
    """Calls to the REST API at `url`, with a token."""

    def __init__(self, url: str, token: str, patience: Patience) -> None:
        from github import Auth, Github

        self._url, self._token, self._patience = url.rstrip("/"), token, patience
        client = Github(
            base_url=self._url,
            auth=Auth.Token(token),
            retry=None,  # ours knows which writes may be repeated
            timeout=TIMEOUT,
            per_page=PAGE,
            user_agent="ratchet",
            seconds_between_requests=None,
            seconds_between_writes=None,
            api_version="2022-11-28",
        )
        self._requester = client.requester

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON at `path`.

        Raises:
            NotFound: There is none.
            ApiError: Refused, or not reached in spite of all patience.
        """
        return self._patiently(lambda: self._json("GET", path, parameters=parameters)[1], f"GET {path}")

    def pages(self, path: str, /, **parameters: Any) -> Iterator[Any]:
        """The JSON of each page of a list."""
        page, more = 1, True
        while more:
            asked = {**parameters, "per_page": PAGE, "page": page}
            headers, data = self._patiently(
                lambda asked=asked: self._json("GET", path, parameters=asked),  # type: ignore[misc]
                f"GET {path}",
            )
            yield data
            page, more = page + 1, 'rel="next"' in headers.get("link", "")

    def send(self, verb: str, path: str, body: Json | None = None) -> Any:
        """Send a write that does the same when it is done twice: it is repeated like a read."""
        return self._patiently(lambda: self._json(verb, path, body=body)[1], f"{verb} {path}")

    def create(self, path: str, body: Json, find: Callable[[], T | None], of: Callable[[Any], T]) -> T:
        """Create what must not be there twice: sent again only after a look for what the first time may have made.

        Args:
            path: Where to POST.
            body: What.
            find: Looks for what may have been made; None when it was not.
            of: Reads it from GitHub's answer.
        """
        return self._patiently(lambda: of(self._json("POST", path, body=body)[1]), f"POST {path}", find)

    def upload(self, url: str, file: Path, find: Callable[[], T | None], of: Callable[[Any], T]) -> T:
        """Upload a file to a release, under its own name; like `create` otherwise."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}

        def call() -> T:
            with file.open("rb") as body:
                send = partial(self._requester.requestMemoryBlobAndCheck, "POST", url, {"name": file.name}, {**headers})
                return of(self._guarded("POST", url, lambda: send(body))[1])

        return self._patiently(call, f"upload of {file.name}", find)

    def download(self, path: str, target: Path, limit: int, digest: str | None = None) -> None:
        """Download a file, whole or not at all.

        Args:
            path: Where it is.
            target: Where it goes.
            limit: Bytes it may have; no more than these are read, whatever the server says.
            digest: "sha256:<hex>" that it must have.

        Raises:
            ApiError: It is larger, has another digest, or cannot be had.
        """
        half = target.with_name(f".{target.name}.half")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._patiently(lambda: self._fetch(path, half, limit, digest), f"GET {path}")
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)

    def _json(
        self, verb: str, path: str, *, parameters: dict[str, Any] | None = None, body: Json | None = None
    ) -> tuple[Mapping[str, Any], Any]:
        headers = {"Accept": "application/vnd.github+json"}
        return self._guarded(
            verb, path, lambda: self._requester.requestJsonAndCheck(verb, path, parameters, headers, body)
        )

    def _guarded(self, verb: str, path: str, call: Callable[[], T]) -> T:
        """Turn whatever goes wrong in a call into an `ApiError`, or a `_Transient`."""
        from github import GithubException
        from requests import RequestException

        try:
            return call()
        except GithubException as error:
            data = error.data if isinstance(error.data, dict) else {}
            raise _fault(verb, path, Reply(error.status, _said(data), error.headers or {})) from error
        except (RequestException, OSError, ValueError) as error:  # ValueError: half of a JSON answer
            raise _Transient(f"{self._url} cannot be reached: {_cause(error)}", sent=True) from error

    def _fetch(self, path: str, half: Path, limit: int, digest: str | None) -> None:
        """One try of a download.

        Not through PyGithub: it reads the whole answer into memory, and refuses the storage that artifacts are
        redirected to. The token goes to GitHub alone, never to where it redirects.
        """
        response = self._open(path)
        with closing(response):
            if response.status_code >= 400:
                raise _fault("GET", path, Reply(response.status_code, response.reason or "", _lowered(response)))
            found = self._guarded("GET", path, lambda: _written(response, half, limit))
        if found is None:
            raise ApiError(f"{path}: is larger than {limit / MEGABYTE:.0f} MB\nnothing that large is expected there")
        if digest and digest != f"sha256:{found}":
            raise ApiError(f"{path}: has the digest sha256:{found}, and should have {digest}\nit is not used")

    def _open(self, path: str) -> Response:
        from requests import get

        def opened(url: str, headers: dict[str, str]) -> Response:
            accepted = {"Accept": "application/octet-stream", "Accept-Encoding": "identity", "User-Agent": "ratchet"}
            return self._guarded(
                "GET",
                path,
                lambda: get(
                    url,
                    headers=accepted | headers,
                    stream=True,
                    allow_redirects=False,
                    timeout=TIMEOUT,
                    auth=lambda request: request,  # else ~/.netrc would add one
                ),
            )

        response = opened(self._url + path, {"Authorization": f"token {self._token}"})
        hops = 0
        while response.is_redirect and hops < 3:
            response.close()
            response, hops = opened(response.headers["location"], {}), hops + 1
        return response

    def _patiently(self, call: Callable[[], T], what: str, find: Callable[[], T | None] | None = None) -> T:
        budget = self._patience.seconds
        for attempt in range(1, self._patience.tries + 1):
            try:
                return call()
            except _Transient as fault:
                wait = self._wait(fault, attempt)
                if attempt == self._patience.tries or wait > budget:
                    raise _given_up(fault, what, attempt, wait) from fault
                budget -= wait
                self._patience.sleep(wait)
                found = find() if find and fault.sent else None
                if found is not None:
                    return found
        raise AssertionError("the last try returns or raises")

    def _wait(self, fault: _Transient, attempt: int) -> float:
        jitter = self._patience.jitter()
        if fault.wait is not None:
            return fault.wait + jitter
        return float(2 ** (attempt - 1)) * (0.5 + jitter / 2)


def _fault(verb: str, path: str, reply: Reply) -> Exception:
    """What an error status means."""
    status, where = reply.status, f"{verb} {path}"
    if _is_limited(reply):
        return _Transient("GitHub limits the rate of requests", wait=_asked_wait(reply), sent=False, status=status)
    if status >= 500:
        return _Transient(f"GitHub answers {status}", wait=_asked_wait(reply), sent=True, status=status)
    if status == 404:
        return NotFound(f"{where}: is not there, or the token may not see it", status)
    said = {
        401: f"the token was refused: it is expired or wrong\n{TOKEN}",
        403: f"the token may not do this: {reply.message}\n{_needed(verb, path, reply)}",
        410: "is gone: it has expired or was deleted\nrun again what makes it",
    }
    return ApiError(f"{where}: {said.get(status, f'GitHub answers {status}: {reply.message}')}", status)


def _given_up(fault: _Transient, what: str, tries: int, wait: float) -> ApiError:
    if fault.wait is not None and fault.wait > 0 and not fault.sent:
        return ApiError(
            f"{what}: {fault.reason}, and asks for {wait:.0f} s of rest\nrun it again after that", fault.status
        )
    return ApiError(
        f"{what}: {fault.reason} after {tries} {'try' if tries == 1 else 'tries'}\nrun it again", fault.status
    )


def _is_limited(reply: Reply) -> bool:
    if reply.status == 429:
        return True
    exhausted = reply.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in reply.headers
    return reply.status == 403 and (exhausted or "rate limit" in reply.message.lower())


def _asked_wait(reply: Reply) -> float | None:
    """Seconds that GitHub asks to wait: `Retry-After`, else until the limit is reset."""
    after, reset = reply.headers.get("retry-after", ""), reply.headers.get("x-ratelimit-reset", "")
    if after.isdigit():
        return float(after)
    if reply.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return max(0.0, float(reset) - time.time())
    return None


TOKEN = "in a workflow pass `GITHUB_TOKEN: ${{ github.token }}`; at a desk `export GITHUB_TOKEN=$(gh auth token)`"  # noqa: S105
"""Where a token comes from."""

_PERMISSIONS = (
    (r"/statuses|/commits/[^/]+/status", "statuses"),
    (r"/actions/", "actions"),
    (r"/issues", "issues` or `pull-requests"),
    (r"/pulls", "pull-requests"),
    (r"/check-(runs|suites)", "checks"),
    (r"/(git|contents|releases|commits|compare|branches|merges|tarball)\b", "contents"),
)
"""Which permission of a job's token an endpoint needs, where GitHub does not say so itself."""


def _needed(verb: str, path: str, reply: Reply) -> str:
    if "not permitted to create or approve pull requests" in reply.message:
        return "Settings > Actions > General: switch on `Allow GitHub Actions to create and approve pull requests`"
    said = reply.headers.get("x-accepted-github-permissions", "")  # "issues=write; pull_requests=write"
    if said:
        return f"the job needs `{said.replace('=', ': ').replace('_', '-').replace('; ', '` or `')}`"
    level = "read" if verb == "GET" else "write"
    names = [name for pattern, name in _PERMISSIONS if re.search(pattern, path)]
    if not names:
        return "it needs the token of someone who administers the repository"
    return f"the job needs `{names[0].replace('`', f': {level}`', 1)}: {level}`"


def _said(data: Json) -> str:
    """GitHub's message, with the first of the errors under it."""
    parts = [str(data.get("message", "no message"))]
    for error in list(data.get("errors") or ())[:3]:
        detail = error.get("message") or error.get("code") or error if isinstance(error, dict) else error
        parts.append(str(detail))
    return " ".join("; ".join(parts).split())[:500]


def _cause(error: Exception) -> str:
    """The innermost reason, in one line."""
    reason: BaseException = error
    while reason.__cause__ or reason.__context__:
        reason = reason.__cause__ or reason.__context__ or reason
    return " ".join(str(reason).split())[:200] or type(reason).__name__


def _lowered(response: Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _written(response: Response, target: Path, limit: int) -> str | None:
    """Hex SHA-256 of a body that is now in `target`; None when it is larger than the limit."""
    size, sha256 = 0, hashlib.sha256()
    with target.open("wb") as file:
        for chunk in response.iter_content(CHUNK):
            size += len(chunk)
            if size > limit:
                return None
            sha256.update(chunk)
            file.write(chunk)
    return sha256.hexdigest()

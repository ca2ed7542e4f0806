"""One call to GitHub's REST API: sent with httpx, repeated with patience, and failing in words one can act on.

The environment names proxies (`HTTPS_PROXY`, `NO_PROXY`) and certificates (`SSL_CERT_FILE`), as a runner behind a
firewall needs them. It names no credentials: `~/.netrc` is not read, so GitHub sees the given token and nothing else.
The token goes to GitHub alone, never to where it redirects.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import random
from typing import TYPE_CHECKING, Any, TypeVar

from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from httpx import Client, Response

T = TypeVar("T")
Json = Mapping[str, Any]

PAGE = 100
"""Entries asked for at once: GitHub's most."""
TIMEOUT = 30
"""Seconds of silence after which a connection counts as cut."""
CHUNK = 1 << 16
MEGABYTE = 1_000_000

JSON = "application/vnd.github+json"
"""What GitHub is asked for: its JSON, and also an artifact's zip, which it refuses (415) to who asks for bytes."""
ASSET = "application/octet-stream"
"""What the file of a release is asked for; its description would come otherwise."""


class ApiError(RatchetError):
    """GitHub refused, or could not be reached; `status` is the HTTP status, 0 when there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ApiError):  # noqa: N818  # reads as what it says
    """It is not there, or this token may not see it."""


class Unavailable(ApiError):  # noqa: N818  # reads as what it says
    """GitHub gave no answer, or none but to come back later, in spite of all patience."""


class Transient(Exception):  # noqa: N818  # a state more than an error
    """May work the next time.

    Attributes:
        reason: What to say when it does not.
        wait: Seconds that GitHub asks for; None when it asks for none.
        sent: Whether GitHub may have done what it was asked for.
    """

    def __init__(self, reason: str, *, wait: float | None = None, sent: bool, status: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.sent, self.status = reason, wait, sent, status


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

    def repeat(self, call: Callable[[], T], what: str, find: Callable[[], T | None] | None = None) -> T:
        """What a call returns, which is made again while it fails with a `Transient`.

        Args:
            call: Does one try.
            what: Is named where all fail.
            find: Looks for what a try may have done that seemed to fail; None when it was not done.
        """
        budget = self.seconds
        for attempt in range(1, self.tries + 1):
            try:
                return call()
            except Transient as fault:
                wait = self._wait(fault, attempt)
                if attempt == self.tries or wait > budget:
                    raise _given_up(fault, what, attempt, wait) from fault
                budget -= wait
                self.sleep(wait)
                found = find() if find and fault.sent else None
                if found is not None:
                    return found
        raise AssertionError("the last try returns or raises")

    def _wait(self, fault: Transient, attempt: int) -> float:
        jitter = self.jitter()
        if fault.wait is not None:
            return fault.wait + jitter
        return float(2 ** (attempt - 1)) * (0.5 + jitter / 2)


PATIENT = Patience()
"""What a job can afford."""


class Api:
    """Calls to the REST API at `url`, with a token."""

    def __init__(self, url: str, token: str, patience: Patience) -> None:
        self._url, self._patience = url.rstrip("/"), patience
        self._client = _client(token)

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON at `path`.

        Raises:
            NotFound: There is none.
            ApiError: Refused, or not reached in spite of all patience.
        """
        return self._patience.repeat(lambda: self._json("GET", path, params=parameters)[1], f"GET {path}")

    def pages(self, path: str, /, **parameters: Any) -> Iterator[Any]:
        """The JSON of each page of a list."""
        page, more = 1, True
        while more:
            asked = {**parameters, "per_page": PAGE, "page": page}
            more, data = self._patience.repeat(
                lambda asked=asked: self._json("GET", path, params=asked),  # type: ignore[misc]
                f"GET {path}",
            )
            yield data
            page += 1

    def send(self, verb: str, path: str, body: Json | None = None) -> Any:
        """Send a write that does the same when it is done twice: it is repeated like a read."""
        return self._patience.repeat(lambda: self._json(verb, path, json=body)[1], f"{verb} {path}")

    def create(self, path: str, body: Json, find: Callable[[], T | None], of: Callable[[Any], T]) -> T:
        """Create what must not be there twice: sent again only after a look for what the first time may have made.

        Args:
            path: Where to POST.
            body: What.
            find: Looks for what may have been made; None when it was not.
            of: Reads it from GitHub's answer.
        """
        return self._patience.repeat(lambda: of(self._json("POST", path, json=body)[1]), f"POST {path}", find)

    def upload(self, url: str, file: Path, find: Callable[[], T | None], of: Callable[[Any], T]) -> T:
        """Upload a file to a release, under its own name; like `create` otherwise.

        Args:
            url: Where GitHub takes it, as its description of the release says.
            file: Which.
            find: As in `create`.
            of: As in `create`.
        """

        def call() -> T:
            with file.open("rb") as body:
                headers = {"Content-Type": "application/octet-stream"}
                return of(self._json("POST", url, params={"name": file.name}, headers=headers, content=body)[1])

        return self._patience.repeat(call, f"upload of {file.name}", find)

    def download(self, path: str, target: Path, limit: int, digest: str | None = None, accept: str = JSON) -> None:
        """Download a file, whole or not at all.

        Args:
            path: Where it is.
            target: Where it goes.
            limit: Bytes it may have; no more than these are read, whatever the server says.
            digest: "sha256:<hex>" that it must have.
            accept: The media type of its kind.

        Raises:
            ApiError: It is larger, has another digest, or cannot be had.
        """
        half = target.with_name(f".{target.name}.half")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._patience.repeat(lambda: self._fetch(path, half, limit, digest, accept), f"GET {path}")
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)

    def _json(self, verb: str, path: str, **parts: Any) -> tuple[bool, Any]:
        """Whether a list goes on after this page, and the JSON; None of an answer without content."""
        with self._answer(verb, path, **parts) as answer:
            content = answer.read()
            try:
                return "next" in answer.links, json.loads(content) if content else None
            except ValueError as error:
                raise Transient(f"{self._url} answers with something else than JSON", sent=True) from error

    def _fetch(self, path: str, half: Path, limit: int, digest: str | None, accept: str) -> None:
        """One try of a download."""
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        with self._answer("GET", path, headers=headers) as answer:
            found = _written(answer, half, limit)
        if found is None:
            raise ApiError(f"{path}: is larger than {limit / MEGABYTE:.0f} MB\nnothing that large is expected there")
        if digest and digest != f"sha256:{found}":
            raise ApiError(f"{path}: has the digest sha256:{found}, and should have {digest}\nit is not used")

    @contextmanager
    def _answer(self, verb: str, path: str, **parts: Any) -> Iterator[Response]:
        """The answer to one request, its body still to be read.

        Redirects of reads are followed. A write that was redirected would become a read, so it is an error.

        Raises:
            ApiError: GitHub refuses.
            Transient: It stumbles, or cannot be reached, also while the body is read.
        """
        from httpx import HTTPError, InvalidURL

        try:
            with self._client.stream(verb, self._address(path), follow_redirects=verb == "GET", **parts) as answer:
                if not answer.is_success:
                    raise _fault(verb, path, answer)
                yield answer
        except InvalidURL as error:
            raise ApiError(f"{verb} {path}: is not an address: {error}") from error
        except HTTPError as error:
            raise Transient(f"{self._url} cannot be reached: {_cause(error)}", sent=True) from error

    def _address(self, path: str) -> str:
        """Where to send a request: a path of the API, or a whole address that is GitHub's own."""
        if path.startswith("/"):
            return self._url + path
        scheme, _, host = self._url.partition("://")
        uploads = f"{scheme}://uploads.{host.removeprefix('api.').partition('/')[0]}/"
        own = f"{scheme}://{host.partition('/')[0]}/"
        if not path.startswith((own, uploads)):
            raise ApiError(f"{path}: does not belong to {self._url}\nit is not shown the token")
        return path


def _client(token: str) -> Client:
    """What sends requests.

    Raises:
        RatchetError: The token, or what the environment says of proxies and certificates, cannot be used.
    """
    import httpx

    if not re.fullmatch(r"[!-~]+", token):  # httpx would print it
        raise RatchetError(f"GITHUB_TOKEN: has characters that no token has, such as a space or a line break\n{TOKEN}")
    headers = {
        "Accept": JSON,
        "Authorization": f"Bearer {token}",
        "User-Agent": "ratchet",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    try:
        return httpx.Client(headers=headers, timeout=TIMEOUT, max_redirects=3)
    except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:
        raise RatchetError(
            f"the environment's proxy or certificates cannot be used: {_cause(error)}\n"
            "see HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR"
        ) from error


def _fault(verb: str, path: str, answer: Response) -> Exception:
    """What an error status means."""
    status, message, where = answer.status_code, _said(answer), f"{verb} {path}"
    if _is_limited(answer, message):
        return Transient("GitHub limits the rate of requests", wait=_asked_wait(answer), sent=False, status=status)
    if status >= 500:
        return Transient(f"GitHub answers {status}", wait=_asked_wait(answer), sent=True, status=status)
    if status == 404:
        return NotFound(f"{where}: is not there, or the token may not see it", status)
    said = {
        401: f"the token was refused: it is expired or wrong\n{TOKEN}",
        403: f"the token may not do this: {message}\n{_needed(verb, path, answer, message)}",
        410: "is gone: it has expired or was deleted\nrun again what makes it",
    }
    return ApiError(f"{where}: {said.get(status, f'GitHub answers {status}: {message}')}", status)


def _given_up(fault: Transient, what: str, tries: int, wait: float) -> ApiError:
    if fault.wait is not None and fault.wait > 0 and not fault.sent:
        return Unavailable(
            f"{what}: {fault.reason}, and asks for {wait:.0f} s of rest\nrun it again after that", fault.status
        )
    return Unavailable(
        f"{what}: {fault.reason} after {tries} {'try' if tries == 1 else 'tries'}\nrun it again", fault.status
    )


def _is_limited(answer: Response, message: str) -> bool:
    if answer.status_code == 429:
        return True
    exhausted = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    return answer.status_code == 403 and (exhausted or "rate limit" in message.lower())


def _asked_wait(answer: Response) -> float | None:
    """Seconds that GitHub asks to wait: `Retry-After`, else until the limit is reset."""
    after, reset = answer.headers.get("retry-after", ""), answer.headers.get("x-ratelimit-reset", "")
    if after.isdigit():
        return float(after)
    if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return max(0.0, float(reset) - time.time())
    return None


TOKEN = "in a workflow pass `GITHUB_TOKEN: ${{ github.token }}`; at a desk `export GITHUB_TOKEN=$(gh auth token)`"  # noqa: S105
"""Where a token comes from."""

_PERMISSIONS = (
    (r"/statuses|/commits/[^/]+/status", "statuses"),
    (r"/actions/", "actions"),
    (r"/issues", "issues` or `pull-requests"),
    (r"/pulls", "pull-requests"),
    (r"/(git|contents|releases|commits|compare|branches)\b", "contents"),
)
"""Which permission of a job's token an endpoint needs, where GitHub does not say so itself."""


def _needed(verb: str, path: str, answer: Response, message: str) -> str:
    if "not permitted to create or approve pull requests" in message:
        return "Settings > Actions > General: switch on `Allow GitHub Actions to create and approve pull requests`"
    said = answer.headers.get("x-accepted-github-permissions", "")  # "issues=write; pull_requests=write"
    if said:
        return f"the job needs `{said.replace('=', ': ').replace('_', '-').replace('; ', '` or `')}`"
    level = "read" if verb == "GET" else "write"
    names = [name for pattern, name in _PERMISSIONS if re.search(pattern, path)]
    if not names:
        return "it needs the token of someone who administers the repository"
    return f"the job needs `{names[0].replace('`', f': {level}`', 1)}: {level}`"


def _said(answer: Response) -> str:
    """GitHub's message, with the first of the errors under it."""
    try:
        data = json.loads(next(answer.iter_bytes(CHUNK), b""))  # whoever answers: no more of it is read
    except ValueError:
        data = None
    if not isinstance(data, dict):
        return answer.reason_phrase or "no message"
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


def _written(answer: Response, target: Path, limit: int) -> str | None:
    """Hex SHA-256 of a body that is now in `target`; None when it is larger than the limit."""
    size, sha256 = 0, hashlib.sha256()
    with target.open("wb") as file:
        for chunk in answer.iter_bytes(CHUNK):
            size += len(chunk)
            if size > limit:
                return None
            sha256.update(chunk)
            file.write(chunk)
    return sha256.hexdigest()

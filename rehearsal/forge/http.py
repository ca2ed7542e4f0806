"""What a route gets and gives: the request with its user and repository, and answers in pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from rehearsal.forge.access import Actor
from rehearsal.forge.git import Git
from rehearsal.forge.refusal import Refusal, not_found

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge
    from rehearsal.forge.state import Repository

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What is sent back: JSON, bytes, or nothing."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Ask:
    """A request: path parameters, query, body, who asks."""

    forge: Forge
    actor: Actor
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def repository(self) -> Repository:
        """The repository of the path."""
        return self.forge.repository(f"{self.params['owner']}/{self.params['repo']}")

    @property
    def git(self) -> Git:
        """Its git repository."""
        return self.forge.git(self.repository)

    @property
    def login(self) -> str:
        """Who asks."""
        return self.actor.login

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object that was sent.

        Raises:
            Refusal: 400, it is no JSON object.
        """
        if not self.raw:
            return {}
        try:
            found = json.loads(self.raw)
        except ValueError as error:
            raise Refusal(400, "Problems parsing JSON") from error
        if not isinstance(found, dict):
            raise Refusal(400, "Body should be a JSON object")
        return found

    def number(self, name: str) -> int:
        """A path parameter that is a whole number.

        Raises:
            Refusal: 404, it is something else.
        """
        text = self.params[name]
        if not text.isdigit():
            raise not_found()
        return int(text)

    def need(self, name: str, kind: type[T], resource: str) -> T:
        """A field of the body that must be there.

        Raises:
            Refusal: 422, it is missing or of another type.
        """
        value = self.body.get(name)
        if value is None:
            error = {"resource": resource, "field": name, "code": "missing_field"}
            raise Refusal(422, "Validation Failed", [error])
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise Refusal(
                422, f"Invalid request.\n\nFor 'properties/{name}', {json.dumps(value)} is not a {_NAMES[kind]}."
            )
        return value


_NAMES: dict[type, str] = {str: "string", int: "integer", list: "array", dict: "object", bool: "boolean"}


def page(ask: Ask, items: Sequence[T], shape: Callable[[T], Any], key: str | None = None) -> Answer:
    """One page of a list, with GitHub's Link header; under `key`, beside `total_count`, where GitHub wraps lists."""
    size = min(max(_whole(ask.query.get("per_page"), 30), 1), 100)
    number = max(_whole(ask.query.get("page"), 1), 1)
    shown = [shape(item) for item in items[(number - 1) * size : number * size]]
    last = max(-(-len(items) // size), 1)
    links = _links(ask, number, last)
    return Answer(200, {"total_count": len(items), key: shown} if key else shown, {"Link": links} if links else {})


def _links(ask: Ask, number: int, last: int) -> str:
    targets = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
    if number >= last:
        targets.pop("next"), targets.pop("last")
    if number == 1:
        targets.pop("prev"), targets.pop("first")
    address = f"{ask.forge.url}{ask.path}"
    return ", ".join(
        f'<{address}?{urlencode({**ask.query, "page": target})}>; rel="{name}"' for name, target in targets.items()
    )


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default


def query_of(text: str) -> dict[str, str]:
    """The parameters of a query string; of several of one name the last."""
    return dict(parse_qsl(text, keep_blank_values=True))


def newest(items: Iterable[T], ask: Ask, *, default: str = "desc") -> list[T]:
    """Oldest-first items in the order that was asked for."""
    listed = list(items)
    return listed[::-1] if ask.query.get("direction", default) == "desc" else listed

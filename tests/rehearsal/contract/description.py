"""GitHub's published API description, and whether a request, an answer or an event fits it.

Besides the description's own words (required fields, types, enumerations), times and addresses have to be well-formed,
and nothing may be sent that the description does not name: who builds on such a field would fail on GitHub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.exceptions import best_match

Node = dict[str, Any]

DESCRIPTION: Node = json.loads(Path(__file__).with_name("github.json").read_text(encoding="utf-8"))
OPERATIONS: Node = DESCRIPTION["operations"]
EVENTS: Node = DESCRIPTION["events"]
# A label without a description has null here too, as in every other schema that has labels.
DESCRIPTION["schemas"]["pull-request-simple"]["properties"]["labels"]["items"]["properties"]["description"]["type"] = [
    "string",
    "null",
]
# GitHub answers these everywhere, and names them for few operations.
COMMON_ERRORS = {401, 403, 404, 409, 422}
ERROR: Node = {
    "type": "object",
    "required": ["message", "documentation_url"],
    "properties": {"message": {"type": "string", "minLength": 1}, "documentation_url": {"type": "string"}},
    "additionalProperties": True,
}
# The first can be anything; the second is the forge's word to its runner, and no webhook.
UNDESCRIBED = {"repository_dispatch", "run"}
# Of this one the description leaves out fields that it names where the run is requested or completed.
TERSE = {"workflow_run in_progress"}
SEVERAL_SEGMENTS = ("path", "ref", "basehead", "branch", "name", "tag", "sha")

formats = FormatChecker(formats=())


@formats.checks("date-time")
def is_time(value: object) -> bool:
    """UTC to the second, as GitHub writes it; commits may carry an offset."""
    return not isinstance(value, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value)
    )


@formats.checks("uri")
def is_address(value: object) -> bool:
    """An absolute address without a template's braces."""
    if not isinstance(value, str):
        return True
    parts = urlsplit(value)
    return parts.scheme in {"http", "https", "git", "ssh"} and bool(parts.netloc) and not set(value) & set("{} ")


@formats.checks("email")
def is_mail(value: object) -> bool:
    """Something before and after an at sign."""
    return not isinstance(value, str) or bool(re.fullmatch(r"[^@\s]+@[^@\s]+", value))


@dataclass(frozen=True)
class Operation:
    """One operation of the description: `GET /repos/{owner}/{repo}`."""

    name: str

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.name.split(" ")[0]

    @property
    def template(self) -> str:
        """The path with its parameters in braces."""
        return self.name.split(" ")[1]

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches the paths of this operation."""
        parts = re.split(r"\{(\w+)\}", self.template)
        wide = (".+" if name in SEVERAL_SEGMENTS else "[^/]+" for name in parts[1::2])
        literal = map(re.escape, parts[0::2])
        return re.compile("".join(a + b for a, b in zip(literal, [*wide, ""], strict=True)))

    def documents(self, status: int) -> bool:
        """The description names this status."""
        return str(status) in OPERATIONS[self.name]["responses"]

    def request_faults(self, body: Any) -> list[str]:
        """What is wrong with a JSON body that is sent."""
        expected = OPERATIONS[self.name]["request"]
        if body is None:
            return ["a body is required"] if OPERATIONS[self.name]["required"] else []
        if expected is None:
            return ["no body is taken"]
        return faults(body, expected["schema"])

    def response_faults(self, status: int, media_type: str, content: bytes) -> list[str]:
        """What is wrong with an answer."""
        responses = OPERATIONS[self.name]["responses"]
        if str(status) not in responses and status not in COMMON_ERRORS:
            return [f"status {status} is not among {', '.join(responses)}"]
        expected = responses.get(str(status))
        if expected is None and (status < 400 or not content):
            return ["a body where none belongs"] if content and status != 302 else []
        if not media_type.startswith("application/json"):
            return [f"{media_type or 'no content type'} instead of application/json"]
        answer = json.loads(content)
        found = error_faults(answer) if status >= 400 else []
        return found + (faults(answer, expected["schema"]) if expected else [])


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that a request is for: the one with most literal segments."""
    matching = [one for one in map(Operation, OPERATIONS) if one.method == method and one.pattern.fullmatch(path)]
    return max(matching, key=lambda one: -one.template.count("{") * 100 + one.template.count("/"), default=None)


def error_faults(answer: Node) -> list[str]:
    """What is wrong with an error: GitHub's have a message and the address of a page."""
    answer.pop("status", None)  # every error has it; few schemas say so
    return faults(answer, ERROR)


def event_faults(name: str, action: str | None, payload: Any) -> list[str]:
    """What is wrong with an event's payload."""
    if name in UNDESCRIBED:
        return []
    event = f"{name} {action}" if action else name
    if event not in EVENTS:
        return ["the description has no such event"]
    return misfits(payload, EVENTS[event]) if event in TERSE else faults(payload, EVENTS[event])


def faults(instance: Any, schema: Node) -> list[str]:
    """Where a value does not fit a schema of the description, and what it has that is not in there; one line each."""
    return misfits(instance, schema) + list(undeclared(instance, [schema], "$"))


def misfits(instance: Any, schema: Node) -> list[str]:
    """Where a value does not fit a schema of the description, one line each."""
    root = {**schema, "schemas": DESCRIPTION["schemas"]}
    errors = Draft202012Validator(root, format_checker=formats).iter_errors(instance)
    return sorted(f"{error.json_path}: {error.message[:300]}" for error in map(innermost, errors))


def innermost(error: ValidationError) -> ValidationError:
    """What is wrong in the alternative that fits best."""
    return best_match([error]) or error


def undeclared(instance: Any, schemas: Iterable[Node], where: str) -> Iterator[str]:
    """Fields of a value that no schema for it names."""
    parts = [part for schema in schemas for part in alternatives(schema)]
    if isinstance(instance, list):
        items = [part["items"] for part in parts if "items" in part]
        for number, item in enumerate(instance):
            yield from undeclared(item, items, f"{where}[{number}]")
    if isinstance(instance, dict):
        named = [part["properties"] for part in parts if "properties" in part]
        free = not named or any(part.get("additionalProperties") for part in parts)
        for key, value in instance.items():
            declared = [properties[key] for properties in named if key in properties]
            if not declared and not free:
                yield f"{where}.{key}: the description names no such field"
            yield from undeclared(value, declared, f"{where}.{key}")


def alternatives(schema: Node) -> Iterator[Node]:
    """A schema with all that it is made of: references, and the parts of allOf and anyOf."""
    if "$ref" in schema:
        yield from alternatives(DESCRIPTION["schemas"][schema["$ref"].removeprefix("#/schemas/")])
        return
    yield schema
    for word in ("allOf", "anyOf"):
        for part in schema.get(word, ()):
            yield from alternatives(part)

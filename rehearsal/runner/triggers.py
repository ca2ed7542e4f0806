"""Which workflows an event starts: `on:` against what happened. Pure; GitHub's rules for filters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ratchet.triggers import matches
from rehearsal.forge import Event
from rehearsal.runner.workflow import Workflow

DEFAULT_TYPES = {"pull_request": ("opened", "synchronize", "reopened")}
DEFAULT_TYPES["pull_request_target"] = DEFAULT_TYPES["pull_request"]
_SKIPS = ("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]")
_MAX_CHAIN = 3  # workflow_run after workflow_run: GitHub stops there


def starts(workflow: Workflow, event: Event, changed: Callable[[], Sequence[str]]) -> bool:
    """The event starts a run of the workflow.

    Args:
        workflow: As it stands in the commit that GitHub reads it from.
        event: What happened.
        changed: The files that the event changes; asked for only where a filter wants them.
    """
    filters = workflow.on.get(event.name)
    if filters is None or not _has_type(event, filters):
        return False
    payload = event.payload
    match event.name:
        case "push":
            return not payload.get("deleted") and _pushed(event.ref, filters) and _touches(filters, changed)
        case "pull_request" | "pull_request_target":
            return _allows("branches", payload["pull_request"]["base"]["ref"], filters) and _touches(filters, changed)
        case "workflow_run":
            run = payload["workflow_run"]
            return run["name"] in filters.get("workflows", []) and _allows(
                "branches", run["head_branch"] or "", filters
            )
        case "workflow_dispatch" | "schedule":
            return bool(payload["workflow"] == workflow.path)
    return True


def inputs(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a dispatch, with defaults; booleans and numbers in their type."""
    found: dict[str, Any] = {}
    for name, about in workflow.inputs.items():
        value = given.get(name, about.get("default"))
        match about.get("type", "string"):
            case "boolean":
                found[name] = value in (True, "true")
            case "number":
                found[name] = float(value or 0)
            case _:
                found[name] = "" if value is None else str(value)
    return found


def is_skipped(event: Event, message: str) -> bool:
    """The message of the newest commit asks for no run: it counts for push and pull_request."""
    if event.name not in ("push", "pull_request"):
        return False
    return any(mark in message for mark in _SKIPS) or bool(re.search(r"\n\nskip-checks: *true\s*$", message))


def is_too_long(chain: int) -> bool:
    """So many `workflow_run` have already followed one another that GitHub starts no further."""
    return chain >= _MAX_CHAIN


def _has_type(event: Event, filters: Mapping[str, Any]) -> bool:
    types = filters.get("types") or DEFAULT_TYPES.get(event.name)
    return types is None or event.action is None or event.action in types


def _pushed(ref: str, filters: Mapping[str, Any]) -> bool:
    kind, name = (
        ("tags", ref.removeprefix("refs/tags/"))
        if ref.startswith("refs/tags/")
        else ("branches", ref.removeprefix("refs/heads/"))
    )
    other = "branches" if kind == "tags" else "tags"
    has = {key: bool({key, f"{key}-ignore"} & filters.keys()) for key in ("branches", "tags")}
    if has[other] and not has[kind]:
        return False
    return _allows(kind, name, filters)


def _allows(kind: str, name: str, filters: Mapping[str, Any]) -> bool:
    if kind in filters:
        return matches(filters[kind], name)
    ignored = filters.get(f"{kind}-ignore")
    return not ignored or not matches(ignored, name)


def _touches(filters: Mapping[str, Any], changed: Callable[[], Sequence[str]]) -> bool:
    if "paths" in filters:
        return any(matches(filters["paths"], path) for path in changed())
    if "paths-ignore" in filters:
        return not all(matches(filters["paths-ignore"], path) for path in changed())
    return True

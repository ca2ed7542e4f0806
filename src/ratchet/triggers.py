"""Triggers: which branches a workflow file listens to, by what its `on:` says of pushes and pull requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ratchet import yaml12
from ratchet.errors import RatchetError

_TOKEN = re.compile(r"\*\*/?|\*|\?|\+|\[[^]]*]|\\.|.", re.DOTALL)
_KNOWN = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "?", "+": "+"}


def hears(text: str, event: str, branch: str) -> bool:
    """Whether a workflow listens to an event (`push` or `pull_request`) that is about a branch.

    Raises:
        RatchetError: Its `on:` cannot be read; says which part of it.
    """
    found = yaml12.read_as_dvc(text.encode(), "the workflow")  # GitHub, too, has `on` for a text
    on = found.get("on") if isinstance(found, dict) else None
    if isinstance(on, str | list):
        on = dict.fromkeys(_texts(on, "events"))
    if not isinstance(on, dict):
        raise RatchetError(f"on: {on!r} names no event")
    return event in on and _fits(on[event], event, branch)


def _fits(filters: Any, event: str, branch: str) -> bool:
    if filters is None:
        return True
    if not isinstance(filters, Mapping):
        raise RatchetError(f"on: {event}: {filters!r} holds no filters")
    for name in ("branches", "branches-ignore"):
        if name in filters:
            return matches(_texts(filters[name], f"{event}: {name}"), branch) is (name == "branches")
    return event != "push" or not {"tags", "tags-ignore"} & filters.keys()  # pushes of tags alone


def _texts(found: Any, where: str) -> list[str]:
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RatchetError(f"on: {where}: {found!r} is no list of texts")
    return texts


def matches(patterns: Iterable[str], name: str) -> bool:
    """GitHub's patterns of branches, tags and paths: the last one that fits decides, `!` takes back.

    Raises:
        RatchetError: One of them is none.
    """
    found = False
    for pattern in patterns:
        if _expression(pattern.removeprefix("!")).fullmatch(name):
            found = not pattern.startswith("!")
    return found


@lru_cache
def _expression(pattern: str) -> re.Pattern[str]:
    """`*` ends at a slash and `**` does not, `?` and `+` repeat what stands before, `[]` is a set."""
    try:
        return re.compile("".join(map(_part, _TOKEN.findall(pattern))), re.DOTALL)
    except re.error as error:
        raise RatchetError(f"on: {pattern!r} is no pattern ({error})") from error


def _part(token: str) -> str:
    is_set = token.startswith("[") and len(token) > 1
    return _KNOWN.get(token) or (token if is_set else re.escape(token[-1] if token.startswith("\\") else token))

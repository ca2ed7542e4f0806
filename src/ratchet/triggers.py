"""Triggers: which branches a workflow file listens to, by what its `on:` says of pushes and pull requests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ratchet import yaml12
from ratchet.errors import RatchetError

_TOKEN = re.compile(r"(\*\*|\*|\?|\+|\[[^]]*])")
_KNOWN = {"**": ".*", "*": "[^/]*", "?": "?", "+": "+"}


def hears(text: str, branch: str) -> bool:
    """Whether a workflow that listens to pushes or pull requests hears of those to a branch.

    True, too, where the file cannot be read: that GitHub shows itself.
    """
    try:
        read = yaml12.read_as_dvc(text.encode(), "the workflow")  # GitHub, too, has `on` for a text
    except RatchetError:
        return True
    events = read.get("on") if isinstance(read, dict) else None
    if not isinstance(events, dict):
        return True
    return all(_fits(events.get(event) or {}, branch) for event in ("push", "pull_request"))


def _fits(filters: Mapping[str, Any], branch: str) -> bool:
    if "branches" in filters:
        return matches(filters["branches"], branch)
    return "branches-ignore" not in filters or not matches(filters["branches-ignore"], branch)


def matches(patterns: str | Sequence[str], branch: str) -> bool:
    """GitHub's patterns: `*` ends at a slash and `**` does not; the last one that fits decides, `!` takes back."""
    found = False
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        if _expression(pattern.removeprefix("!")).fullmatch(branch):
            found = not pattern.startswith("!")
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    parts = _TOKEN.split(pattern)
    return re.compile("".join(_KNOWN.get(part, part if _TOKEN.match(part) else re.escape(part)) for part in parts))

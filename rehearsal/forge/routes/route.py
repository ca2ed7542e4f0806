"""What a route is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from rehearsal.forge.http import Answer, Ask

_LONG = {"path", "ref", "branch", "basehead", "name", "tag"}
"""Parameters that may hold slashes."""


def _part(name: str) -> str:
    if name == "path":  # the root of the repository is the empty path
        return ".*"
    return ".+" if name in _LONG else "[^/]+"


@dataclass(frozen=True)
class Route:
    """One operation.

    Attributes:
        method: Of HTTP.
        path: As GitHub's API description writes it.
        handler: Answers; called with the forge held still, for anything but GET to change it.
        permission: What a workflow's token needs, `statuses:write`; of several (`a:write|b:write`) any.
        role: What a person needs; by default read for a `:read` permission and write for a `:write` one.
        media: A media type that may be asked for besides JSON.
    """

    method: str
    path: str
    handler: Callable[[Ask], Answer]
    permission: str = "metadata:read"
    role: str = ""
    media: str = ""

    @property
    def needs(self) -> list[str]:
        """Permissions, any of which suffices."""
        return self.permission.split("|")

    @property
    def least(self) -> str:
        """The role a person needs."""
        return self.role or self.needs[0].split(":")[1]

    @property
    def is_in_repository(self) -> bool:
        """It is about one repository."""
        return "{repo}" in self.path

    def serves(self, accept: str) -> bool:
        """Whether an Accept header names what it answers; of every other GitHub answers 415 since August 2026."""
        asked = {one.partition(";")[0].strip().lower() for one in accept.split(",")}
        return bool(asked & {"*/*", "application/*", "application/json", self.media}) or any(
            one.startswith("application/vnd.github") for one in asked
        )

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches the paths it serves, without the prefix of the API."""
        parts = re.split(r"\{(\w+)\}", self.path)
        texts = [
            re.escape(part) if index % 2 == 0 else f"(?P<{part}>{_part(part)})" for index, part in enumerate(parts)
        ]
        return re.compile("".join(texts))

"""The file that Traefik watches: replaced whole, and followed before anything else is done.

An arm may be stopped only when Traefik has stopped asking it. So the routes hold a mark of their own, an address behind
Traefik's inner entry point that answers once they are in force: nobody has to guess how long that takes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import yaml

from ratchet import files
from ratchet.errors import RatchetError

PATIENCE = 15.0
"""Seconds for Traefik to take in a file; it takes a fifth of one, and two to start."""

_PAUSE = 0.02
_INNER = "metrics"
"""The entry point of the static configuration that only the host itself reaches."""


class Routes:
    """Traefik's dynamic configuration.

    Args:
        path: The file, in a folder that Traefik watches.
        inner: Where Traefik's inner entry point is now, "http://…"; None while it does not run.
    """

    def __init__(self, path: Path, inner: Callable[[], str | None]) -> None:
        self.path = path
        self._inner = inner

    def replace(self, text: str, ready: Callable[[], None]) -> bool:
        """Write the routes, and wait until they are in force.

        Args:
            text: All of them.
            ready: Called once they are written; sees to it that Traefik runs.

        Returns:
            Whether they are others than before.

        Raises:
            RatchetError: Traefik does not take them in; those before are put back, and hold.
        """
        mark, marked = _marked(text)
        old = self.path.read_text(encoding="utf-8") if self.path.exists() else None
        if marked != old:
            files.write_text(self.path, marked)
        ready()
        end = time.monotonic() + PATIENCE
        while not self._holds(mark):
            if time.monotonic() > end:
                self._put_back(old)
                raise RatchetError(
                    f"{self.path}: Traefik does not take these routes in\nits log says why; the old ones hold"
                )
            time.sleep(_PAUSE)
        return marked != old

    def _holds(self, mark: str) -> bool:
        """Whether the routes with a mark are in force."""
        inner = self._inner()
        if inner is None:
            return False
        try:
            return httpx.get(f"{inner}{mark}", timeout=2).is_success
        except (httpx.HTTPError, OSError):
            return False

    def _put_back(self, old: str | None) -> None:
        if old is None:
            self.path.unlink()
        else:
            files.write_text(self.path, old)


def _marked(text: str) -> tuple[str, str]:
    """The path of the mark of these routes, and the routes with it."""
    mark = f"/routes/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    given = yaml.safe_load(text)
    given["http"]["routers"]["mark"] = {
        "rule": f"Path(`{mark}`)",
        "entryPoints": [_INNER],
        "service": "ping@internal",  # Traefik's own, which says OK
    }
    return mark, yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=120)

"""Keeps the framework's tests away from what a repository made of the template changes first.

Their outcome must not depend on its params.yaml, its dvc.lock or its problem: whoever edits one of these in the browser
would be stopped by a test that has nothing to do with the edit. They read `tests/problems`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FRAMEWORK = "ratchet"
MARK = "own"


class OwnFileError(AssertionError):
    """A test of the framework has opened a file that is not the framework's."""


class Guard:
    """An audit hook: while it is watching, whoever opens one of those files in this process fails.

    Args:
        root: Of the repository.
    """

    def __init__(self, root: Path) -> None:
        self._files = {str(root / name) for name in ("params.yaml", "dvc.lock")}
        packages = [path for path in (root / "src").iterdir() if path.is_dir() and path.name != FRAMEWORK]
        self._folders = tuple(f"{path}{os.sep}" for path in packages)
        self._tests = {root / "tests" / path.name: path.name for path in packages}
        self._watching = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Hear what Python is about to do."""
        if self._watching and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            self._check(os.fsdecode(arguments[0]))

    def _check(self, name: str) -> None:
        try:
            path = os.path.abspath(name)  # noqa: PTH100  # called for every file that is opened
        except FileNotFoundError:  # the working folder is gone, and the repository is elsewhere
            return
        if path in self._files or path.startswith(self._folders):
            raise OwnFileError(
                f"{path}: is the repository's own; a test of the framework reads tests/problems, "
                f"and one about the repository's own files bears the mark `{MARK}`"
            )

    def problem_of(self, path: Path) -> str | None:
        """The problem whose tests these are, if they are."""
        return next((name for folder, name in self._tests.items() if path.is_relative_to(folder)), None)

    @contextmanager
    def watching(self, path: Path, *, own: bool = False) -> Iterator[None]:
        """While a test of the framework is collected or run; those in `tests/<problem>` are the problem's.

        Args:
            path: The test's file.
            own: It is about the repository's own files.
        """
        self._watching = not own and self.problem_of(path) is None
        try:
            yield
        finally:
            self._watching = False

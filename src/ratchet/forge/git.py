"""git in a folder, whose requests to GitHub carry the token; GitHub does not count them as requests of the API."""

from __future__ import annotations

import base64
import os
import resource
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

_KEPT = ("GIT_SSL_", "GIT_PROXY_SSL_")
"""Variables of git's that say how to reach a server; others would say which repository or whose settings."""


@dataclass(frozen=True)
class Done:
    """What a git command has come to; `was_cut` says that it wrote more than it may."""

    code: int
    out: bytes
    said: str
    was_cut: bool = False

    @property
    def last(self) -> str:
        """The last line of what it said."""
        return (self.said.strip().splitlines() or ["no reason given"])[-1]


class Git:
    """git in one folder, with the token for one server.

    It reads no settings but the folder's own, runs no hook, and asks nobody for a password.

    Args:
        folder: Where it runs.
        server: The server that the token is for.
        token: Stands in the environment and not among the arguments, which anyone on the machine sees.
        settings: Further ones.
    """

    def __init__(self, folder: Path, server: str, token: str, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        given = {
            f"http.{server}/.extraheader": f"Authorization: Basic {secret}",
            "core.hooksPath": os.devnull,
            "credential.helper": "",
            "http.lowSpeedLimit": "1",  # bytes a second; below that for so many seconds a connection counts as cut
            "http.lowSpeedTime": "30",
            **(settings or {}),
        }
        self._environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith("GIT_") or name.startswith(_KEPT)
            },
            **{f"GIT_CONFIG_KEY_{i}": key for i, key in enumerate(given)},
            **{f"GIT_CONFIG_VALUE_{i}": value for i, value in enumerate(given.values())},
            "GIT_CONFIG_COUNT": str(len(given)),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }

    def done(
        self,
        arguments: Sequence[str],
        stdin: bytes = b"",
        limit: int | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> Done:
        """Run git, whatever comes of it.

        Args:
            arguments: Of git.
            stdin: What it reads.
            limit: Bytes that its output and each file that it writes may have.
            variables: Further ones of its environment.
        """

        def bound() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        with TemporaryFile() as out:
            ended = subprocess.run(
                ["git", *arguments],
                cwd=self.folder,
                env={**self._environment, **(variables or {})},
                input=stdin,
                stdout=out,
                stderr=subprocess.PIPE,
                preexec_fn=bound,  # nothing that holds a lock runs beside it
                check=False,
            )
            out.seek(0)
            content = out.read()
        was_cut = ended.returncode != 0 and limit is not None and (len(content) >= limit or self._has_half(limit))
        return Done(ended.returncode, content, ended.stderr.decode(errors="replace"), was_cut)

    def _has_half(self, limit: int) -> bool:
        """Whether a pack was written up to the limit, and no further; what was is removed."""
        halves = [path for path in self.folder.glob("objects/pack/tmp_pack_*") if path.stat().st_size >= limit]
        for path in halves:
            path.unlink()
        return bool(halves)

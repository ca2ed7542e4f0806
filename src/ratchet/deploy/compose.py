"""Docker Compose as an engine: the services of `deploy/compose.yaml`, one project for each environment.

    engine = Compose(Path("deploy"), "production")      a clone of the branch `deploy`

Everything goes through `docker compose`, as a person would do it; what it says when it fails is what is told.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ratchet.deploy.apply import Watch, read
from ratchet.deploy.routes import Routes
from ratchet.deploy.state import ENVIRONMENTS, SLOTS, Environment, Slot
from ratchet.errors import RatchetError

ARM, INNER = 3000, 8082
"""Ports inside: of an arm, and of Traefik's entry point for the host itself."""
ENTRY, BESIDE = ("traefik",), ("prometheus", "grafana")
"""Services that are always there, to let requests in and to look on; each has a folder with its configuration."""
PATIENCE = 900.0
"""Seconds for a call, in which an image may have to be fetched."""
OWN = ".ratchet"
"""A folder in the clone that is this host's own, and no part of the branch."""

_UP = {"running", "restarting", "paused"}


class Compose:
    """An engine of `ratchet.deploy.apply`.

    Args:
        folder: A clone of the branch `deploy`.
        environment: "staging" or "production".
        program: What is called, before "compose".
    """

    def __init__(self, folder: Path, environment: Environment, program: str = "docker") -> None:
        self.folder = folder.resolve()
        self.routes = Routes(self.folder / OWN / environment / "routes" / "traefik.yaml", self._inner)
        self._given = {"ENVIRONMENT": environment, "ROUTES": str(self.routes.path.parent)}
        self._command = [
            *(program, "compose", "--project-name", f"ratchet-{environment}"),
            *("--project-directory", str(self.folder), "--file", str(self.folder / "compose.yaml")),
            *("--env-file", str(self.folder / environment / "compose.env")),
        ]

    def running(self) -> Mapping[Slot, str]:
        """See `Engine`."""
        listed = {entry["Service"]: entry for entry in _entries(self._do("ps", "--all", "--format", "json"))}
        return {slot: listed[slot]["Image"] for slot in SLOTS if slot in listed and listed[slot]["State"] in _UP}

    def start(self, slot: Slot, image: str) -> None:
        """See `Engine`."""
        given = {f"{slot.upper()}_IMAGE": image}
        self._do("--profile", slot, "up", "--detach", "--no-deps", "--quiet-pull", slot, environment=given)

    def stop(self, slot: Slot) -> None:
        """See `Engine`."""
        self._do("--profile", slot, "stop", slot)
        self._do("--profile", slot, "rm", "--force", slot)

    def address(self, slot: Slot) -> str:
        """See `Engine`."""
        return f"http://{slot}:{ARM}"

    def probe(self, slot: Slot) -> str:
        """See `Engine`."""
        return f"http://{self._do('--profile', slot, 'port', slot, str(ARM)).strip()}"

    def route(self, text: str) -> bool:
        """See `Engine`. Brings up Traefik as well; anew if it is configured anew."""
        return self.routes.replace(text, lambda: self._bring_up(*ENTRY))

    def beside(self) -> str | None:
        """See `Engine`: Prometheus and Grafana."""
        try:
            self._bring_up(*BESIDE)
        except RatchetError as error:
            return f"{' and '.join(BESIDE)}: {error}"
        return None

    def _bring_up(self, *services: str) -> None:
        given = {f"{name.upper()}_CONFIGURATION": _digest(self.folder / name) for name in services}
        self._do("up", "--detach", "--no-deps", "--quiet-pull", *services, environment=given)

    def _inner(self) -> str | None:
        try:
            found = self._do("port", "traefik", str(INNER)).strip()
        except RatchetError:  # no such container yet
            return None
        return f"http://{found}" if found else None

    def _do(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Call `docker compose`; the environment goes before the file of the branch.

        Raises:
            RatchetError: It fails, or there is no Docker.
        """
        ours = {**os.environ, **self._given, **(environment or {})}
        try:
            done = subprocess.run(
                [*self._command, *arguments], capture_output=True, text=True, env=ours, check=False, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired as error:
            raise RatchetError(f"docker compose {' '.join(arguments)}: takes longer than {PATIENCE:.0f} s") from error
        except FileNotFoundError as error:
            raise RatchetError(
                f"{self._command[0]}: is not installed\na host needs Docker with Compose 2.24 or later"
            ) from error
        if done.returncode:
            said = " ".join(done.stderr.split()[-60:])
            raise RatchetError(f"docker compose {' '.join(arguments)}: fails\n{said[:500] or 'it says nothing'}")
        return done.stdout


@contextmanager
def opened(folder: Path, environment: str) -> Iterator[Watch]:
    """A host that follows the branch `deploy` with Docker Compose; one process at a time for each environment.

    Args:
        folder: A clone of the branch.
        environment: Which one the host is.

    Raises:
        RatchetError: There is no such state, or another process looks after it.
    """
    which = next((name for name in ENVIRONMENTS if name == environment), None)
    if which is None:
        raise RatchetError(f"{environment}: is no environment; they are {' and '.join(ENVIRONMENTS)}")
    read(folder, which)  # before anything is made
    own = folder / OWN / which
    own.mkdir(parents=True, exist_ok=True)
    with (own / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RatchetError(f"{folder}: another `ratchet deploy apply` looks after {which}") from error
        yield Watch(Compose(folder, which), folder, which, own / "reached.json")


def _entries(text: str) -> Iterator[dict[str, Any]]:
    """What `ps --format json` lists: an array in earlier versions, an object a line in later ones."""
    for line in text.splitlines():
        if line.strip():
            found = json.loads(line)
            yield from found if isinstance(found, list) else [found]


def _digest(folder: Path) -> str:
    """Of the files of a folder, and their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()

"""Docker Compose as an engine: the services of `deploy/compose.yaml`, one project for each environment.

    engine = Compose(Path("deploy"), "production")      a clone of the branch `deploy`

Everything goes through `docker compose`, as a person would do it; what it says when it fails is what is told. A
container has a label with the digest of what it was made with, so that one with settings of before is known.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

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
_LABEL = "ratchet.configuration"


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
        up = {slot: listed[slot] for slot in SLOTS if slot in listed and listed[slot]["State"] in _UP}
        return {slot: entry["Image"] + self._otherwise(slot, entry) for slot, entry in up.items()}

    def start(self, slot: Slot, image: str) -> None:
        """See `Engine`."""
        given = {f"{slot.upper()}_IMAGE": image, "ARM_CONFIGURATION": self._settings(slot)}
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

    def _otherwise(self, slot: Slot, entry: Mapping[str, Any]) -> str:
        """What is added to the image of an arm that was started with other settings than are there now."""
        settings = self._settings(slot)
        is_so = not settings or f"{_LABEL}={settings}" in entry["Labels"].split(",")
        return "" if is_so else ", with settings of before"

    def _settings(self, slot: Slot) -> str:
        """Digest of all that an arm is started with but its image: its service, the host's variables and file for it.

        Empty where the branch has a `compose.yaml` that keeps no such label: nothing could be compared.

        Raises:
            RatchetError: There is no such service.
        """
        path = self.folder / "compose.yaml"
        try:
            service = yaml.safe_load(path.read_text(encoding="utf-8"))["services"][slot]
            if _LABEL not in service.get("labels", ()):
                return ""
            text = json.dumps({name: value for name, value in service.items() if name not in {"image", "profiles"}})
        except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            raise RatchetError(f"{path}: does not say how {slot} runs: {error!r}") from error
        given = [f"{name}={os.environ.get(name)}" for name in re.findall(r"\$\{(\w+)", text)]
        settings = self.folder / (os.environ.get("SERVICE_ENV") or "service.env")
        held = settings.read_bytes() if settings.is_file() else b""
        return hashlib.sha256("\0".join([text, *given, ""]).encode() + held).hexdigest()

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
    """What `ps --format json` lists: an object a line.

    Raises:
        RatchetError: It is no such thing.
    """
    try:
        for line in filter(str.strip, text.splitlines()):
            found = json.loads(line)
            yield {name: found[name] for name in ("Service", "Image", "State", "Labels")}
    except (ValueError, KeyError, TypeError) as error:
        raise RatchetError(
            f"docker compose ps: lists what is not understood: {text[:200]}\na host needs Compose 2.24 or later"
        ) from error


def _digest(folder: Path) -> str:
    """Of the files of a folder, and their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()

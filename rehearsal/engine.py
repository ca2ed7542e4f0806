"""Arms as processes of this machine behind a real Traefik, for a desk that has no Docker.

    engine = Processes(Registry(folder), folder)
    reconcile(engine, state)        engine.url answers now
    engine.stop_all()

Traefik runs with `deploy/traefik/traefik.yaml` as a host's does, but for the ports, which are free ones.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol

import yaml

from ratchet import files
from ratchet.deploy.routes import Routes
from ratchet.deploy.state import Slot
from ratchet.errors import RatchetError
from rehearsal.ports import free_port
from rehearsal.project import ROOT

STATIC = ROOT / "deploy" / "traefik" / "traefik.yaml"
GRACE = 30.0
"""Seconds for an arm to finish what it began, as in deploy/compose.yaml."""


class Images(Protocol):
    """What can run an image: a `Registry`."""

    def run(self, reference: str, port: int, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Serve on 127.0.0.1:port, in a process group of its own."""


class Processes:
    """An engine of `ratchet.deploy.apply`.

    Args:
        images: What runs an image.
        folder: For logs, and the routes.
        environment: What the arms are told beside what their image says; more than `os.environ`.
    """

    def __init__(self, images: Images, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.images, self.folder, self.environment = images, folder, dict(environment or {})
        self.arms: dict[Slot, subprocess.Popen[bytes]] = {}
        self.traefik: subprocess.Popen[bytes] | None = None
        self._given: dict[Slot, str] = {}
        self._ports: dict[str, int] = {}
        self.routes = Routes(folder / "routes" / "traefik.yaml", lambda: self.inner if self._enters() else None)
        self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Processes:
        """Nothing runs before it is asked for."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all that was started."""
        self.stop_all()

    @property
    def url(self) -> str:
        """Where people reach it."""
        return self._at("web")

    @property
    def inner(self) -> str:
        """Where Traefik's inner entry point is: /metrics, /ping."""
        return self._at("metrics")

    def running(self) -> Mapping[Slot, str]:
        """See `Engine`."""
        return {slot: self._given[slot] for slot, process in self.arms.items() if process.poll() is None}

    def start(self, slot: Slot, image: str) -> None:
        """See `Engine`."""
        self.stop(slot)
        self._ports[slot] = free_port()  # a new one each time: the old one may still be in use for a moment
        log = self.folder / f"{slot}.log"
        self.arms[slot] = self.images.run(image, self._ports[slot], self.environment, log)
        self._given[slot] = image

    def stop(self, slot: Slot) -> None:
        """See `Engine`."""
        process = self.arms.pop(slot, None)
        if process is not None:
            end(process)

    def kill(self, slot: Slot) -> None:
        """End an arm as a crash would: at once, and whatever it was doing."""
        os.killpg(self.arms[slot].pid, signal.SIGKILL)
        self.arms[slot].wait()

    def freeze(self, slot: Slot) -> None:
        """Make an arm hang: it is there, and says nothing."""
        os.killpg(self.arms[slot].pid, signal.SIGSTOP)

    def thaw(self, slot: Slot) -> None:
        """Let a frozen arm go on."""
        os.killpg(self.arms[slot].pid, signal.SIGCONT)

    def address(self, slot: Slot) -> str:
        """See `Engine`."""
        return self._at(slot)

    def probe(self, slot: Slot) -> str:
        """See `Engine`."""
        return self._at(slot)

    def route(self, text: str) -> bool:
        """See `Engine`."""
        return self.routes.replace(text, lambda: self.follow(self.routes.path))

    def beside(self) -> str | None:
        """See `Engine`: nothing looks on here."""
        return None

    def stop_all(self) -> None:
        """Stop Traefik, and then the arms."""
        if self.traefik is not None:
            end(self.traefik)
            self.traefik = None
        for slot in list(self.arms):
            self.stop(slot)

    def _at(self, name: str) -> str:
        if name not in self._ports:
            self._ports[name] = free_port()
        return f"http://127.0.0.1:{self._ports[name]}"

    def follow(self, routes: Path) -> None:
        """See to it that Traefik runs, and follows a file."""
        if self._enters():
            return
        program = shutil.which("traefik", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        if program is None:
            raise RatchetError("traefik: is not installed\n`uv sync` brings it")
        configuration = self.folder / "traefik.yaml"
        files.write_text(configuration, self._static(routes))
        routes.parent.mkdir(parents=True, exist_ok=True)
        with (self.folder / "traefik.log").open("ab") as log:
            self.traefik = subprocess.Popen(
                [program, f"--configfile={configuration}"], stdout=log, stderr=log, start_new_session=True
            )

    def _enters(self) -> bool:
        return self.traefik is not None and self.traefik.poll() is None

    def _static(self, routes: Path) -> str:
        """The host's static configuration, on free ports of this machine."""
        given = yaml.safe_load(STATIC.read_text(encoding="utf-8"))
        for name, entry in given["entryPoints"].items():
            entry["address"] = self._at(name).removeprefix("http://")
        given["providers"]["file"]["filename"] = str(routes.resolve())
        return str(yaml.safe_dump(given, sort_keys=False))


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process group: what it began it may finish, but not for ever."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        os.killpg(process.pid, signal.SIGCONT)  # one that is frozen hears nothing else
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

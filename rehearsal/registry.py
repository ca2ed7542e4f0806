"""A registry at a desk: images that buildah makes of the real Dockerfile, or Bento folders where it cannot.

    registry = Registry(folder)
    digest = registry.push("ghcr.io/ada/flights", context, dockerfile, tags=["model-v1"])
    process = registry.run(f"ghcr.io/ada/flights@{digest}", port, {}, log)

    pushed/<digest>.json     what was pushed: kind, name, tags, labels, variables
    bentos/<digest>/         a Bento, served by the Python that runs
    oci/                     images as an OCI layout; roots/<digest>/ is one unpacked, for `run`

A Bento has no image's isolation: it runs with this machine's Python, its files and its network.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from ratchet import files
from ratchet.errors import RatchetError
from rehearsal import buildah

Kind = Literal["image", "bento"]

BUILDER, PLACE = "REHEARSAL_BUILDER", "REHEARSAL_REGISTRY"
USER = 65532
SERVE = ("-m", "ratchet.serving.start")
"""What the Dockerfile starts, too."""


class Registry:
    """Images by name and digest, in a folder that several processes may share.

    Args:
        folder: Is made.
        builder: `buildah`, `bento`, or `auto`: buildah where it can work. What REHEARSAL_BUILDER says, if not given.
    """

    def __init__(self, folder: Path, builder: str | None = None) -> None:
        self.folder = folder.resolve()
        self.builder = builder or os.environ.get(BUILDER) or "auto"
        if self.builder not in {"auto", "buildah", "bento"}:
            raise RatchetError(f"{BUILDER}: is {self.builder!r}, and has to be auto, buildah or bento")

    @classmethod
    def from_environment(cls) -> Registry:
        """The registry that REHEARSAL_REGISTRY names.

        Raises:
            RatchetError: It names none.
        """
        folder = os.environ.get(PLACE)
        if not folder:
            raise RatchetError(f"{PLACE}: is not set\nthe runner sets it; at a desk, name any folder")
        return cls(Path(folder))

    def push(
        self,
        name: str,
        context: Path,
        dockerfile: Path,
        tags: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        build_args: Mapping[str, str] | None = None,
    ) -> str:
        """Build an image of a Bento and keep it; without a builder, keep the Bento and say so.

        Args:
            name: Such as `ghcr.io/ada/flights`, without a tag.
            context: The Bento's folder.
            dockerfile: What to build.
            tags: Names that point to it from now on.
            labels: Of the image.
            build_args: The Dockerfile's; of a Bento, RATCHET_… are the variables it is run with.

        Returns:
            `sha256:…`. The same content, labels and arguments have the same digest.

        Raises:
            RatchetError: It cannot be built.
        """
        kind: Kind = "image" if self._builds() else "bento"
        marks, variables = dict(labels or {}), dict(build_args or {})
        with self._locked():
            if kind == "image":
                digest = buildah.build(context, dockerfile, self.folder / "oci", marks, variables)
            else:
                print(f"no image is built ({self._reason()}): the Bento itself is kept, and runs with this Python")
                digest = self._keep(context, marks, variables)
            self._record(digest, {"kind": kind, "name": name, "labels": marks, "variables": variables})
            for tag in tags:
                files.write_text(self._tag(name, tag), digest)
        return digest

    def digest(self, reference: str) -> str:
        """The digest that `name@sha256:…` or `name:tag` stands for.

        Raises:
            RatchetError: There is no such image.
        """
        name, at, digest = reference.partition("@")
        if not at:
            name, _, tag = reference.rpartition(":")
            path = self._tag(name, tag)
            digest = path.read_text(encoding="utf-8") if path.exists() else ""
        if not digest or not self._pushed(digest).exists() or self.facts(digest)["name"] != name:
            raise RatchetError(f"{reference}: is not in the registry\n{self.folder} holds what was pushed")
        return digest

    def facts(self, digest: str) -> dict[str, Any]:
        """What was pushed: kind, name, labels, variables."""
        found: dict[str, Any] = files.read_json(self._pushed(digest))
        return found

    def kind(self, reference: str) -> Kind:
        """Whether it is an image, or the Bento of one."""
        found: Kind = self.facts(self.digest(reference))["kind"]
        return found

    def tags(self, name: str) -> dict[str, str]:
        """Tag to digest."""
        folder = self._tag(name, "x").parent
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*"))}

    def root(self, reference: str) -> Path:
        """The file system of an image, unpacked once; of a Bento, its folder."""
        digest = self.digest(reference)
        if self.facts(digest)["kind"] == "bento":
            return self._bento(digest)
        target = self.folder / "roots" / _hex(digest)
        with self._locked():
            if not target.exists():
                with files.directory(target) as new:
                    buildah.unpack(self.folder / "oci", digest, new)
        return target

    def run(self, reference: str, port: int, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Serve on 127.0.0.1, one process in a group of its own.

        An image runs as the user and with the variables that it names, on its own file system, which it cannot
        write to but for /tmp; network and processes are this machine's.

        Args:
            reference: By digest or by tag.
            port: A free one.
            environment: Variables besides the image's own.
            log: Gets what it prints, appended.

        Raises:
            RatchetError: It is not there.
        """
        digest = self.digest(reference)
        place = self.root(reference)
        given = {"BENTOML_HOST": "127.0.0.1", "BENTOML_PORT": str(port), **_tag_of_the_run(), **environment}
        if self.facts(digest)["kind"] == "image":
            command = buildah.command(place, self.folder / "oci", digest, given)
            surroundings = {"PATH": os.environ.get("PATH", os.defpath), **_tag_of_the_run()}
        else:
            command = [sys.executable, "-P", *SERVE]
            surroundings = _surroundings(place, self.facts(digest)["variables"]) | given
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=surroundings,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    # A Bento.

    def _keep(self, context: Path, labels: Mapping[str, str], variables: Mapping[str, str]) -> str:
        if not (context / "bento.yaml").is_file():
            raise RatchetError(f"{context}: is no Bento, for it has no bento.yaml\nrun `ratchet image` first")
        about = {"files": contents(context), "labels": dict(labels), "variables": dict(variables)}
        digest = f"sha256:{hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()}"
        if not self._bento(digest).exists():
            with files.directory(self._bento(digest)) as new:
                shutil.copytree(context, new, dirs_exist_ok=True)
        return digest

    def _bento(self, digest: str) -> Path:
        return self.folder / "bentos" / _hex(digest)

    # Where things are.

    def _builds(self) -> bool:
        if self.builder == "auto":
            return buildah.obstacle() is None
        if self.builder == "buildah" and (obstacle := buildah.obstacle()):
            raise RatchetError(f"{BUILDER}: says buildah, but {obstacle}")
        return self.builder == "buildah"

    def _reason(self) -> str:
        return f"{BUILDER} says bento" if self.builder == "bento" else buildah.obstacle() or ""

    def _record(self, digest: str, facts: Mapping[str, Any]) -> None:
        files.write_json(self._pushed(digest), facts)

    def _pushed(self, digest: str) -> Path:
        return self.folder / "pushed" / f"{_hex(digest)}.json"

    def _tag(self, name: str, tag: str) -> Path:
        return self.folder / "tags" / quote(name, safe="") / quote(tag, safe="")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def contents(folder: Path) -> dict[str, str]:
    """Relative path to SHA-256 of every file."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): files.sha256(path) for path in found}


def stop(process: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
    """End what `run` has started: asked first, then killed; the whole group."""
    for wish, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 10.0)):
        try:
            os.killpg(process.pid, wish)
            process.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _surroundings(bento: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Variables for a Bento: those of the image that it would be, and nothing of a person's own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    named = {name: value for name, value in variables.items() if name.startswith("RATCHET_")}
    return {**kept, **named, "PYTHONPATH": str(bento / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


def _tag_of_the_run() -> dict[str, str]:
    """By this the runner finds what a job has left running."""
    names = ("RUNNER_TRACKING_ID", "GITHUB_JOB")
    return {name: os.environ[name] for name in names if name in os.environ}


def _hex(digest: str) -> str:
    algorithm, _, number = digest.partition(":")
    if algorithm != "sha256" or len(number) != 64 or set(number) - set("0123456789abcdef"):
        raise RatchetError(f"{digest[:100]!r}: is no digest; one begins with sha256: and 64 hexadecimal digits follow")
    return number

"""The Bento of a candidate: the judged bundle, main's serving code and locked requirements, and nothing else.

    ratchet image build/candidate --out build/image

    build/image/bento/                 build context of deploy/Dockerfile
      bento.yaml  README.md  apis/     BentoML's own description of it
      env/python/requirements.txt      what is installed, with hashes
      src/                             what runs
        bundle/                        the judged bundle, byte for byte
        ratchet/  flights/             the code that was judged, from the bundle's wheel; ratchet/serving/ is main's
        reference.json                 what the judged scores look like: the drift alert compares with it

No clock, commit or run is in it: the same model served by the same code is the same Bento, and has the same tag.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from ratchet import bundle, files, programs
from ratchet.errors import RatchetError
from ratchet.release import code
from ratchet.release.candidate import FOLDER, Candidate

BENTOFILE, REFERENCE, LOCKED = "bentofile.yaml", "reference.json", Path("env/python/requirements.txt")
SERVING = Path("src/ratchet/serving")
GROUPS = {"treelite": ("serving",), "skops": ("serving", "scoring-sklearn")}
TIME = 315532800  # 1980, the first second that every archive can hold: what a Bento says of its own making
_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
_CREATION = re.compile(r"^(creation_time: ).*$", re.MULTILINE)


@dataclass(frozen=True)
class Judged:
    """A candidate whose bundle is the judged one.

    Attributes:
        folder: That of the candidate.
        about: What it says of its origin.
        digest: The model digest.
        manifest: Of the bundle.
    """

    folder: Path
    about: Candidate
    digest: str
    manifest: Mapping[str, Any]

    @property
    def bundle(self) -> Path:
        """The judged bundle."""
        return self.folder / FOLDER


@dataclass(frozen=True)
class Names:
    """What the image is called, and what it says of itself.

    Attributes:
        name: Without a tag, such as `ghcr.io/ada/flights`.
        tags: Full references.
        labels: Of the image.
        build_args: Become the variables by which the service says what it is.
    """

    name: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    build_args: Mapping[str, str]


def read(folder: Path) -> Judged:
    """Open the folder that `ratchet candidate` made, and check that it holds the judged bundle.

    Raises:
        RatchetError: It ships nothing, or its bundle is another one than was judged.
    """
    about = Candidate.read(folder)
    if not about.ships or about.model_digest is None:
        raise RatchetError(f"{folder}: there is nothing to ship: {about.sentence}")
    opened = bundle.load(folder / FOLDER)
    if opened.digest != about.model_digest:
        raise RatchetError(
            f"{folder / FOLDER}: is the model {opened.digest[:12]}, judged was {about.model_digest[:12]}\n"
            "nothing is made of it"
        )
    return Judged(folder, about, opened.digest, opened.manifest)


def build(judged: Judged, root: Path, out: Path) -> tuple[str, Path]:
    """Build the Bento of a candidate.

    Args:
        judged: A candidate, opened by `read`.
        root: Main, checked out: its serving code, bentofile.yaml and uv.lock.
        out: Folder for results, replaced.

    Returns:
        The Bento's tag, and its folder.

    Raises:
        RatchetError: The bundle needs other versions than main serves with, or BentoML fails.
    """
    tag = f"{judged.manifest['problem']}:{judged.digest[:16]}"
    # BentoML refuses to read below a folder whose name begins with a dot, such as those that results are made in.
    with TemporaryDirectory(prefix="ratchet-") as scratch, files.directory(out) as new:
        source = assemble(judged, root, Path(scratch, "source"))
        shutil.move(_bento(source, tag, Path(scratch, "home")), new / "bento")
        # BentoML adds itself a second time, without hashes.
        shutil.copyfile(source / "requirements.txt", new / "bento" / LOCKED)
        _freeze(new / "bento")
        digest = bundle.load(new / "bento" / "src" / "bundle").digest
        if digest != judged.digest:
            raise RatchetError(f"{tag}: BentoML has put the model {digest[:12]} into it")
    return tag, out / "bento"


def assemble(judged: Judged, root: Path, source: Path) -> Path:
    """Lay out what shall run, for BentoML to build from.

    Raises:
        RatchetError: The bundle needs other versions than main serves with, or main has no serving code.
    """
    manifest = judged.manifest
    source.mkdir(parents=True)
    shutil.copytree(judged.bundle, source / "bundle")
    (wheel,) = (source / "bundle").glob("*.whl")
    _unpack(wheel, source)
    if not (root / SERVING).is_dir():
        raise RatchetError(f"{root / SERVING}: is not there\nrun this at the root of the repository")
    serving = source / "ratchet" / "serving"
    shutil.copytree(root / SERVING, serving, ignore=shutil.ignore_patterns("__pycache__"))
    wanted = _exported(root, GROUPS[manifest["kind"]])
    check_requirements((judged.bundle / bundle.REQUIREMENTS).read_text(encoding="utf-8"), wanted, manifest["python"])
    files.write_text(source / "requirements.txt", wanted)
    files.write_json(source / REFERENCE, reference(files.read_json(judged.folder / "evaluation.json")))
    own = {
        "name": manifest["problem"],
        "description": f"The model {judged.digest} of {manifest['problem']}, served by Ratchet.\n",
        "labels": {"ratchet.model": judged.digest},
        "include": ["**/*"],
        "exclude": ["/requirements.txt"],  # not the bundle's own
        "python": {"requirements_txt": "requirements.txt", "lock_packages": False},
        "docker": {"python_version": manifest["python"]},
    }
    files.write_text(source / BENTOFILE, _bentofile(root / BENTOFILE, own))
    return source


def check_requirements(judged: str, served: str, python: str) -> None:
    """Refuse to serve a model with other versions than those it was judged with.

    Args:
        judged: The bundle's requirements.txt.
        served: What the image shall hold.
        python: Such as `3.11`; requirements may differ by it.

    Raises:
        RatchetError: A package is missing or has another version.
    """
    have = dict(_pins(served, python))
    for name, version in _pins(judged, python):
        if have.get(name) != version:
            raise RatchetError(
                f"{name}: the model was judged with {version}, uv.lock's serving group has {have.get(name, 'none')}\n"
                "let the model be judged with the new lock, in a pull request that runs `dvc repro`"
            )


def reference(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """What judged scores look like: their mean, and the share of positive decisions where there are decisions.

    Both follow from the evaluation: the mean from its calibration, whose bins hold every row once; the share of
    decisions P(decide) = recall · P(label) / precision, by the definitions of the two.
    """
    bins = evaluation["calibration"]
    rows = sum(part["rows"] for part in bins)
    metrics = {metric["name"]: metric["value"] for metric in evaluation["metrics"]}
    mean = sum(part["predicted"] * part["rows"] for part in bins) / rows if rows else None
    share = None
    if metrics.get("precision"):
        share = round(metrics["recall"] * evaluation["label_mean"] / metrics["precision"], 6)
    return {"score_mean": None if mean is None else round(mean, 6), "decision_share": share, "rows": rows}


def names(judged: Judged, bento: str, repository: str, server: str, registry: str) -> Names:
    """How the image is called, its labels, and the arguments of the Dockerfile.

    Args:
        judged: What is in it.
        bento: Its tag.
        repository: `owner/name`.
        server: Address of GitHub.
        registry: Host that keeps it, such as `ghcr.io`.
    """
    name = f"{registry}/{repository}".lower()  # a registry refuses capitals
    source = f"{server}/{repository}"
    created = datetime.fromtimestamp(judged.about.committed, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    model, record = judged.digest, judged.about.verdict or ""
    return Names(
        name,
        (f"{name}:{judged.about.tag}", f"{name}:{model[:16]}"),
        {
            "org.opencontainers.image.title": bento.partition(":")[0],
            "org.opencontainers.image.version": judged.about.tag,
            "org.opencontainers.image.revision": judged.about.sha,
            "org.opencontainers.image.source": source,
            "org.opencontainers.image.created": created,
            "ratchet.bento": bento,
            "ratchet.model": model,
            "ratchet.record": record,
        },
        {
            "RATCHET_COMMIT": judged.about.sha,
            "RATCHET_RECORD": record,
            "RATCHET_RELEASE": judged.about.tag,
            "RATCHET_RELEASED": str(judged.about.committed),
            "RATCHET_SOURCE": source,
        },
    )


def lines(values: Mapping[str, str]) -> str:
    """`name=value` line by line, as docker/build-push-action takes labels and arguments."""
    return "\n".join(f"{name}={value}" for name, value in values.items())


def _unpack(wheel: Path, target: Path) -> None:
    """The packages of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for one in code.members(archive):
            place = PurePosixPath(one.filename)
            if place.is_absolute() or ".." in place.parts:
                raise RatchetError(f"{wheel.name}: holds {one.filename!r}, which would be written elsewhere")
            archive.extract(one, target)


def _exported(root: Path, groups: Sequence[str]) -> str:
    """Locked requirements of groups, with hashes."""
    options = ["--frozen", "--quiet", "--no-emit-project", "--no-header", "--no-annotate"]
    options += [option for group in groups for option in ("--only-group", group)]
    return _run([programs.uv(), "export", *options], root, "uv.lock: cannot be exported")


def _pins(requirements: str, python: str) -> Iterator[tuple[str, str]]:
    """Name and version of what would be installed on Linux."""
    from packaging.markers import default_environment
    from packaging.requirements import Requirement

    there: dict[str, Any] = {
        **default_environment(),
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    for line in requirements.replace("\\\n", " ").splitlines():
        text = line.partition(" --hash")[0].strip()
        if text and not text.startswith("#"):
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate(there):
                yield one.name, str(one.specifier).removeprefix("==")


def _bentofile(path: Path, own: Mapping[str, Any]) -> str:
    """The repository's own file, with what follows from the bundle in place of what would be read there."""
    import yaml

    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RatchetError(f"{path}: cannot be read: {error}") from error
    return str(yaml.safe_dump({**given, **own}, sort_keys=True))


def _bento(source: Path, tag: str, home: Path) -> Path:
    """Have BentoML build it in a process that sees the code to be served, and none of ours."""
    kept = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    surroundings = kept | {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "true",
        "PYTHONPATH": str(source),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    name, _, version = tag.partition(":")
    command = [sys.executable, "-m", "bentoml", "build", "--version", version, "--output", "tag", str(source)]
    _run(command, source, f"{tag}: BentoML cannot build it", surroundings)
    return home / "bentos" / name / version


def _freeze(bento: Path) -> None:
    """Take the clock out of what BentoML wrote, and out of the files' times, which an image keeps."""
    path = bento / "bento.yaml"
    moment = datetime.fromtimestamp(TIME, UTC).isoformat()
    fixed, count = _CREATION.subn(rf"\g<1>'{moment}'", path.read_text(encoding="utf-8"))
    if count != 1:
        raise RatchetError(f"{path}: says {count} times when it was made; this BentoML is unknown")
    files.write_text(path, fixed)
    for each in bento.rglob("*"):
        each.chmod(0o755 if each.is_dir() else 0o644)
        os.utime(each, (TIME, TIME))


def _run(command: list[str], folder: Path, complaint: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise RatchetError(f"{complaint}: {told[-1] if told else f'exit code {done.returncode}'}")
    return done.stdout

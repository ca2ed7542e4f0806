"""Our image against the one that BentoML's own Dockerfile makes of the same Bento, on the same base.

    python bench/image.py            # needs the outputs of `dvc repro`, buildah and root

Prints bytes of all layers (not compressed), Debian's packages, seconds from start to ready (median of some starts, in
turns) and memory (proportional set size of all processes, after as many requests as there are holdout rows to ask).
The bound: at most 40 % of the size; the exit code is 1 when it is broken. No registry is asked: both are built on
Debian's packages by `rehearsal/buildah.py`, where BentoML names `python:3.11-slim`.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ratchet import bundle, data, files, image
from ratchet.errors import RatchetError, told_to_the_user
from ratchet.release.candidate import Candidate
from rehearsal import buildah
from rehearsal.ports import free_port
from rehearsal.registry import Registry, stop

BOUND = 0.40
ROWS = 200
PATIENCE = 120.0  # seconds for a start
ROOT = Path(__file__).resolve().parents[1]
# What python:3.11-slim has and Debian has not: a pip that installs beside Debian's packages, and a way to the index.
THEIR_BASE = """FROM {builder}
RUN rm --force /usr/lib/python3*/EXTERNALLY-MANAGED
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
"""


@dataclass(frozen=True)
class Measured:
    """One image.

    Attributes:
        size: Bytes of all layers.
        packages: Of Debian.
        ready: Seconds from start to ready, one for each start.
        memory: Bytes of all its processes, one for each start.
        processes: How many there are.
    """

    size: int
    packages: int
    ready: Sequence[float]
    memory: Sequence[int]
    processes: int


def main() -> None:
    """Build both, start them in turns, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="Starts of each.")
    given = parser.parse_args()
    if obstacle := buildah.obstacle():
        raise RatchetError(f"no image can be built here: {obstacle}")
    with TemporaryDirectory(prefix="bench-image-") as scratch:
        folder = Path(scratch)
        _, context = image.build(image.read(candidate(folder / "candidate")), ROOT, folder / "image")
        registry = Registry(folder / "registry", "buildah")
        pushed = {
            "ours": registry.push("local/ours", context, ROOT / "deploy" / "Dockerfile"),
            "BentoML's": registry.push("local/theirs", *theirs(context, folder)),
        }
        found = measure(registry, pushed, rows(), given.repeat)
    print(table(found))
    sys.exit(0 if is_kept(found) else 1)


def candidate(folder: Path) -> Path:
    """What `ratchet candidate` would hand over of the outputs that are here."""
    shutil.copytree("bundle", folder / "bundle")
    shutil.copyfile("evaluation/evaluation.json", folder / "evaluation.json")
    Candidate("ship", "", "model-v1", "0" * 40, 0, "", bundle.digest(folder / "bundle")).write(folder)
    return folder


def theirs(context: Path, folder: Path) -> tuple[Path, Path]:
    """The Dockerfile that BentoML has put into the Bento, on our base instead of one from a registry."""
    base = folder / "base"
    files.write_text(base / "Dockerfile", THEIR_BASE.format(builder=buildah.base("builder")))
    name = "localhost/rehearsal/theirs"
    buildah.run("build", "--layers", "--timestamp", buildah.EPOCH, "--tag", name, str(base))
    text = (context / "env/docker/Dockerfile").read_text(encoding="utf-8")
    path = folder / "Dockerfile"
    files.write_text(path, re.sub(r"^FROM \S+", f"FROM {name}", text, flags=re.MULTILINE))
    return context, path


def rows() -> list[bytes]:
    """Holdout rows as a caller would send them."""
    opened = bundle.load(Path("bundle"))
    frame = data.load(files.read_json(data.DATASET), "test").head(ROWS)
    return [json.dumps(row).encode() for row in bundle.plain_rows(frame[list(opened.schema["properties"])])]


def measure(registry: Registry, pushed: Mapping[str, str], asked: Sequence[bytes], repeat: int) -> dict[str, Measured]:
    """Start them in turns: whatever else the machine does hits both."""
    starts: dict[str, list[tuple[float, int, int]]] = {name: [] for name in pushed}
    references = {name: f"{registry.facts(digest)['name']}@{digest}" for name, digest in pushed.items()}
    for reference in references.values():
        with started(registry, reference):
            pass  # once before it counts: what is read from the disk is then in memory for both
    for _ in range(repeat):
        for name, reference in references.items():
            with started(registry, reference) as (seconds, process, address):
                for row in asked:
                    ask(f"{address}/predict", row)
                members = family(process)
                starts[name].append((seconds, sum(map(proportional, members)), len(members)))
    return {
        name: Measured(
            buildah.size(registry.folder / "oci", pushed[name]),
            packages(registry.root(references[name])),
            [seconds for seconds, _, _ in found],
            [memory for _, memory, _ in found],
            found[-1][2],
        )
        for name, found in starts.items()
    }


@contextmanager
def started(registry: Registry, reference: str) -> Iterator[tuple[float, int, str]]:
    """Seconds to ready, its first process and its address."""
    port = free_port()
    log = registry.folder / "log"
    began = time.perf_counter()
    # BENTOML_HOME and PORT: BentoML's own image writes below the one, and listens where the other says.
    process = registry.run(reference, port, {"BENTOML_HOME": "/tmp/bentoml", "PORT": str(port)}, log)  # noqa: S108
    address = f"http://127.0.0.1:{port}"
    try:
        while not ask(f"{address}/readyz"):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                raise RatchetError(f"{reference}: does not start\n{log.read_text(encoding='utf-8')[-800:]}")
            time.sleep(0.01)
        yield time.perf_counter() - began, process.pid, address
    finally:
        stop(process)


def ask(url: str, body: bytes | None = None) -> bool:
    """Whether it answers well."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  # our own address
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def family(process: int) -> list[int]:
    """A process and all that come from it."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def proportional(process: int) -> int:
    """Bytes in memory, of shared pages its part."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8")
    return int(re.findall(r"^Pss: +(\d+) kB", text, re.MULTILINE)[0]) * 1024


def packages(root: Path) -> int:
    """Debian's packages."""
    return (root / "var/lib/dpkg/status").read_text(encoding="utf-8").count("\nStatus: install ok installed")


def table(found: Mapping[str, Measured]) -> str:
    """Markdown."""
    ours, other = found["ours"], found["BentoML's"]
    figures = {
        "size, MB": [one.size / 1e6 for one in (ours, other)],
        "Debian packages": [float(one.packages) for one in (ours, other)],
        "start to ready, s": [statistics.median(one.ready) for one in (ours, other)],
        "memory, MB": [statistics.median(one.memory) / 1e6 for one in (ours, other)],
        "processes": [float(one.processes) for one in (ours, other)],
    }
    lines = ["| | ours | BentoML's | ratio |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {a:.4g} | {b:.4g} | {a / b:.2f} |" for name, (a, b) in figures.items()]
    kept = "kept" if is_kept(found) else "BROKEN"
    return "\n".join([*lines, "", f"Bound: at most {BOUND:.0%} of the size: {kept}."])


def is_kept(found: Mapping[str, Measured]) -> bool:
    """Whether ours is as small as it must be."""
    return found["ours"].size <= BOUND * found["BentoML's"].size


if __name__ == "__main__":
    with told_to_the_user():
        main()

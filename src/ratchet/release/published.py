"""What is released: `model-v1`, `model-v2`, … on GitHub, each with its bundle, its figures and where it comes from.

    bundle.zip       the judged bundle, packed so that equal files give equal bytes
    release.json     tag, commit, model, lock, pull request, verdict, artifact, image, Bento
    evaluation.json  dataset.json  training.json  card.md  verdict.json  smoke.json  sbom.spdx.json

`release.json` is what the record of the release will say. It is published with the bundle, so that a run which ends
there can be finished by another one.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ratchet import files, lock
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.evidence import Champion
    from ratchet.forge import Forge, Release

PREFIX = "model-v"
BUNDLE, ORIGIN = "bundle.zip", "release.json"
REJUDGES = "rejudge-"
"""Beginning of the branches on which main's model is judged again, because its judged bytes are gone."""
FACTS = ("dataset.json", "evaluation.json", "training.json")
LARGEST_BUNDLE = 200_000_000  # bytes, packed and unpacked
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip file can hold


def fetch(forge: Forge, folder: Path, facts: Sequence[str] = ()) -> Champion | None:
    """Fetch the newest release into `folder`: its bundle as the folder `bundle`, and files that stand beside it.

    Args:
        forge: With a token that reads.
        folder: Is made.
        facts: Which of `FACTS`, if the release has them.

    Returns:
        None while there is no release.

    Raises:
        RatchetError: The release holds no bundle, or not one that can be used.
    """
    found = newest(forge.releases())
    return fetch_release(forge, found, folder, facts) if found else None


def fetch_release(forge: Forge, found: Release, folder: Path, facts: Sequence[str] = ()) -> Champion:
    """Fetch a release that is known; like `fetch`."""
    from ratchet import bundle
    from ratchet.evidence import Champion

    asset = found.asset(BUNDLE)
    if asset is None:
        raise RatchetError(f"release {found.tag}: has no {BUNDLE}\ndelete the release, or dispatch release.yml")
    with TemporaryDirectory() as scratch:
        archive = Path(scratch, BUNDLE)
        forge.download_asset(asset, archive, LARGEST_BUNDLE)
        unpack(archive, folder / "bundle")
    for name in facts:
        fact = found.asset(name)
        if fact is not None:
            forge.download_asset(fact, folder / name, LARGEST_BUNDLE)
    bundle.load(folder / "bundle")
    return Champion(found.tag, folder / "bundle")


def newest(listed: Iterable[Release]) -> Release | None:
    """The newest published release of a model; other releases of the repository are none of ours."""
    models = (one for one in listed if not one.draft and number_of(one.tag))
    return max(models, key=lambda one: number_of(one.tag), default=None)


def next_tag(last: Release | None) -> str:
    """The tag of the release that follows the newest one."""
    return f"{PREFIX}{1 + (number_of(last.tag) if last else 0)}"


def number_of(tag: str) -> int:
    """The number of a release of a model; 0 for other tags."""
    number = tag.removeprefix(PREFIX)
    return int(number) if tag.startswith(PREFIX) and number.isdigit() else 0


def md5_of(folder: Path) -> str:
    """What dvc.lock says of a folder that holds these files."""
    return lock.directory_md5({path.name: lock.md5(path.read_bytes()) for path in folder.iterdir()})


def pack(folder: Path, archive: Path) -> None:
    """A folder's files as a zip whose bytes depend on nothing but theirs."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.iterdir()):
            packed.writestr(zipfile.ZipInfo(path.name, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)


def unpack(archive: Path, folder: Path) -> None:
    """The files of a zip that `pack` made.

    Raises:
        RatchetError: It is no zip, or not a flat and bounded one.
    """
    try:
        with zipfile.ZipFile(archive) as packed, files.directory(folder) as new:
            if sum(member.file_size for member in packed.infolist()) > LARGEST_BUNDLE:
                raise RatchetError(f"{archive.name}: holds more than {LARGEST_BUNDLE / 1e6:.0f} MB")
            for member in packed.infolist():
                if PurePosixPath(member.filename).name != member.filename or member.filename in {"", ".", ".."}:
                    raise RatchetError(f"{archive.name}: holds {member.filename[:80]!r}, which is no plain file name")
                (new / member.filename).write_bytes(packed.read(member))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError) as error:  # RuntimeError: encrypted
        raise RatchetError(f"{archive.name}: cannot be unpacked: {error}") from error

"""The code in a bundle, its wheel, held against the repository: what nobody could have reviewed never runs."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

Tree = Mapping[str, bytes]


def members(wheel: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """What of a wheel comes into an image: all files but its name and version, which are for installers."""
    return [one for one in wheel.infolist() if not (one.is_dir() or _top(one.filename).endswith(".dist-info"))]


def strays(model: Tree, trees: Sequence[Tree]) -> list[str]:
    """The files of code in a bundle that none of the trees has under src/ as they are, sorted.

    Args:
        model: The files of the bundle.
        trees: The files of commits. A wheel that cannot be read is a stray itself.
    """
    wheels = {name: content for name, content in model.items() if name.endswith(".whl")}
    return sorted({stray for name, content in wheels.items() for stray in _strays(name, content, trees)})


def _strays(name: str, content: bytes, trees: Sequence[Tree]) -> Iterator[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as wheel:
            for one in members(wheel):
                known = [tree[path] for tree in trees if (path := f"src/{one.filename}") in tree]
                # No more is unpacked than there is to compare with.
                if not any(one.file_size == len(there) and wheel.read(one) == there for there in known):
                    yield one.filename
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError):  # RuntimeError: encrypted
        yield name


def _top(name: str) -> str:
    return next(iter(PurePosixPath(name).parts), "")

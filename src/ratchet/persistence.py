"""Fitted scikit-learn objects as files without pickle: skops, made deterministic.

skops names the parts of an object by their address in memory, so two dumps of one object differ. Here the addresses
become numbers in order of appearance, and the archive has neither times nor compression: equal objects, equal bytes.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from ratchet import files
from ratchet.errors import RatchetError

_ADDRESS = re.compile(r'("__id__": |"file": ")(\d+)')


def dump(value: Any, path: Path) -> None:
    """Write a fitted object, or a dict of them."""
    files.write_bytes(path, canonical(skops.io.dumps(value)))


def load(path: Path, namespaces: Collection[str]) -> Any:
    """Read what `dump` wrote, if every type in it belongs to scikit-learn, NumPy, SciPy or one of `namespaces`.

    Raises:
        RatchetError: The file is missing or damaged, or holds a type from anywhere else.
    """
    try:
        data = path.read_bytes()
        return skops.io.loads(data, trusted=trusted_types(data, namespaces))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise RatchetError(f"{path}: is not a readable model file: {error}") from error
    except UntrustedTypesFoundException as error:
        raise RatchetError(f"{path}: refused, it holds types that no model needs: {error}") from error


def trusted_types(data: bytes, namespaces: Collection[str]) -> list[str]:
    """The types in a dump that skops does not know and that we trust: those of the given packages."""
    allowed = ("functools.partial", "sklearn.", "numpy.", "scipy.", *(f"{name}." for name in namespaces))
    return [name for name in skops.io.get_untrusted_types(data=data) if name.startswith(allowed)]


def canonical(dump: bytes) -> bytes:
    """The same skops archive with addresses renumbered in order of appearance, without times, uncompressed."""
    with zipfile.ZipFile(io.BytesIO(dump)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    schema = json.dumps(json.loads(parts.pop("schema.json")))
    numbers: dict[str, str] = {}
    for match in _ADDRESS.finditer(schema):
        numbers.setdefault(match[2], str(len(numbers)))
    schema = _ADDRESS.sub(lambda match: match[1] + numbers[match[2]], schema)
    renamed = {_rename(name, numbers): content for name, content in parts.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in ["schema.json", *sorted(renamed)]:
            content = schema.encode() if name == "schema.json" else renamed[name]
            archive.writestr(zipfile.ZipInfo(name), content)  # ZipInfo's default date is constant
    return out.getvalue()


def _rename(name: str, numbers: dict[str, str]) -> str:
    address, _, suffix = name.partition(".")
    return f"{numbers[address]}.{suffix}" if address in numbers else name

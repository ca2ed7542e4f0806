"""Reading and writing files so that nothing half-written is ever seen: a temporary name first, then a rename."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    with _replacing(path) as temporary:
        temporary.write_bytes(data)


def read_bytes(path: Path) -> bytes | None:
    """The content of a file; None where there is none."""
    return path.read_bytes() if path.is_file() else None


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any, *, sort_keys: bool = True) -> None:
    """Write JSON; NaN and infinity are refused, for JSON has neither."""
    write_text(path, json.dumps(value, indent=2, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        RatchetError: It is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RatchetError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RatchetError(f"{path}: is not valid JSON: {error}") from error


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame without its index; equal frames give equal bytes."""
    with _replacing(path) as temporary:
        frame.to_parquet(temporary, index=False, compression="zstd")


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a frame.

    Raises:
        RatchetError: The file is missing, truncated or not Parquet.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except FileNotFoundError as error:
        raise RatchetError(f"{path}: does not exist; `dvc repro` makes it, `dvc pull` fetches it") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RatchetError(f"{path}: is not a readable Parquet file: {str(error).splitlines()[0]}") from error


def read_rows(path: Path, text: Collection[str] = ()) -> pd.DataFrame:
    """Read a table people have: Parquet, CSV or JSON lines, by the end of its name.

    Args:
        path: The file.
        text: Columns that hold text even where a CSV file has digits in them; the other kinds say so themselves.

    Raises:
        RatchetError: The file is missing, damaged or of another kind.
    """
    import pandas as pd

    if path.suffix == ".parquet":
        return read_parquet(path)
    try:  # pandas reads numbers in haste unless told: the last bit decides on which side of a split a row falls
        if path.suffix == ".csv":
            return pd.read_csv(path, dtype=dict.fromkeys(text, "str"), float_precision="round_trip")
        if path.suffix in {".jsonl", ".ndjson"}:
            return pd.read_json(path, lines=True, dtype=False, convert_dates=False, precise_float=True)
    except (OSError, ValueError) as error:
        raise RatchetError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    raise RatchetError(f"{path}: is of no known kind; name a .parquet, .csv or .jsonl file")


@contextmanager
def directory(path: Path) -> Iterator[Path]:
    """Fill a temporary sibling of `path`; on success it takes the place of `path`, on error it vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        new.mkdir()
        yield new
        if path.exists():
            path.rename(old)
        try:
            new.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(source: Path, target: Path) -> None:
    """Copy one file's bytes, whole or not at all."""
    with _replacing(target) as temporary:
        shutil.copyfile(source, temporary)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        temporary.chmod(0o644)
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""Intake: the evidence of a pull request, read as what it is: a file by a stranger.

Nothing in it is believed before it is checked: the archive (names, links, sizes, sums), each JSON file (no repeated
key, no number that is none, a shape; see `evidence.schema.json`), the scores (columns, types, sizes, finite), the lock,
the bundle. No code of it runs, no pickle and no model is opened, and what it can make this process allocate is bounded.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ratchet import bundle, files, lock, schemas
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from ratchet.problem import Problem

Record = Mapping[str, Any]

MANIFEST, RUN, LOCK, BUNDLE = "manifest.json", "run.json", "dvc.lock", "bundle"
CHALLENGER, CHAMPION = "scores/challenger.parquet", "scores/champion.parquet"
OUTPUTS = {
    "dataset.json": "data/dataset.json",
    "training.json": "model/training.json",
    "evaluation.json": "evaluation/evaluation.json",
    "metrics.json": "evaluation/metrics.json",
    CHALLENGER: "evaluation/scores.parquet",
}
"""File of the evidence to the output of the pipeline that it is."""

DIFF = "diff.json"
BASELINE, SLICE = "baseline:", "slice:"

MEGABYTE = 1_000_000
LARGEST_ARCHIVE, LARGEST_CONTENT = 60 * MEGABYTE, 120 * MEGABYTE
LARGEST_JSON, LARGEST_LOCK = 2 * MEGABYTE, MEGABYTE
MOST_MEMBERS = 200
MOST_LEVELS = 20
MOST_ROWS, MOST_COLUMNS = 1_000_000, 100
LARGEST_TABLE = 200 * MEGABYTE  # all columns, unpacked
LONGEST_CELL = 200
MEMORY = 1_000 * MEGABYTE  # that reading a table may take, whatever the file says of itself


class Rejected(RatchetError):  # noqa: N818  # it is a decision
    """The evidence is not what it must be; one plain sentence."""


def _no_rows() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame()


@dataclass(frozen=True)
class Submission:
    """What an archive of evidence says, every file of it checked; see `read`.

    Attributes:
        folder: Where its files lie.
        run: `run.json`.
        lock: Its `dvc.lock` as DVC writes it; "" when there is none.
        dataset: Of the challenger; this and what follows is empty unless the outcome is `proposed`.
        training: Of the challenger.
        evaluation: Of the challenger, as it says itself.
        metrics: Of the challenger, as it says itself.
        diff: `{"params": [[key, old, new]], "metrics": [[name, old, new]]}`, for people.
        manifest: Of the challenger's bundle.
        schema: JSON Schema of one raw row of the challenger.
        scores: Of the challenger: key columns, cluster, label, score, baseline:*, slice:*.
        champion_scores: Of the champion, if it was there.
    """

    folder: Path
    run: Record
    lock: str
    dataset: Record = field(default_factory=dict)
    training: Record = field(default_factory=dict)
    evaluation: Record = field(default_factory=dict)
    metrics: Record = field(default_factory=dict)
    diff: Record = field(default_factory=dict)
    manifest: Record = field(default_factory=dict)
    schema: Record = field(default_factory=dict)
    scores: pd.DataFrame = field(default_factory=_no_rows)
    champion_scores: pd.DataFrame | None = None

    @property
    def outcome(self) -> str:
        """`unchanged`, `proposed` or `failed`."""
        return str(self.run["outcome"])

    @property
    def bundle(self) -> Path:
        """The folder of the challenger's bundle."""
        return self.folder / BUNDLE

    def output(self, path: str) -> bytes | None:
        """The content of an output of its pipeline (`data/dataset.json`, `bundle/manifest.json`), if it came along."""
        names = {there: here for here, there in OUTPUTS.items()}
        own = self.folder / names.get(path, path if _is_of_bundle(path) else "")
        return files.read_bytes(own)


def read(archive: Path, folder: Path) -> Submission:
    """Unpack an archive and check every file of it.

    Args:
        archive: The artifact `evidence` as GitHub gave it, a zip file.
        folder: Takes its files; it is there when all is well, and not otherwise.

    Raises:
        Rejected: Something is not as it must be.
    """
    with files.directory(folder) as new:
        _unpack(archive, new)
        _check_sums(new)
        _check_names(new, _json(new, RUN, "run"))
        submission = _submission(new)
    return replace(submission, folder=folder)


def check_keys(scores: pd.DataFrame, rows: pd.DataFrame, problem: Problem) -> None:
    """Refuse scores whose columns are not the problem's, or whose keys are not those of `rows`, each once.

    Args:
        scores: `Submission.scores` or `Submission.champion_scores`.
        rows: The labelled rows that we ingested ourselves.
        problem: What they answer.

    Raises:
        Rejected: Columns or types differ, or rows are missing, surplus or repeated.
    """
    import pandas as pd

    key = list(problem.key)
    columns = [name for name in scores if not _is_told(str(name))]
    if columns != key:
        _refuse("scores", f"have the key columns {_listed(map(str, columns))}, not {_listed(key)}")
    for name in key:
        if _kind_of(scores[name]) != _kind_of(rows[name]):
            _refuse("scores", f"have {_kind_of(scores[name])}s in the key column {name}, not {_kind_of(rows[name])}s")
    given, known = pd.MultiIndex.from_frame(scores[key]), pd.MultiIndex.from_frame(rows[key])
    repeated, surplus = int(given.duplicated().sum()), int((~given.isin(known)).sum())
    missing = int((~known.isin(given)).sum())
    if repeated or surplus or missing:
        _refuse(
            "scores",
            f"are not of the {len(known):,} rows of the holdout: {missing:,} are missing, {surplus:,} are of other "
            f"rows, {repeated:,} are repeated",
        )


def bundle_fits_lock(stages: lock.Stages, folder: Path) -> None:
    """Refuse a bundle that is not the one a lock names: DVC's hash of its files against the output `bundle`.

    Raises:
        Rejected: The lock names another one, or none.
    """
    hashes = {path.name: lock.md5(path.read_bytes()) for path in folder.iterdir()}
    named = {out["md5"] for stage in stages.values() for out in stage.get("outs", []) if out["path"] == BUNDLE}
    if named != {lock.directory_md5(hashes)}:
        _refuse(LOCK, "names another bundle than the one that came with it")


# --- the archive -----------------------------------------------------------------------------------------------------


def _unpack(archive: Path, folder: Path) -> None:
    if archive.stat().st_size > LARGEST_ARCHIVE:
        raise Rejected(f"The evidence has more than {LARGEST_ARCHIVE // MEGABYTE} MB.")
    _check_directory(archive)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if not _is_folder(info)]
            _check_members(members)
            for info in members:
                _extract(opened, info, folder / info.filename)
    except _UNREADABLE as error:
        raise Rejected(f"The evidence is not a readable zip file: {_brief(error)}.") from error


_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, NotImplementedError, OSError, OverflowError, RuntimeError, ValueError),
)


def _check_directory(archive: Path) -> None:
    """The zip's own table of contents must be small: Python reads all of it before it tells how much there is."""
    with archive.open("rb") as file:
        file.seek(max(0, archive.stat().st_size - 22))
        end = file.read()
    if len(end) < 22 or end[:4] != b"PK\5\6" or end[20:] != b"\0\0":
        raise Rejected("The evidence is not a plain zip file: its table of contents does not stand at its end.")
    count, size = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    if count > MOST_MEMBERS or size > MOST_MEMBERS * 1000:
        raise Rejected(f"The evidence holds more than {MOST_MEMBERS} files.")


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.orig_filename in {"bundle/", "scores/"} and info.file_size == 0


def _check_members(members: Collection[zipfile.ZipInfo]) -> None:
    names = [info.orig_filename for info in members]
    for info in members:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if not _is_known(info.orig_filename):
            raise Rejected(f"The evidence holds {_quoted(info.orig_filename)}, which is none of its files.")
        if kind not in (0, stat.S_IFREG) or info.flag_bits & 1:
            raise Rejected(f"In the evidence, {info.filename} is a link or encrypted, not a plain file.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Rejected(f"In the evidence, {info.filename} is packed by an unusual method.")
    if len(set(names)) < len(names):
        raise Rejected("The evidence holds two files of the same name.")
    if sum(info.file_size for info in members) > LARGEST_CONTENT:
        raise Rejected(f"The evidence has more than {LARGEST_CONTENT // MEGABYTE} MB when it is unpacked.")


def _is_known(name: str) -> bool:
    return name in {MANIFEST, RUN, LOCK, DIFF, CHAMPION, *OUTPUTS} or _is_of_bundle(name)


def _is_of_bundle(name: str) -> bool:
    return re.fullmatch(r"bundle/[A-Za-z0-9][A-Za-z0-9._+-]{0,150}", name) is not None


def _extract(opened: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    """Write one member; zipfile never gives more of it than its header says, which is bounded, and checks its CRC."""
    path.parent.mkdir(exist_ok=True)
    with opened.open(info) as source, path.open("xb") as target:
        while block := source.read(MEGABYTE):
            target.write(block)
    if path.stat().st_size != info.file_size:
        raise Rejected(f"In the evidence, {info.filename} has another size than its header says.")


def _check_sums(folder: Path) -> None:
    """Every file is what the manifest says, and the manifest names no other."""
    listed = _json(folder, MANIFEST, "manifest")["files"]
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    others = found.keys() ^ {MANIFEST, *listed}
    if others or MANIFEST in listed:
        _refuse(MANIFEST, f"does not list exactly the files there are: {_quoted(min(others, default=MANIFEST))}")
    for name, expected in sorted(listed.items()):
        if files.sha256(found[name]) != expected:
            _refuse(name, f"is not the file that {MANIFEST} names")


def _check_names(folder: Path, run: Record) -> None:
    """An outcome has its files, and no others."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {MANIFEST, RUN}
    kept = {name for name in found if not _is_of_bundle(name)}
    expected = {LOCK, DIFF, *OUTPUTS, *([CHAMPION] if run["champion"] else [])}
    if run["outcome"] == "proposed":
        if expected - kept or f"{BUNDLE}/{bundle.MANIFEST}" not in found:
            _refuse(RUN, f"says that a model is proposed, but {min(expected - kept, default=BUNDLE)} is missing")
        if kept - expected:
            _refuse(RUN, f"says that there was no champion, but there is {min(kept - expected)}")
    elif found - {LOCK}:
        _refuse(RUN, f"says that nothing is proposed, but there is {min(found - {LOCK})}")


# --- its files -------------------------------------------------------------------------------------------------------


def _submission(folder: Path) -> Submission:
    run = _json(folder, RUN, "run")
    locked = _lock(folder / LOCK) if (folder / LOCK).is_file() else ""
    if run["outcome"] == "failed" and run["failure"] is None:
        _refuse(RUN, "says that the run failed, but not how")
    if run["outcome"] != "proposed":
        return Submission(folder, run, locked)
    manifest, schema = _bundle(folder)
    submission = Submission(
        folder=folder,
        run=run,
        lock=locked,
        dataset=_json(folder, "dataset.json", "dataset"),
        training=_json(folder, "training.json", "training"),
        evaluation=_json(folder, "evaluation.json", "evaluation"),
        metrics=_json(folder, "metrics.json", "metrics"),
        diff=_json(folder, DIFF, "diff"),
        manifest=manifest,
        schema=schema,
        scores=_table(folder, CHALLENGER, manifest["task"]),
        champion_scores=_table(folder, CHAMPION, manifest["task"]) if run["champion"] else None,
    )
    _check_consistent(submission)
    bundle_fits_lock(lock.parse(locked), submission.bundle)
    return submission


def _check_consistent(submission: Submission) -> None:
    """The files speak of one model."""
    digest, manifest = bundle.digest(submission.bundle), submission.manifest
    evaluation, dataset = submission.evaluation, submission.dataset
    trained_on = {period: batch["sha256"] for period, batch in dataset["train"].items()}
    claims = (
        (RUN, "model_digest", submission.run["model_digest"], digest),
        ("evaluation.json", "model_digest", evaluation["model_digest"], digest),
        ("evaluation.json", "task", evaluation["task"], manifest["task"]),
        ("evaluation.json", "threshold", evaluation["threshold"], manifest["threshold"]),
        ("dataset.json", "task", dataset["task"], manifest["task"]),
        ("dataset.json", "target", dataset["target"], manifest["target"]),
        ("dataset.json", "train", trained_on, manifest["trained_on"]),
    )
    for name, key, claimed, known in claims:
        if claimed != known:
            _refuse(name, f"has another `{key}` than the bundle")


def _bundle(folder: Path) -> tuple[Record, Record]:
    """Manifest and row schema of the bundle, after its own check of every byte."""
    manifest = _json(folder, f"{BUNDLE}/{bundle.MANIFEST}", "bundle")
    if not (folder / BUNDLE / bundle.SCHEMA).is_file():
        _refuse(BUNDLE, f"has no {bundle.SCHEMA}")
    schema = _json(folder, f"{BUNDLE}/{bundle.SCHEMA}", "row")
    try:
        bundle.load(folder / BUNDLE)
    except RatchetError as error:
        _refuse(BUNDLE, str(error).replace(f"{folder}/", ""))
    return manifest, schema


def _lock(path: Path) -> str:
    if path.stat().st_size > LARGEST_LOCK:
        _refuse(LOCK, f"has more than {LARGEST_LOCK // MEGABYTE} MB")
    try:
        written = lock.as_dvc_writes(path.read_text(encoding="utf-8"))
        stages = lock.parse(written)
    except UnicodeDecodeError as error:
        raise Rejected(f"In the evidence, {LOCK} is not text.") from error
    except RatchetError as error:
        raise Rejected(f"In the evidence, {_brief(error)}.") from error
    _check_shape(LOCK, "lock", {"schema": "2.0", "stages": stages})
    return written


def _json(folder: Path, name: str, shape: str) -> Any:
    """A JSON file in its shape, without what the shape does not name."""
    path = folder / name
    if not path.is_file():
        raise Rejected(f"The evidence has no {name}.")
    if path.stat().st_size > LARGEST_JSON:
        _refuse(name, f"has more than {LARGEST_JSON // MEGABYTE} MB")
    try:
        found = json.loads(
            path.read_bytes().decode("utf-8"),
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_unrepeated,
        )
    except (ValueError, RecursionError) as error:
        raise Rejected(f"In the evidence, {name} is not valid JSON: {_brief(error)}.") from error
    _check_values(name, found)
    _check_shape(name, shape, found)
    return _known(found, _definition(shape))


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text[:20])


def _whole(text: str) -> int:
    value = int(text) if len(text) <= 20 else _no_number(f"{text[:20]}…")
    return value if abs(value) < 2**63 else _no_number(text)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _check_values(name: str, value: Any) -> None:
    """No nesting that a later reader could stumble over, and no text that is not Unicode."""
    level = [value]
    for _ in range(MOST_LEVELS):
        inner = [pair for item in level if isinstance(item, dict) for pair in item.items()]
        texts = [key for key, _ in inner] + [item for item in level if isinstance(item, str)]
        if any(_is_torn(text) for text in texts):
            _refuse(name, "holds text that is not Unicode")
        level = [item for _, item in inner] + [item for inner in level if isinstance(inner, list) for item in inner]
    if level:
        _refuse(name, f"is nested more than {MOST_LEVELS} levels deep")


def _is_torn(text: str) -> bool:
    """Half of a surrogate pair, which JSON can say and UTF-8 cannot."""
    return any("\ud800" <= character <= "\udfff" for character in text) if not text.isascii() else False


def _check_shape(name: str, shape: str, found: Any) -> None:
    import jsonschema

    fault = next(jsonschema.Draft202012Validator(_definition(shape)).iter_errors(found), None)
    if fault is not None:
        _refuse(name, f"is not of its shape at {_quoted(fault.json_path)}: {_clipped(fault.message)}")


def _definition(shape: str) -> Record:
    return {"$ref": f"#/$defs/{shape}", "$defs": schemas.schema("evidence")["$defs"]}


def _known(value: Any, shape: Record) -> Any:
    """A value without the keys that its shape does not name."""
    if "$ref" in shape:
        shape = schemas.schema("evidence")["$defs"][shape["$ref"].removeprefix("#/$defs/")]
    if isinstance(value, list):
        return [_known(item, shape.get("items", {})) for item in value]
    named, others = shape.get("properties", {}), shape.get("additionalProperties")
    if not isinstance(value, dict) or not (named or others):
        return value
    return {key: _known(item, named.get(key, others)) for key, item in value.items() if key in named or others}


# --- scores ----------------------------------------------------------------------------------------------------------


def _table(folder: Path, name: str, task: str) -> pd.DataFrame:
    """A table of scores: columns, types and sizes are checked before a cell is read, then every cell."""
    import pyarrow as pa

    content = (folder / name).read_bytes()
    try:
        with _bounded_memory(MEMORY):
            table = _read_table(name, content)
            _check_cells(name, table, task)
            frame: pd.DataFrame = table.to_pandas(use_threads=False)
            return frame
    except (MemoryError, pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise Rejected(f"In the evidence, {name} is not a readable table of scores: {_brief(error)}.") from error


def _read_table(name: str, content: bytes) -> pa.Table:
    import pyarrow as pa
    from pyarrow import parquet

    safe = {
        "arrow_extensions_enabled": False,
        "pre_buffer": False,
        "thrift_string_size_limit": 10 * MEGABYTE,
        "thrift_container_size_limit": 100_000,
    }
    file = parquet.ParquetFile(pa.BufferReader(content), **safe)
    _check_header(name, file)
    text = [field.name for field in file.schema_arrow if field.type in (pa.string(), pa.large_string())]
    # Text as a dictionary: a long cell that is repeated a million times is seen before it is written out.
    found = parquet.ParquetFile(pa.BufferReader(content), read_dictionary=text, **safe).read(use_threads=False)
    columns = [
        _plain_text(name, column) if column_name in text else column
        for column_name, column in zip(found.column_names, found.columns, strict=True)
    ]
    return pa.table(columns, names=found.column_names)


def _check_header(name: str, file: Any) -> None:
    """Columns, types, rows and unpacked sizes, as the file's own header says."""
    import pyarrow as pa

    numbers, texts = (pa.int64(), pa.float64()), (pa.string(), pa.large_string())
    fields, metadata = list(file.schema_arrow), file.metadata
    names = [column.name for column in fields]
    if len(names) > MOST_COLUMNS or len(set(names)) < len(names) or any(len(n) > LONGEST_CELL for n in names):
        _refuse(name, f"has more than {MOST_COLUMNS} columns, or two of one name, or one with a very long name")
    if not {"cluster", "label", "score"} <= set(names):
        _refuse(name, "lacks one of the columns cluster, label and score")
    for column in fields:
        if column.type not in _types_of(column.name, numbers, texts):
            _refuse(name, f"has the column {_quoted(column.name)} of the type {_clipped(str(column.type))}")
    groups = [metadata.row_group(number) for number in range(min(metadata.num_row_groups, 1000))]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    size = sum(chunk.total_uncompressed_size for chunk in chunks)
    if metadata.num_rows > MOST_ROWS or metadata.num_row_groups > 1000 or size > LARGEST_TABLE:
        _refuse(name, f"has more than {MOST_ROWS:,} rows or {LARGEST_TABLE // MEGABYTE} MB")


def _types_of(column: str, numbers: tuple[Any, Any], texts: tuple[Any, Any]) -> tuple[Any, ...]:
    if column in {"label", "score"} or column.startswith(BASELINE):
        return numbers[1:]
    return texts if _is_told(column) else numbers + texts


def _plain_text(name: str, column: Any) -> Any:
    import pyarrow as pa
    from pyarrow import compute

    for chunk in column.chunks:
        chunk.validate(full=True)
        longest = compute.max(compute.binary_length(chunk.dictionary)).as_py() or 0
        if longest > LONGEST_CELL:
            _refuse(name, f"has a cell of {longest:,} bytes; {LONGEST_CELL} is the most")
    return column.cast(pa.large_string())


def _check_cells(name: str, table: pa.Table, task: str) -> None:
    import numpy as np

    for column_name, column in zip(table.column_names, table.columns, strict=True):
        column.validate(full=True)
        if column.null_count:
            _refuse(name, f"has {column.null_count:,} empty cells in the column {_quoted(column_name)}")
        if str(column.type) != "double":
            continue
        values = column.to_numpy()
        if not np.isfinite(values).all():
            _refuse(name, f"has numbers that are not finite in the column {_quoted(column_name)}")
        is_share = column_name == "score" or column_name.startswith(BASELINE)
        if task == "binary" and is_share and not ((values >= 0) & (values <= 1)).all():
            _refuse(name, f"has scores outside of 0 to 1 in the column {_quoted(column_name)}")
    if not table.num_rows:
        _refuse(name, "has no rows")


@contextlib.contextmanager
def _bounded_memory(size: int) -> Iterator[None]:
    """Let this process take `size` bytes more and not another one, where the system can do that (Linux)."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        yield
        return
    bounds = [taken + size, *(bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(bounds), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _is_told(column: str) -> bool:
    """A column that is not of the key."""
    return column in {"cluster", "label", "score"} or column.startswith((BASELINE, SLICE))


def _kind_of(column: pd.Series[Any]) -> str:
    from pandas.api import types

    if types.is_integer_dtype(column):
        return "whole number"
    return "number" if types.is_float_dtype(column) else "text"


# --- words -----------------------------------------------------------------------------------------------------------


def _refuse(name: str, what: str) -> NoReturn:
    raise Rejected(f"In the evidence, {name} {what.rstrip('.')}.")


def _quoted(text: str) -> str:
    return f"`{_clipped(text, 80)}`"


def _clipped(text: str, most: int = 200) -> str:
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _brief(error: Exception) -> str:
    return _clipped(str(error).split("\n")[0].rstrip("."))


def _listed(names: Any) -> str:
    return _clipped(", ".join(names) or "none")

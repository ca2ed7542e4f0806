"""Revisions: periods that come back with other rows than were locked, and how a person takes them in.

    revisions.json    {"2013-02": {"was": MD5, "now": MD5, "rows": {"added": 0, "changed": 12, "removed": 1, …}}}

`was` and `now` are the hashes of `source.json` by which DVC knows the rows as they were fetched, so an entry lets
exactly this change pass, once. The file is the judge's: a proposal that changes it is held until a maintainer accepts.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ratchet import data, files, lock
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.data import Batch
    from ratchet.problem import Problem

PATH = Path("revisions.json")
LOCK = Path("dvc.lock")

Count = Annotated[int, Field(ge=0)]
Md5 = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Rows(BaseModel):
    """How the valid rows of a period differ, by their keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: Count
    after: Count
    added: Count
    removed: Count
    changed: Count


class Revision(BaseModel):
    """One change of what a period's source gives; `rows` is null where the rows before were not at hand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    was: Md5
    now: Md5
    rows: Rows | None


Revisions = Mapping[str, Revision]
_CONTENT = TypeAdapter(dict[str, Revision])


def parse(content: bytes | None, name: str = str(PATH)) -> Revisions:
    """The entries of a file by period; none when there is no file. `name` stands in errors.

    Raises:
        RatchetError: It is not the file that `accept` writes.
    """
    try:
        return _CONTENT.validate_json(content) if content else {}
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RatchetError(
            f"{name}: {where}: {first['msg']}\nit is written by `ratchet accept-revision`; restore it from main"
        ) from error


def check(problem: Problem, batch: Batch, root: Path = Path()) -> None:
    """Compare the rows of a period with those that `dvc.lock` holds; others need an entry of this very change.

    Args:
        problem: Whose code fetched it.
        batch: What `data.ingest` made of it now.
        root: The project.

    Raises:
        RatchetError: The rows are others; says whether the code has changed or the source has, and what to do.
    """
    stages = lock.read(root / LOCK)
    locked, now = _source_md5(stages, batch.period), lock.md5(batch.source)
    if locked is None or now == locked:
        return
    known = parse(files.read_bytes(root / PATH)).get(batch.period)
    if known is None or (known.was, known.now) != (locked, now):
        raise RatchetError(_refusal(problem, batch, stages, root))
    before = _rows_before(stages, batch.period, root)
    if before is not None and known.rows not in (None, differing(before, batch.rows, problem.key)):
        raise RatchetError(
            f"{PATH}: {batch.period}: the rows do not differ as it says\nrun `ratchet accept-revision --all` again"
        )


def accept(
    problem: Problem,
    periods: Iterable[str],
    ingest: Callable[[str], Batch],
    root: Path = Path(),
    base: str | None = None,
) -> Revisions:
    """Fetch periods, and write an entry for each whose rows are others than those that the base has locked.

    Entries that are right already stay, so a second call changes nothing.

    Args:
        problem: Names the key by which rows are compared.
        periods: Those to look at.
        ingest: A period to its batch.
        root: The project, a git repository.
        base: The commit or branch that the change goes to; by default the default branch of `origin`.

    Returns:
        The entries of the periods that differ.

    Raises:
        RatchetError: There is no such base, or a period is wrong as a whole.
    """
    stages = _locked(root, base)
    found = {}
    for period in periods:
        was = _source_md5(stages, period)
        if was is None:  # a new period, which nothing was trained on
            continue
        batch = ingest(period)
        if (now := lock.md5(batch.source)) != was:
            before = _rows_before(stages, period, root)
            rows = None if before is None else differing(before, batch.rows, problem.key)
            found[period] = Revision(was=was, now=now, rows=rows)
    known = parse(files.read_bytes(root / PATH))
    fresh = {period: entry for period, entry in found.items() if known.get(period) != entry}
    if fresh:
        files.write_json(root / PATH, _CONTENT.dump_python({**known, **fresh}, mode="json"))
    for period, entry in fresh.items():  # what was ingested since the base was a draft
        if _source_md5(lock.read(root / LOCK), period) not in (None, entry.was):
            lock.forget(root / LOCK, _stage(period))
    return found


def differing(before: pd.DataFrame, after: pd.DataFrame, key: Iterable[str]) -> Rows:
    """Count the rows, each known by its key, that are only in one of two frames, or in both with other values."""
    old, new = (frame.set_index(list(key)) for frame in (before, after))
    kept = old.index.intersection(new.index)
    columns = old.columns.union(new.columns)
    here, there = (frame.reindex(columns=columns).loc[kept].astype(object) for frame in (old, new))
    equal = (here == there) | (here.isna() & there.isna())
    return Rows(
        before=len(old),
        after=len(new),
        added=len(new) - len(kept),
        removed=len(old) - len(kept),
        changed=int((~equal).any(axis=1).sum()),
    )


def proposed(before: bytes | None, after: bytes | None) -> Revisions:
    """The entries that a proposal adds to main's file, by period; none where one of the two cannot be read."""
    try:
        old, new = parse(before), parse(after)
    except RatchetError:
        return {}
    return {period: new[period] for period in sorted(new) if new[period] != old.get(period)}


def sentence(period: str, revision: Revision) -> str:
    """One entry for people; no value of a row."""
    rows = revision.rows
    if rows is None:
        return f"{period}: other rows; how many differ was not counted, for those before were not at hand"
    return (
        f"{period}: {rows.added} rows added, {rows.removed} removed, {rows.changed} changed; "
        f"{rows.before} before, {rows.after} after"
    )


def _stage(period: str) -> str:
    return f"ingest@{period}"


def _md5(stages: lock.Stages, period: str, name: str) -> str | None:
    return lock.out_md5(stages, _stage(period), str(data.PERIODS / period / name))


def _source_md5(stages: lock.Stages, period: str) -> str | None:
    return _md5(stages, period, data.SOURCE)


def _rows_before(stages: lock.Stages, period: str, root: Path) -> pd.DataFrame | None:
    """The valid rows that were locked, if they are in DVC's cache."""
    md5 = _md5(stages, period, data.ROWS)
    path = None if md5 is None else lock.cached(root, md5)
    return None if path is None else files.read_parquet(path)


def _refusal(problem: Problem, batch: Batch, stages: lock.Stages, root: Path) -> str:
    changed = lock.changed_dependencies(root, stages[_stage(batch.period)], f"src/{problem.name}/")
    count = f"{json.loads(batch.source)['rows']} of them"
    if changed:
        what = f"code revised: {', '.join(changed)} has changed and gives other rows ({count}) than dvc.lock holds"
        then = "if that is meant"
    else:
        what = f"source revised: to the same code it gives other rows ({count}) than dvc.lock holds"
        then = "find out why; if they are right"
    return (
        f"{batch.period}: {what}\n{then}, `ratchet accept-revision --all` takes in those of every period: "
        f"commit {PATH}, and a maintainer accepts it"
    )


def _locked(root: Path, base: str | None) -> lock.Stages:
    """The lock that a run of the proposal starts from: that of the commit where it left its base."""
    name = base or "origin/HEAD"
    fork = _git(root, "merge-base", "HEAD", name)
    if fork is None:
        hint = "" if base else "\nname the branch that the change goes to: --base origin/main"
        raise RatchetError(f"{name}: git knows no such commit here, or it shares no history with HEAD{hint}")
    return lock.parse(_git(root, "show", f"{fork.strip()}:{LOCK}") or "")


def _git(root: Path, *arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, encoding="utf-8", check=False)
    return done.stdout if done.returncode == 0 else None

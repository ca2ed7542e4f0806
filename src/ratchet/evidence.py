"""Evidence: what a proposal makes of the data, as a folder for the judge.

Runs in the proposal's own tree, with a token that can only read. What it says is a claim: the judge reads it through
`ratchet.intake`, which also fixes its layout. It starts from the lock of the base, not from the one that was committed,
which may be wrong, by mistake or otherwise; but for one that main's own workflow has made and the ledger knows:

    manifest.json   the SHA-256 of every other file
    run.json        commits, outcome, seconds of each stage, and why it failed
    dvc.lock        as the run left it
    bundle/ dataset.json training.json evaluation.json metrics.json diff.json scores/    when a model is proposed
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import bundle, files, lock, params, yaml12
from ratchet.errors import RatchetError
from ratchet.intake import BUNDLE, CHALLENGER, CHAMPION, DIFF, LOCK, MANIFEST, OUTPUTS, RUN
from ratchet.report import markdown
from ratchet.report.document import Code, Column, Commands, Document, Paragraph, Section, Strong, Table, Text

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, Any]
Proven = Callable[[str], bool]

LOG = 4000  # last characters of a log that are kept
MOST_PARAMS, LONGEST_VALUE = 500, 1000


@dataclass(frozen=True)
class Champion:
    """The model to beat: the tag of its release, and the folder in which its bundle lies."""

    tag: str
    folder: Path


class FailedError(RatchetError):
    """The pipeline did not get as far as a model.

    Attributes:
        stage: The stage that failed, if it was one.
        stages: Those that ran, with their seconds.
    """

    def __init__(self, log: str, stage: str | None = None, stages: Sequence[Record] = ()) -> None:
        super().__init__(log)
        self.stage = stage
        self.stages = stages


@dataclass(frozen=True)
class Start:
    """Where a run of the pipeline starts from; see `collect`."""

    rejudges: bool
    proven: Proven


@dataclass(frozen=True)
class _Made:
    """What a run of the pipeline came to; files of the evidence by name, as paths, tables or values."""

    outcome: str
    stages: Sequence[Record] = ()
    lock_digest: str | None = None
    model_digest: str | None = None
    failure: Record | None = None
    champion: Record | None = None
    content: Mapping[str, Any] = field(default_factory=dict)


def collect(
    base: str,
    out: Path,
    champion: Champion | None = None,
    root: Path = Path(),
    *,
    rejudges: bool = False,
    proven: Proven = lambda _: False,
) -> Record:
    """Run the pipeline of the tree in `root` from the lock of `base`, and write the folder `out`.

    Args:
        base: The commit or branch that the proposal goes to; where the proposal left it is what it is compared with.
        out: The folder; whole, or not there.
        champion: The model to beat; it scores the proposal's holdout in its own environment.
        root: A checkout, whose dvc.lock and outputs are replaced.
        rejudges: Main's own model is proposed once more, for its judged bytes are gone: when it is not the champion,
            the pipeline runs although nothing changed.
        proven: Whether main's own workflow has made a lock, by its digest: then the run starts from it where the
            proposal has it committed, and what is in the cache is not trained a second time.

    Returns:
        Content of `run.json`; its `outcome` is `unchanged`, `proposed` or `failed`. The folder is written in each case;
        a job whose outcome is `failed` should end with exit code 1.

    Raises:
        RatchetError: `root` is no git repository, or knows no `base` from which its head comes.
    """
    began, root = time.monotonic(), root.resolve()
    commits = {"head_sha": _commit(root, "HEAD"), "base_sha": _fork_point(root, _commit(root, base))}
    try:
        made = _made(root, commits["base_sha"], champion, Start(rejudges, proven))
    except FailedError as error:
        made = _Made("failed", error.stages, failure={"stage": error.stage, "log": str(error)[-LOG:]})
    except RatchetError as error:
        made = _Made("failed", failure={"stage": None, "log": str(error)[-LOG:]})
    run = {
        "version": 1,
        **commits,
        "outcome": made.outcome,
        "model_digest": made.model_digest,
        "lock_digest": made.lock_digest,
        "seconds": round(time.monotonic() - began, 2),
        "stages": list(made.stages),
        "failure": made.failure,
        "champion": made.champion,
    }
    _write(out, {RUN: run, **({LOCK: root / LOCK} if (root / LOCK).is_file() else {}), **made.content})
    _summarise(run)
    return run


def _made(root: Path, base: str, champion: Champion | None, start: Start) -> _Made:
    locked = _git(root, "show", f"{base}:{LOCK}", missing=b"")
    if locked:
        files.write_bytes(root / LOCK, locked)
    else:
        (root / LOCK).unlink(missing_ok=True)
    live = lock.live_of(_bytes(root / "dvc.yaml"), _bytes(root / "params.yaml"))
    surplus = lock.committed(
        _listed(root, "--cached"), {out for definition in live.values() for out in definition.outs}
    )
    if surplus:
        raise FailedError(
            f"{surplus[0]} is committed ({len(surplus)} such files), but the pipeline makes it\n"
            f"take it out: `git rm -r --cached {surplus[0]}`"
        )
    listing = _listed(root, "--cached", "--others", "--exclude-standard")
    fits = locked and not lock.faults(lock.read(root / LOCK), live, lambda path: files.read_bytes(root / path), listing)
    if fits and not (start.rejudges and _is_unreleased(root, champion)):
        return _Made("unchanged", lock_digest=lock.digest_of(root))
    proposed = _git(root, "show", f"HEAD:{LOCK}", missing=b"")
    if proposed != locked and start.proven(_digest(proposed, live)):
        files.write_bytes(root / LOCK, proposed)
    # What is missing in the cache is made again; `dvc repro` alone would make everything again.
    _dvc(root, "checkout", "--allow-missing", "--quiet")
    stages = _repro(root)
    try:
        return _proposed(root, base, stages, champion)
    except RatchetError as error:
        raise FailedError(str(error), None, stages) from error


def _digest(text: bytes, live: Mapping[str, lock.Definition]) -> str:
    """The lock digest of what a proposal has committed; of nothing that can be read, that of stages that never ran."""
    lasting = [name for name, definition in live.items() if definition.outs]
    try:
        return lock.digest(lock.parse(text.decode("utf-8")), lasting)
    except (RatchetError, UnicodeDecodeError):
        return lock.digest({}, lasting)


def _is_unreleased(root: Path, champion: Champion | None) -> bool:
    """Main's lock names another bundle than the champion's."""
    from ratchet import release

    locked = lock.out_md5(lock.read(root / LOCK), "export", BUNDLE)
    return champion is not None and release.md5_of(champion.folder) != locked


def _proposed(root: Path, base: str, stages: Sequence[Record], champion: Champion | None) -> _Made:
    """The evidence of a pipeline that ran to its end."""
    outputs = {here: root / there for here, there in OUTPUTS.items()}
    absent = [path for path in outputs.values() if not path.is_file()]
    if absent:
        raise RatchetError(f"{absent[0].relative_to(root)}: the pipeline ended without it; the judge needs it")
    opened = bundle.load(root / BUNDLE)
    content: Record = {f"{BUNDLE}/{path.name}": path for path in (root / BUNDLE).iterdir()} | outputs
    known, values = None, dict[str, Any]()
    if champion is not None:
        content[CHAMPION], values = _scored(root, opened, champion)
        known = {"tag": champion.tag, "model_digest": bundle.digest(champion.folder)}
    new = files.read_json(outputs["metrics.json"])
    own = {name: value for name, value in new.items() if name != "rows" and not isinstance(value, Mapping)}
    content[DIFF] = {
        "params": _changed(_git(root, "show", f"{base}:params.yaml", missing=b""), _bytes(root / "params.yaml")),
        "metrics": [[name, values.get(name), value] for name, value in own.items()],
    }
    return _Made("proposed", stages, lock.digest_of(root), opened.digest, champion=known, content=content)


def _scored(root: Path, challenger: bundle.Bundle, champion: Champion) -> tuple[pd.DataFrame, Record]:
    """The champion's scores of the rows that test the challenger, and its metrics there."""
    import numpy as np

    from ratchet import data, evaluation, metrics, scoring
    from ratchet.problem import Problem

    if bundle.digest(champion.folder) == challenger.digest:  # the same bytes give the same scores
        table = files.read_parquet(root / OUTPUTS[CHALLENGER])
        table = table[[name for name in table if not str(name).startswith(evaluation.BASELINE)]]
    else:
        problem = Problem(str(challenger.manifest["problem"]))
        rows = data.load(files.read_json(root / data.DATASET), "test", root / data.PERIODS)
        try:
            table = evaluation.scores_table(problem, rows, lambda frame: scoring.score(champion.folder, frame), {})
        except RatchetError as error:
            raise RatchetError(f"the champion {champion.tag} cannot score the holdout: {error}") from error
    manifest = bundle.read_manifest(champion.folder)
    labels, scores = (table[name].to_numpy(dtype="float64") for name in ("label", "score"))
    measured = metrics.for_task(manifest["task"], manifest["threshold"])
    return table, {m.name: metrics.rounded(m.value(labels, scores, np.ones(len(labels)))) for m in measured}


def _changed(old: bytes, new: bytes) -> list[list[Any]]:
    """Parameters that differ: dotted key, the base's value, the head's."""
    before, after = (params.flattened(_mapping(content)) for content in (old, new))
    keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return [[key[:200], _said(before.get(key)), _said(after.get(key))] for key in keys[:MOST_PARAMS]]


def _mapping(content: bytes) -> Mapping[str, Any]:
    try:
        found = yaml12.read_as_dvc(content, "params.yaml")
    except RatchetError:
        return {}
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else {}


def _said(value: Any) -> Any:
    """A value as JSON can hold it and a reader can bear it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return [
            _said(item) if not isinstance(item, list | dict) else str(item)[:LONGEST_VALUE]
            for item in value[:LONGEST_VALUE]
        ]
    return str(value)[:LONGEST_VALUE]


# --- the pipeline ----------------------------------------------------------------------------------------------------


def _repro(root: Path) -> list[Record]:
    """Run `dvc repro`, show what it says as it says it, and time its stages.

    Raises:
        FailedError: A stage failed, or DVC did.
    """
    began: list[tuple[str, float]] = []
    said = ""
    with subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=root,
        env=_environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for line in _lines(process):
            sys.stdout.write(line)
            sys.stdout.flush()
            said = (said + line)[-4 * LOG :]
            if found := re.match(r"Running stage '([^']+)'|Stage '", line):
                began.append((found[1] or "", time.monotonic()))
    ends = [at for _, at in began[1:]] + [time.monotonic()]
    stages = [
        {"name": name, "seconds": round(end - start, 2)} for (name, start), end in zip(began, ends, strict=True) if name
    ]
    if process.returncode:
        culprit = re.search(r"failed to reproduce '([^']+)'", said)
        raise FailedError(_legible(said), culprit[1] if culprit else None, stages)
    return stages


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    for line in process.stdout or ():
        yield line.decode("utf-8", errors="replace")


def _legible(text: str) -> str:
    """The log of the last stage that ran, without colours, progress bars and control characters."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text[max(0, text.rfind("Running stage '")) :])
    text = re.sub(r"[^\n]*\r(?!\n)", "", text)
    return re.sub(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]", "", text).strip()[-LOG:]


def _dvc(root: Path, *arguments: str) -> None:
    """Run `dvc`, whatever it answers; what it says is for people."""
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root, env=_environment(root), check=False)


def _environment(root: Path) -> Mapping[str, str]:
    """Stages import the code beside them, and `python` is the interpreter that runs this."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(root / "src"), "PYTHONUNBUFFERED": "1"}


# --- the tree --------------------------------------------------------------------------------------------------------


def _commit(root: Path, name: str) -> str:
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", missing=b"")
    if not found:
        raise RatchetError(
            f"{root}: git knows no commit {name!r} here\nfetch it: `git fetch origin {name}`, or check out with history"
        )
    return found.decode().strip()


def _fork_point(root: Path, base: str) -> str:
    """The commit of the base that the proposal started from: what came there later is not the proposal's."""
    found = _git(root, "merge-base", "HEAD", base, missing=b"")
    if not found:
        raise RatchetError(
            f"{root}: HEAD and {base[:12]} share no history here\ncheck out with history: `fetch-depth: 0`"
        )
    return found.decode().strip()


def _listed(root: Path, *which: str) -> list[str]:
    return [name for name in os.fsdecode(_git(root, "ls-files", "-z", *which)).split("\0") if name]


def _git(root: Path, *arguments: str, missing: bytes | None = None) -> bytes:
    """What git says; `missing` when it fails."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout
    if missing is None:
        raise RatchetError(f"{root}: git {arguments[0]} fails: {done.stderr.decode(errors='replace').strip()[:300]}")
    return missing


def _bytes(path: Path) -> bytes:
    found = files.read_bytes(path)
    if found is None:
        raise RatchetError(f"{path.name}: is missing; it belongs in the root of the project")
    return found


# --- what is left ----------------------------------------------------------------------------------------------------


def _write(out: Path, content: Mapping[str, Any]) -> None:
    with files.directory(out) as folder:
        for name, value in content.items():
            (folder / name).parent.mkdir(exist_ok=True)
            if isinstance(value, Path):
                shutil.copyfile(value, folder / name)
            elif name.endswith(".json"):
                files.write_json(folder / name, value)
            else:
                files.write_parquet(folder / name, value)
        sums = {name: files.sha256(folder / name) for name in sorted(content)}
        files.write_json(folder / MANIFEST, {"version": 1, "files": sums})


def _summarise(run: Record) -> None:
    """Tell the job's page what happened, where there is one."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown.render(Document("Evidence", (_told(run),))))


def _told(run: Record) -> Section:
    sentence: Text
    if run["outcome"] == "unchanged":
        sentence = ("Nothing that a stage depends on differs from the base ", Code(run["base_sha"][:12]), ".")
        return Section("Nothing changed", (Paragraph(sentence),))
    rows = tuple((Code(stage["name"]), f"{stage['seconds']:.1f}") for stage in run["stages"])
    table = (Table((Column("Stage"), Column("Seconds", numeric=True)), rows),) if rows else ()
    if run["outcome"] == "failed":
        stage, log = run["failure"]["stage"], run["failure"]["log"]
        sentence = ("The stage ", Strong(stage), " failed.") if stage else "There is no model to judge."
        return Section("No model", (Paragraph(sentence), Commands(tuple(log.splitlines()[-20:])), *table))
    known = run["champion"]
    beside = f" is proposed beside the champion {known['tag']}." if known else " is proposed; there is no champion yet."
    sentence = ("The model ", Code(run["model_digest"][:12]), beside)
    return Section("A model is proposed", (Paragraph(sentence), *table))

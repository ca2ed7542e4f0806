"""The judge: what a pull request proposes, taken as data, judged by main's code, main's policy and main's labels.

Runs where a token can only read. The proposal's code is never checked out and never run: its files are read as bytes,
its artifact through `ratchet.intake`, its scores against rows that main's code ingests, beside a champion that is
scored here. What comes out is one bounded JSON, the *judgement*, which is all that the job with a write token sees.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from ratchet import (
    bundle,
    card,
    data,
    evaluation,
    evidence,
    files,
    folders,
    gate,
    intake,
    ledger,
    lock,
    outputs,
    params,
    release,
    report,
    revisions,
    schemas,
)
from ratchet.errors import RatchetError
from ratchet.forge import ApiError, NotFound
from ratchet.place import find
from ratchet.problem import Problem
from ratchet.report import page

if TYPE_CHECKING:
    from ratchet.forge import Artifact, Entry, Forge, Objects, Pull, Run
    from ratchet.params import Params

Record = dict[str, Any]
Read = Callable[[str], bytes | None]

REPORT = ".github/workflows/report.yml"
ARTIFACT = "evidence"
LOOKS = 10  # how many looks ahead a judgement holds a verdict for: others may be recorded before it is
JUDGES = (
    *(".dvc/", ".github/", ".python-version", "bentofile.yaml", "deploy/", "dvc.yaml", "pipelines/"),
    *("pyproject.toml", "revisions.json", "src/", "uv.lock"),
)
FREE = (folders.CARD, f"{folders.MODEL}/")  # of the problem's folder: what one proposes
POLICY = ("problem", "gate.", "data.holdout", "data.checks.")
LONGEST_VALUE = 1000  # characters
LARGEST_FILE = 5_000_000  # bytes
TOLERANCE = 1e-9  # between scores of one bundle on two machines


@dataclass(frozen=True)
class Tree:
    """The files of a commit, read as data."""

    objects: Objects
    entries: Mapping[str, Entry]

    def bring(self, wanted: Callable[[str], bool]) -> None:
        """Fetch the files that are going to be read, all at once."""
        self.objects.sizes([entry.sha for path, entry in self.entries.items() if entry.is_file and wanted(path)])

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None when there is no such regular file."""
        entry = self.entries.get(path)
        if entry is None or not entry.is_file:
            return None
        if self.objects.sizes([entry.sha])[entry.sha] > LARGEST_FILE:
            raise RatchetError(f"{path}: has more than {LARGEST_FILE // 1_000_000} MB.")
        return self.objects.files([entry.sha], LARGEST_FILE)[entry.sha]


@dataclass(frozen=True)
class Proposal:
    """A pull request as its head stands, beside the commit of main it started from."""

    pull: Pull
    run: Run
    base_sha: str
    base: Tree
    head: Tree

    @cached_property
    def params(self) -> Params:
        """The parameters it proposes, if they are any."""
        return params.parse(self.head.read("params.yaml") or b"")

    @cached_property
    def policy(self) -> Params:
        """Main's parameters."""
        return params.parse(self.base.read("params.yaml") or b"")

    @cached_property
    def live(self) -> Mapping[str, lock.Definition]:
        """The stages that its pipeline defines with its parameters."""
        return lock.live_of(self.head.read("dvc.yaml") or b"", self.head.read("params.yaml") or b"")

    @cached_property
    def revisions(self) -> revisions.Revisions:
        """What it asks to take in of rows that have changed; that is a change of the judge."""
        return revisions.proposed(*(tree.read(str(revisions.PATH)) for tree in (self.base, self.head)))

    @property
    def base_lock(self) -> bytes | None:
        """Main's dvc.lock."""
        return self.base.read("dvc.lock")

    def faults(self, stages: lock.Stages, output: Read = lambda _: None) -> list[str]:
        """Where a lock does not fit the files and the parameters of the head, and the outputs that are known."""
        entries = [item for stage in stages.values() for kind in ("deps", "outs") for item in stage.get(kind, [])]
        named = {str(item["path"]) for item in entries}
        self.head.bring(
            lambda path: (
                path.endswith(".dvcignore") or not named.isdisjoint([path, *map(str, PurePosixPath(path).parents)])
            )
        )

        def read(path: str) -> bytes | None:
            content = self.head.read(path)
            return output(path) if content is None else content

        return lock.faults(stages, self.live, read, self.head.entries)

    @property
    def lasting(self) -> list[str]:
        """Names of its stages that make something."""
        return [name for name, definition in self.live.items() if definition.outs]


@dataclass(frozen=True)
class Finding:
    """What the judge found: the outcome, why, and what else goes into the judgement."""

    outcome: str
    reason: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)


class FailedError(RatchetError):
    """The run did not get as far as a model."""


def judge(forge: Forge, run_id: int, attempt: int, out: Path, cache: Path | None = None) -> Record | None:
    """Judge the pull request whose report has just been made.

    Args:
        forge: With a token that reads.
        run_id: The run of report.yml.
        attempt: Its attempt.
        out: Folder for judgement.json and, where models were compared, card.html.
        cache: Where environments of bundles are kept.

    Returns:
        The judgement; None when the run does not count for an open pull request, was deleted, as the self-test does
        with those that it has caused, or ended (cancelled, out of time, held) in a way that says nothing about the
        proposal.

    Raises:
        RatchetError: The run is not one of report.yml, or GitHub does not answer.
    """
    try:
        run = forge.run(run_id)
    except NotFound:
        return None
    if run.path != REPORT or run.attempt != attempt:
        raise RatchetError(f"run {run_id}: is attempt {run.attempt} of {run.path}, not {attempt} of {REPORT}")
    place = find(forge, run)
    if place is None or place.run.id != run.id or not place.can_be_judged:
        return None
    proposal = _proposal(forge, place.pull, run)
    try:
        found = _find(forge, proposal, out, cache)
    except FailedError as error:
        found = Finding("failed", str(error))
    except ApiError:  # no fault of the proposal
        raise
    except RatchetError as error:
        found = Finding("rejected", str(error))
    judgement = schemas.validated("judgement", _judgement(proposal, found))
    files.write_json(out / "judgement.json", judgement)
    return judgement


def changed_judges(
    base: Mapping[str, object], head: Mapping[str, object], policy: Params, proposed: Params | None
) -> list[str]:
    """What a proposal changes of that which judges it: paths, and keys of params.yaml.

    Args:
        base: Path to content (or its hash) on main.
        head: The same of the proposal.
        policy: Main's parameters.
        proposed: The proposal's; None when they cannot be read, which is a change.
    """
    changed = [
        path
        for path in sorted({*base, *head})
        if base.get(path) != head.get(path) and not is_free(path, policy.problem)
    ]
    paths = [path for path in changed if path.startswith(JUDGES) or path.endswith(".dvcignore")]
    if proposed is None:
        return [*paths, "params.yaml"]
    old, new = (params.flattened(one.model_dump(mode="json")) for one in (policy, proposed))
    keys = [key for key in sorted({*old, *new}) if key.startswith(POLICY) and old.get(key) != new.get(key)]
    # A holdout that ends earlier is a choice among the past, made by the one who is judged on it.
    if proposed.data.periods[-1] < policy.data.periods[-1]:
        keys.append("data.periods (ends earlier)")
    return [*paths, *(f"params.yaml: {key}" for key in keys)]


def is_free(path: str, problem: str) -> bool:
    """Whether a file is what one proposes: the problem's card, or a source of its model/.

    What else may lie in model/ is not: DVC ignores caches, and would ignore what an ignore file names.
    """
    text, model = FREE
    package, _, inside = path.partition(f"src/{problem}/")
    is_source = inside.startswith(model) and inside.endswith(".py") and "__pycache__" not in inside
    return not package and (inside == text or is_source)


def holdout_digest(digests: Mapping[str, str]) -> str:
    """What names a holdout in the ledger: the SHA-256 of its periods and of the rows in each."""
    return hashlib.sha256(json.dumps(dict(digests), sort_keys=True).encode()).hexdigest()


def _proposal(forge: Forge, pull: Pull, run: Run) -> Proposal:
    base_sha = forge.compare(pull.base_branch, run.head_sha).merge_base
    forge.objects.bring([base_sha, run.head_sha])
    base, head = (Tree(forge.objects, forge.tree(sha)) for sha in (base_sha, run.head_sha))
    return Proposal(pull, run, base_sha, base, head)


def _find(forge: Forge, proposal: Proposal, out: Path, cache: Path | None) -> Finding:
    text = proposal.base_lock
    locked = lock.parse(text.decode()) if text else {}
    with TemporaryDirectory() as scratch:
        bench = Bench(forge, Path(scratch), out, cache)
        again = _is_rejudged(proposal, locked, bench)
        if locked and not again and not proposal.faults(locked):
            return Finding("unchanged", more=_lock(proposal, lock.as_dvc_writes((text or b"").decode())))
        submission, artifact = _submission(forge, proposal, Path(scratch))
        stages = lock.parse(submission.lock)
        known: Record = {
            "model_digest": bundle.digest(submission.bundle),
            "artifact": {"id": artifact.id, "digest": artifact.digest},
            "stages": submission.run["stages"],
            "seconds": submission.run["seconds"],
            **_lock(proposal, submission.lock),
        }
        if locked and not again and _bundle_md5(locked) == _bundle_md5(stages):
            return Finding("same model", more=known)
        compared = _compared(forge, proposal, submission, bench)
        return Finding("judged", more=known | compared)


def _is_rejudged(proposal: Proposal, locked: lock.Stages, bench: Bench) -> bool:
    """Main's own model is proposed once more by a branch of ours, because its judged bytes are gone before its release.

    It is compared with the champion, although main has its lock. A fork's branch of that name is like any other.
    """
    if proposal.pull.is_fork or not proposal.pull.head_branch.startswith(release.REJUDGES):
        return False
    return bench.champion is not None and release.md5_of(bench.champion.folder) != _bundle_md5(locked)


@dataclass(frozen=True)
class Bench:
    """Where the judge works: a scratch folder, the folder of results, the environments of bundles."""

    forge: Forge
    scratch: Path
    out: Path
    cache: Path | None

    @cached_property
    def champion(self) -> evidence.Champion | None:
        """The newest release; None while there is none."""
        return release.fetch(self.forge, self.scratch / "champion", ["dataset.json", "training.json"])


def _submission(forge: Forge, proposal: Proposal, scratch: Path) -> tuple[intake.Submission, Artifact]:
    run = proposal.run
    found = [a for a in forge.artifacts(run.id) if a.name == ARTIFACT and a.created_at >= run.started_at]
    if not found:
        raise FailedError(f"The run ended as a {run.conclusion} without leaving any evidence; its log says more.")
    artifact = max(found, key=lambda item: (item.created_at, item.id))
    if artifact.size > intake.LARGEST_ARCHIVE:
        raise RatchetError(f"The evidence has more than {intake.LARGEST_ARCHIVE // intake.MEGABYTE} MB.")
    forge.download(artifact, scratch / "evidence.zip", intake.LARGEST_ARCHIVE)
    submission = intake.read(scratch / "evidence.zip", scratch / "evidence")
    if submission.run["head_sha"] != run.head_sha:
        raise RatchetError(f"The evidence is about commit {submission.run['head_sha'][:12]}, not about this one.")
    if submission.outcome == "failed" or run.conclusion != "success":
        raise FailedError(_failure(submission.run, run))
    if submission.outcome == "unchanged":
        raise RatchetError("The run says that nothing changed, but main's dvc.lock does not fit the proposed files.")
    stages = lock.parse(submission.lock)
    if faults := proposal.faults(stages, submission.output):
        raise RatchetError(f"The run's dvc.lock does not fit: {'; '.join(faults[:3])}.")
    if strange := lock.strangers(stages, proposal.live, lock.parse((proposal.base_lock or b"").decode())):
        raise RatchetError(f"The run's dvc.lock has entries of stages that nobody knows: {', '.join(strange[:3])}.")
    return submission, artifact


def _failure(said: Mapping[str, Any], run: Run) -> str:
    failure = said["failure"] or {"stage": None, "log": ""}
    where = f"Stage {failure['stage']} failed." if failure["stage"] else f"The run ended as {run.conclusion}."
    return f"{where}\n{failure['log']}"


def _compared(forge: Forge, proposal: Proposal, submission: intake.Submission, bench: Bench) -> Record:
    """The comparison with the champion, or with the best baseline while there is none."""
    problem = Problem(proposal.policy.problem)
    if submission.manifest["problem"] != problem.name:
        raise RatchetError(f"The bundle answers another problem than main's, {problem.name}; they cannot be compared.")
    rows = _ingested(problem, proposal, bench.scratch / "rows")
    challenger = _challenger(problem, submission, rows)
    champion = bench.champion
    if champion:
        old = outputs.side(problem, outputs.Outputs(champion.folder, None), rows, bench.cache, behaves=False)
        if not _is_revised(proposal, submission, rows):  # by its code, which scored the champion on other rows
            _check_champion(problem, submission, rows, old.scores)
        dataset, training = (_fact(champion, name) for name in ("dataset.json", "training.json"))
        old_shown = report.Side(old.evaluation, dataset, training, old.size)
    else:
        old, old_shown = gate.best_baseline(challenger, proposal.policy.gate), report.Side()
    digest = holdout_digest(rows.digests)
    first = ledger.Ledger(forge).look(digest, challenger.digest)
    looks, changed = range(first, first + LOOKS), bool(_judges(proposal))
    verdicts = gate.verdicts(old, challenger, rows.digests, proposal.policy.gate, looks, judge_changed=changed)
    new_shown = report.Side(challenger.evaluation, submission.dataset, submission.training, challenger.size)
    _write_card(bench.out, new_shown, _texts(proposal), challenger.manifest)
    return {
        "holdout": digest,
        "verdicts": verdicts,
        "first_look": first,
        "champion": {"tag": champion.tag, "digest": old.digest} if champion else None,
        "sides": {"champion": asdict(old_shown), "challenger": asdict(new_shown)},
    }


def _fact(champion: evidence.Champion, name: str) -> Record | None:
    path = champion.folder.parent / name
    return files.read_json(path) if path.exists() else None


def _ingested(problem: Problem, proposal: Proposal, folder: Path) -> outputs.Holdout:
    """The rows that test the proposal, as main's code ingests them."""
    digests: dict[str, str] = {}
    for period in proposal.params.data.test:
        data.write(data.ingest(problem, period, proposal.policy.data.checks), folder / period)
        digests[period] = files.sha256(folder / period / data.ROWS)
    frames = [files.read_parquet(folder / period / data.ROWS) for period in digests]
    rows = pd.concat(frames)
    return outputs.Holdout(rows[rows[problem.target].notna()].reset_index(drop=True), digests)


def _challenger(problem: Problem, submission: intake.Submission, rows: outputs.Holdout) -> gate.Side:
    """The proposal's scores beside main's labels, clusters and slices; only scores and behaviour are its own."""
    key, manifest = list(problem.key), submission.manifest
    intake.check_keys(submission.scores, rows.frame, problem)
    claimed = rows.frame[key].merge(submission.scores, on=key, how="left", validate="one_to_one")
    scores = claimed["score"].to_numpy()
    names = [str(name) for name in claimed if str(name).startswith(evaluation.BASELINE)]
    baselines = {name.removeprefix(evaluation.BASELINE): claimed[name].to_numpy() for name in names}
    table = evaluation.scores_table(problem, rows.frame, lambda _: scores, baselines)
    model = evaluation.Model(lambda _: scores, bundle.digest(submission.bundle), manifest["threshold"])
    found = evaluation.evaluate(problem, table, None, model)
    found["behaviour"] = submission.evaluation["behaviour"]
    return gate.Side(table, found, manifest, submission.schema, bundle.size(submission.bundle), model.digest)


def _is_revised(proposal: Proposal, submission: intake.Submission, rows: outputs.Holdout) -> bool:
    """Whether the proposal's own code gives other rows of its holdout than main's, and asks to have that accepted."""
    tested = submission.dataset["test"]
    return any(
        period in proposal.revisions and tested[period]["sha256"] != digest for period, digest in rows.digests.items()
    )


def _check_champion(
    problem: Problem, submission: intake.Submission, rows: outputs.Holdout, scores: pd.DataFrame
) -> None:
    """A run that lies about the champion is caught by scoring the champion again."""
    claimed = submission.champion_scores
    if claimed is None:
        return
    intake.check_keys(claimed, rows.frame, problem)
    columns = [*problem.key, "score"]
    both = scores[columns].merge(claimed[columns], on=list(problem.key), how="outer", suffixes=("", "_claimed"))
    if not (both["score"] - both["score_claimed"]).abs().le(TOLERANCE).all():
        raise RatchetError("The run's scores of the champion are not those that the champion gives.")


def _changed_params(proposal: Proposal) -> list[tuple[str, object, object]]:
    old, new = (params.flattened(one.model_dump(mode="json")) for one in (proposal.policy, proposal.params))
    return [(key, old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def _short(value: object) -> object:
    """A value of params.yaml as it fits into a judgement."""
    text = json.dumps(value, default=str)
    return value if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _judges(proposal: Proposal) -> list[str]:
    contents = [{path: (e.mode, e.sha) for path, e in tree.entries.items()} for tree in (proposal.base, proposal.head)]
    try:
        proposed = proposal.params
    except RatchetError:
        proposed = None
    counted = [revisions.sentence(period, entry) for period, entry in proposal.revisions.items()]
    changed = changed_judges(contents[0], contents[1], proposal.policy, proposed)
    return changed + [f"{revisions.PATH}: {sentence}" for sentence in counted]


def _lock(proposal: Proposal, text: str) -> Record:
    """The lock digest, and the text to commit when the head's own lock says something else, or more."""
    digest = lock.digest(lock.parse(text), proposal.lasting)
    try:
        own = lock.parse(lock.as_dvc_writes((proposal.head.read("dvc.lock") or b"").decode()))
        known = lock.parse((proposal.base_lock or b"").decode())
        is_there = lock.digest(own, proposal.lasting) == digest and not lock.strangers(own, proposal.live, known)
    except (RatchetError, UnicodeDecodeError):
        is_there = False
    return {"lock_digest": digest, "lock": None if is_there else text}


def _bundle_md5(stages: lock.Stages) -> str | None:
    return lock.out_md5(stages, "export", "bundle")


def _texts(proposal: Proposal) -> card.Texts:
    path = f"src/{proposal.policy.problem}/{folders.CARD}"
    return card.parse(proposal.head.read(path) or b"", path)


def _write_card(out: Path, new: report.Side, texts: card.Texts, manifest: Mapping[str, Any]) -> None:
    document = card.card(texts, manifest, new.dataset or {}, new.evaluation or {}, new.training or {})
    files.write_text(out / "card.html", page.render(document))


def _judgement(proposal: Proposal, found: Finding) -> Record:
    pull, run = proposal.pull, proposal.run
    reason, _, log = found.reason.partition("\n")
    try:
        changed = _changed_params(proposal)
    except RatchetError:
        changed = []
    return {
        "version": 1,
        "pull_request": pull.number,
        "head": {
            "sha": run.head_sha,
            "repository": run.head_repository,
            "branch": run.head_branch,
            "is_fork": pull.is_fork,
        },
        "base_sha": proposal.base_sha,
        "run": {"id": run.id, "attempt": run.attempt, "url": run.url},
        "artifact": None,
        "outcome": found.outcome,
        "reason": reason[:1000],
        "log": log[-4000:],
        "judge_changed": [path[:500] for path in _judges(proposal)[:50]],
        "model_digest": None,
        "lock_digest": None,
        "lock": None,
        "holdout": None,
        "verdicts": [],
        "first_look": 1,
        "champion": None,
        "sides": {"champion": asdict(report.Side()), "challenger": asdict(report.Side())},
        "params": [[key[:300], _short(old), _short(new)] for key, old, new in changed[:500]],
        "stages": [],
        "seconds": 0.0,
        "links": {"report": None, "card": None},
        **found.more,
    }

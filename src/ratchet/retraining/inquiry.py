"""The check of one period: what the champion meets in it, what that means, and where it may help a challenger's proof.

    found = inquiry.check(forge, Path(), Path("build/drift"))

Runs main's code alone, with a token that reads. The folder it writes is all that the job sees which writes:

    inquiry.json               what was found and decided
    report.md  report.html     the same for people
    evidently.html             Evidently's own view of a sample
    params.yaml  dvc.lock      of the challenger, when one was trained
    proof/                     its verdict, and the report of it
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet import files, ledger
from ratchet.errors import RatchetError
from ratchet.report.document import plain
from ratchet.retraining import facts, periods, words
from ratchet.retraining.words import LOCK, PARAMS

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.drift import DriftOptions, Findings
    from ratchet.forge import Forge
    from ratchet.ledger import Ledger, Listing
    from ratchet.policy import Decision
    from ratchet.retraining.facts import Batch, Scene

Record = dict[str, Any]

FILE = "inquiry.json"
MOST_SAID = 1200
"""Letters of a sentence that quotes what was found."""
ACTIONS = {"none": "none", "open pull request": "pull request", "open issue": "issue"}
UNFIT = {"broken upstream", "too few labels"}
"""Diagnoses of periods that no model can be trained with: the pipeline refuses them."""


@dataclass(frozen=True)
class Inquiry:
    """What a check came to.

    Attributes:
        period: Which was looked at.
        sha: The commit of main whose code did it.
        inputs: Names rows, labels, champion and policy.
        champion: Tag and model digest.
        state: As `ratchet.policy` has it.
        diagnosis: What kind of change it is, in a few words.
        sentence: What was decided.
        diagnosed: The diagnosis in a sentence.
        labelled: Whether labels had come.
        findings: Of its checks, as the record holds them.
        action: What is to follow: "none", "pull request" or "issue".
        periods: Those of params.yaml, and those that have come since and are fit to train with.
        added: The latter.
        proof: The retraining that was tried, as the fields of its record; None when none was.
    """

    period: str
    sha: str
    inputs: str
    champion: Mapping[str, str]
    state: str
    diagnosis: str
    sentence: str
    diagnosed: str
    labelled: bool
    findings: list[Record]
    action: str
    periods: list[str]
    added: list[str]
    proof: Record | None = None

    @classmethod
    def read(cls, folder: Path) -> Inquiry:
        """That of a folder.

        Raises:
            RatchetError: There is none, or it is of another shape.
        """
        content = files.read_json(folder / FILE)
        try:
            return cls(**content)
        except TypeError as error:
            raise RatchetError(f"{folder / FILE}: is not what `ratchet drift check` writes: {error}") from error


def check(forge: Forge, root: Path, out: Path, wanted: str | None = None) -> Inquiry | None:
    """Look at a period that is new, and write the folder `out`.

    Args:
        forge: With a token that reads.
        root: Main, checked out; where a challenger is trained its params.yaml, dvc.lock and outputs are replaced.
        out: The folder; whole, or not there.
        wanted: The period; by default the first that was not looked at as it is now.

    Returns:
        None when there is nothing new to look at.

    Raises:
        AbsentError: The source has nothing of the period that is wanted.
        RatchetError: There is no champion yet, or it knows the period already.
    """
    book = ledger.Ledger(forge)
    held = book.listing().entries
    with TemporaryDirectory() as scratch:
        scene, sha = _scene(forge, root, Path(scratch)), _head(root)
        for batch in facts.arrived(scene, wanted):
            seen = (batch.inputs, _as_failed(batch.inputs, sha))
            if not any(ledger.check_path(batch.period, inputs) in held for inputs in seen):
                with files.directory(out) as folder:
                    return _examined(book, scene, batch, sha, folder)
    return None


def _scene(forge: Forge, root: Path, scratch: Path) -> Scene:
    from ratchet import bundle, params, release
    from ratchet.problem import Problem

    given = params.load(root / PARAMS)
    champion = release.fetch(forge, scratch / "champion", ["dataset.json"])
    if champion is None:
        raise RatchetError("there is no release yet, so nothing can have drifted from it\ndispatch release.yml")
    dataset = files.read_json(champion.folder.parent / "dataset.json")
    broken = {issue.number: words.period_of(issue.body) for issue in forge.open_issues(words.BROKEN)}
    return facts.Scene(root, given, Problem(given.problem), champion, bundle.digest(champion.folder), dataset, broken)


def _as_failed(inputs: str, sha: str) -> str:
    """Names a check whose training failed: what failed may lie in the code, so that another commit is another try."""
    return hashlib.sha256(f"{inputs} {sha}".encode()).hexdigest()


def fit(listing: Listing, last: str, period: str) -> tuple[list[str], list[str]]:
    """Periods after `last` that a retraining with `period` takes in, and those that their newest check found unfit.

    A person may have closed the issue about broken data: later periods pass then, and the broken one stays out.
    """
    unfit = [
        one
        for one in periods.through(last, period)[:-1]
        if (checks := listing.checks(one)) and checks[-1]["diagnosis"] in UNFIT
    ]
    return [one for one in periods.through(last, period) if one not in unfit], unfit


def _examined(book: Ledger, scene: Scene, batch: Batch, sha: str, folder: Path) -> Inquiry:
    """Check a period, prove a retraining where one may help, and write what came of it."""
    from ratchet import evidence, policy

    findings = facts.findings(scene, batch)
    blocked, proof = scene.blocked_by(batch.period), None
    added, unfit = fit(book.listing(), scene.last, batch.period)
    decision = policy.decide(findings, proof=None, blocked_by=blocked)
    if decision.action == "prove":
        try:
            proof = _proof(book, scene, added, folder)
            shown = policy.Proof(proof["verdict"], proof["sentence"])
        except evidence.FailedError as error:
            shown = policy.Proof("failed", plain(error, MOST_SAID))
        decision = policy.decide(findings, proof=shown, blocked_by=blocked)
    left_out = f" Left out, for their newest check found no data to train with: {', '.join(unfit)}." if unfit else ""
    found = Inquiry(
        period=batch.period,
        sha=sha,
        inputs=_as_failed(batch.inputs, sha) if decision.state == "failed" else batch.inputs,
        champion={"tag": scene.champion.tag, "digest": scene.digest},
        state=decision.state,
        diagnosis=findings.diagnosis.name,
        sentence=decision.sentence,
        diagnosed=plain(findings.diagnosis.sentence, MOST_SAID) + left_out,
        labelled=findings.performance != "unknown",
        findings=findings.records(),
        action=ACTIONS[decision.action],
        periods=[*scene.given.data.periods, *added],
        added=added,
        proof=proof,
    )
    files.write_json(folder / FILE, asdict(found))
    _write_pages(scene, batch, findings, decision, folder)
    return found


def _write_pages(scene: Scene, batch: Batch, findings: Findings, decision: Decision, folder: Path) -> None:
    from ratchet.drift import report
    from ratchet.report import markdown, page

    options = scene.options
    document = report.report(batch.period, findings, decision, options)
    files.write_text(folder / "report.md", markdown.render(document))
    files.write_text(folder / "report.html", page.render(document))
    if batch.rows is not None:
        files.write_text(folder / "evidently.html", _evidently(scene, batch.rows, options))


def _evidently(scene: Scene, rows: pd.DataFrame, options: DriftOptions) -> str:
    """Evidently's page, or one that says why there is none: it decides nothing, and no check fails for it."""
    from ratchet.drift import report
    from ratchet.report import Section, document, page
    from ratchet.report.document import Paragraph

    try:
        return report.evidently(scene.problem, [known for _, known in facts.known(scene)], [rows], options)
    except Exception as error:  # it has its own of each kind, for columns without a value or of one only
        return page.render(document("Evidently has made no page", [Section("", (Paragraph(plain(error, MOST_SAID)),))]))


# --- the proof -------------------------------------------------------------------------------------------------------


def _proof(book: Ledger, scene: Scene, added: list[str], folder: Path) -> Record:
    """Train a challenger on all that has come since, and judge it as a pull request would be; its record's fields.

    Raises:
        evidence.FailedError: A stage of the pipeline failed, so there is no challenger.
    """
    from ratchet import bundle, evidence, judge, lock, outputs, params

    params.edit(scene.root / PARAMS, {"data.periods": [*scene.given.data.periods, *added]})
    with TemporaryDirectory() as scratch:
        run = evidence.collect("HEAD", Path(scratch, "evidence"), root=scene.root)
    if run["outcome"] != "proposed":
        failure = run["failure"] or {"stage": None, "log": "nothing has changed"}
        stage, said = failure["stage"], failure["log"][-500:]
        if stage is None:  # what failed around the stages may work in the next run; a stage fails again
            raise RatchetError(f"{added[-1]}: no challenger can be trained: {said}")
        raise evidence.FailedError(f"The stage {stage} fails: {said}", stage)
    challenger, champion = outputs.find(scene.root), outputs.Outputs(scene.champion.folder, None)
    rows = outputs.holdout(challenger, None)
    holdout, model = judge.holdout_digest(rows.digests), bundle.digest(challenger.bundle)
    look = book.look(holdout, model, added[-1])
    found = outputs.compare(champion, challenger, rows, scene.given.gate, look)
    found.write(folder / "proof")
    for name in (PARAMS, LOCK):
        files.copy(scene.root / name, folder / name)
    primary = found.verdict["primary"]
    return {
        "model_digest": model,
        "lock_digest": lock.digest_of(scene.root),
        "holdout": holdout,
        "look": look,
        "improvement": {"value": primary["improvement"], "low": primary["low"], "high": primary["high"]},
        **{name: found.verdict[name] for name in ("verdict", "hold", "sentence")},
    }


def _head(root: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RatchetError(f"{root}: git rev-parse: {done.stderr.strip()}")
    return done.stdout.strip()

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

import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet import files, ledger
from ratchet.errors import RatchetError
from ratchet.retraining import facts, periods, words
from ratchet.retraining.words import LOCK, PARAMS

if TYPE_CHECKING:
    from ratchet.drift import Check, Findings
    from ratchet.forge import Forge
    from ratchet.policy import Decision
    from ratchet.retraining.facts import Batch, Scene

Record = dict[str, Any]

FILE = "inquiry.json"
ACTIONS = {"none": "none", "open pull request": "pull request", "open issue": "issue"}


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
        findings: One for each check.
        action: What is to follow: "none", "pull request" or "issue".
        periods: Those of params.yaml, and those that have come since.
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
    listing = ledger.Ledger(forge).listing()
    with TemporaryDirectory() as scratch:
        scene = _scene(forge, root, Path(scratch))
        for batch in facts.arrived(scene, wanted):
            if listing.read(ledger.check_path(batch.period, batch.inputs)) is None:
                with files.directory(out) as folder:
                    return _examined(forge, scene, batch, folder)
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


def _examined(forge: Forge, scene: Scene, batch: Batch, folder: Path) -> Inquiry:
    """Check a period, prove a retraining where one may help, and write what came of it."""
    from ratchet import policy

    findings = facts.findings(scene, batch)
    sha, blocked, proof = _head(scene.root), scene.blocked_by(batch.period), None
    decision = policy.decide(findings, proof=None, blocked_by=blocked)
    if decision.action == "prove":
        proof = _proof(forge, scene, batch.period, folder)
        shown = policy.Proof(proof["verdict"], proof["sentence"])
        decision = policy.decide(findings, proof=shown, blocked_by=blocked)
    added = periods.through(scene.last, batch.period)
    found = Inquiry(
        period=batch.period,
        sha=sha,
        inputs=batch.inputs,
        champion={"tag": scene.champion.tag, "digest": scene.digest},
        state=decision.state,
        diagnosis=findings.diagnosis.name,
        sentence=decision.sentence,
        diagnosed=findings.diagnosis.sentence,
        labelled=findings.performance != "unknown",
        findings=[_plain(check) for check in findings.checks],
        action=ACTIONS[decision.action],
        periods=[*scene.given.data.periods, *added],
        added=added,
        proof=proof,
    )
    files.write_json(folder / FILE, asdict(found))
    _write_pages(scene, batch, findings, decision, folder)
    return found


def _plain(check: Check) -> Record:
    kept = ("name", "kind", "value", "bound", "fires", "estimated", "sentence")
    return {name: getattr(check, name) for name in kept}


def _write_pages(scene: Scene, batch: Batch, findings: Findings, decision: Decision, folder: Path) -> None:
    from ratchet.drift import report
    from ratchet.report import markdown, page

    options = facts.options_of(scene.given)
    document = report.report(batch.period, findings, decision, options)
    files.write_text(folder / "report.md", markdown.render(document))
    files.write_text(folder / "report.html", page.render(document))
    if batch.rows is not None:
        shown = report.evidently(scene.problem, facts.known(scene), [batch.rows], options)
        files.write_text(folder / "evidently.html", shown)


# --- the proof -------------------------------------------------------------------------------------------------------


def _proof(forge: Forge, scene: Scene, period: str, folder: Path) -> Record:
    """Train a challenger on all that has come since, and judge it as a pull request would be; its record's fields."""
    from ratchet import bundle, evidence, judge, lock, outputs, params

    added = periods.through(scene.last, period)
    params.edit(scene.root / PARAMS, {"data.periods": [*scene.given.data.periods, *added]})
    with TemporaryDirectory() as scratch:
        run = evidence.collect("HEAD", Path(scratch, "evidence"), root=scene.root)
    if run["outcome"] != "proposed":
        failure = run["failure"] or {"stage": None, "log": "nothing has changed"}
        raise RatchetError(f"{period}: no challenger can be trained: {failure['stage'] or ''} {failure['log'][-500:]}")
    challenger, champion = outputs.find(scene.root), outputs.Outputs(scene.champion.folder, None)
    rows = outputs.holdout(challenger, None)
    holdout, model = judge.holdout_digest(rows.digests), bundle.digest(challenger.bundle)
    look = ledger.Ledger(forge).look(holdout, model)
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

"""What follows from a run of report.yml or ci.yml: the comment, the record, the lock on the branch, the statuses.

Runs where a token can write, and sees of the proposal only what GitHub says of it and the judge's bounded JSON. Every
step looks at what is there before it writes, and again afterwards: a second run of the same event ends in the same
state, and so do events in any order.

    report.yml  held, or at work: `model-gate` waits, and the comment says for what
                ended: the judgement is recorded and shown, dvc.lock is committed, `model-gate` is the verdict
    ci.yml      `ci-gate` is what the run that counts says (see `ratchet.runs`)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from ratchet import comment, files, ledger, report, runs, schemas
from ratchet.errors import RatchetError
from ratchet.place import LOCK, Place, find, is_lock_child, stand
from ratchet.report import page

if TYPE_CHECKING:
    from ratchet.forge import Forge, Pull, Run

Record = Mapping[str, Any]
State = Literal["pending", "success", "failure", "error"]

MODEL, CI = "model-gate", "ci-gate"
REPORT_PATH, CI_PATH = ".github/workflows/report.yml", ".github/workflows/ci.yml"
WORKFLOWS = {REPORT_PATH: MODEL, CI_PATH: CI}
TOLD = "told.json"
LARGEST_JUDGEMENT = 3_000_000
ACCEPTABLE = ("safe", "judge changed")  # holds that a maintainer may let pass
JUDGE_CHANGED = "Hold, judge changed: it touches what judges it, so a maintainer has to accept it"
APPROVE = "A maintainer has to approve the run"
MESSAGE = "dvc.lock: what the pull request was judged with"


@dataclass(frozen=True)
class Status:
    """A commit status to be set."""

    sha: str
    context: str
    state: State
    description: str
    url: str


@dataclass(frozen=True)
class Settled:
    """What remains to be said, by the steps that follow.

    Attributes:
        pull_request: Where.
        comment: What; None when there is nothing to say.
        statuses: Those that were set.
        told: What the comment was rendered from, when models were compared or might have been.
        page: The report of the verdict at the look that was recorded, as HTML.
    """

    pull_request: int | None = None
    comment: str | None = None
    statuses: tuple[Status, ...] = ()
    told: Record | None = None
    page: str | None = None

    def write(self, folder: Path) -> None:
        """Write comment.md, told.json and report.html, as far as there is something to say."""
        for name, text in (("comment.md", self.comment), ("report.html", self.page)):
            if text is not None:
                files.write_text(folder / name, text)
        if self.told is not None:
            files.write_json(folder / TOLD, self.told)


def link(folder: Path, report: str | None, card: str | None) -> bool:
    """Let the comment that was written into a folder lead to pages that were uploaded since; False without one.

    Args:
        folder: As `Settled.write` leaves it.
        report: Address of the report; None when it was not uploaded.
        card: Address of the model card.
    """
    if not (folder / TOLD).exists():
        return False
    told = files.read_json(folder / TOLD)
    links = replace(comment.Links(**told.pop("links")), report=report, card=card)
    files.write_text(folder / "comment.md", comment.render(links=links, **told))
    return True


def run_of(event: Record) -> Run:
    """The run that an event is about.

    Raises:
        RatchetError: It is of another event.
    """
    from ratchet.forge import Run

    if "workflow_run" not in event:
        raise RatchetError("the event is no workflow_run: settle runs in verdict.yml")
    return Run.of(event["workflow_run"])


def settle(forge: Forge, event: Record, judgement: Record | None, links: comment.Links) -> Settled:
    """Record what happened, set the statuses, and say what the comment must be.

    Args:
        forge: With a token that writes.
        event: The payload of `workflow_run`.
        judgement: What the judge found; None when there is nothing to judge, or the judge failed.
        links: Where things stand.

    Raises:
        RatchetError: The judgement is about another run, or GitHub refuses.
    """
    run = run_of(event)
    context = WORKFLOWS.get(run.path)
    if context is None:  # another workflow of the same name: it has no say
        return Settled()
    place = find(forge, run)
    if place is None:
        return Settled(statuses=_superseded(forge, run, context))
    if context == CI:
        return Settled(statuses=_ci(forge, place))
    if not _agree(run, place.run):  # the events of the run that counts, or of its later state, say the rest
        back = _set_back(forge, place, run) if run.conclusion else ()
        return _stands(forge, place, back[0], links) if back else Settled()
    return _report(forge, place, judgement, links)


def read(path: Path) -> Record:
    """A judgement from its file.

    Raises:
        RatchetError: It is larger than a judgement may be, or no JSON.
    """
    if path.stat().st_size > LARGEST_JUDGEMENT:
        raise RatchetError(f"{path}: is larger than the {LARGEST_JUDGEMENT / 1e6:g} MB that a judgement may have")
    found: Record = files.read_json(path)
    return found


def check(judgement: Record, run: Run, pull: Pull) -> Record:
    """The judgement itself, when it has its shape and is about this run of this pull request.

    Raises:
        RatchetError: It has not, or is not.
    """
    schemas.validated("judgement", judgement)
    for verdict in judgement["verdicts"]:
        schemas.validated("verdict", verdict)
    head, judged = judgement["head"], judgement["run"]
    about = (judgement["pull_request"], head["sha"], head["is_fork"], judged["id"], judged["attempt"])
    if about != (pull.number, run.head_sha, pull.is_fork, run.id, run.attempt):
        raise RatchetError(f"the judgement is about {about}, not about this run of pull request {pull.number}")
    return judgement


def model_gate(
    judgement: Record, verdict: Record | None, acceptance: Record | None, *, has_lock: bool
) -> tuple[State, str]:
    """State and description of `model-gate`.

    Args:
        judgement: What the judge found.
        verdict: The verdict at the look that was recorded; None unless models were compared.
        acceptance: By which a maintainer let this very proposal pass.
        has_lock: The head's dvc.lock is the judged one.
    """
    obstacle = _obstacle(judgement, verdict, acceptance, has_lock=has_lock)
    if obstacle is not None:
        return "failure", obstacle
    if acceptance is not None and not (verdict and verdict["verdict"] == "promote"):
        return "success", f"Accepted by {acceptance['who']}: {acceptance['reason']}"
    return "success", str(verdict["sentence"]) if verdict else "The model stays the same"


def _obstacle(judgement: Record, verdict: Record | None, acceptance: Record | None, *, has_lock: bool) -> str | None:
    """Why the proposal may not be merged as it stands."""
    if judgement["outcome"] in {"failed", "rejected"}:
        return str(judgement["reason"])
    if judgement["head"]["is_fork"] and (verdict is not None or not has_lock):
        return "A fork's scores are its own: a maintainer adopts the proposal, and it is judged here"
    if not has_lock and may_pass(verdict):
        return "The judged dvc.lock is not in this commit"
    if verdict is None:
        return JUDGE_CHANGED if judgement["judge_changed"] and acceptance is None else None
    is_accepted = acceptance is not None and verdict["hold"] in ACCEPTABLE
    return None if verdict["verdict"] == "promote" or is_accepted else str(verdict["sentence"])


def may_pass(verdict: Record | None) -> bool:
    """Whether a verdict, or that there was nothing to compare, lets a proposal be merged, if need be accepted."""
    return verdict is None or verdict["verdict"] == "promote" or verdict["hold"] in ACCEPTABLE


def may_commit(judgement: Record, verdict: Record | None) -> bool:
    """Whether the judged lock goes to the branch: it is ours, and with it the proposal may be merged or accepted."""
    if judgement["lock"] is None or judgement["head"]["is_fork"] or judgement["outcome"] in {"failed", "rejected"}:
        return False
    return may_pass(verdict)


def accepted(sha: str, acceptance: Record, url: str) -> Status:
    """The status of a commit that a maintainer let pass."""
    return Status(sha, MODEL, "success", f"Accepted by {acceptance['who']}: {acceptance['reason']}", url)


def verdict_of(forge: Forge, listing: ledger.Listing, pull: Pull) -> Record | None:
    """The newest verdict about the head of a pull request as it stands, with the judged lock in its tree."""
    found = listing.verdicts(pull.number)
    if not found:
        return None
    newest = found[-1]
    if newest["lock_blob"] is None:  # the commit came with the judged lock
        return newest if newest["head_sha"] == pull.head_sha else None
    is_child = is_lock_child(forge.commit(pull.head_sha), newest["head_sha"])
    return newest if is_child and _lock_at(forge, pull.head_sha) == newest["lock_blob"] else None


def conclude(forge: Forge, *statuses: Status) -> tuple[Status, ...]:
    """Set statuses, in their order."""
    for status in statuses:
        forge.set_status(status.sha, status.context, status.state, status.description, status.url)
    return statuses


def conclude_failed(forge: Forge, event: Record, url: str) -> None:
    """Say on the commit that verdict.yml itself failed, so that nothing waits for ever."""
    run = run_of(event)
    context = WORKFLOWS.get(run.path)
    place = find(forge, run) if context else None
    if context and place and run.conclusion and _agree(run, place.run):
        reason = "The verdict could not be written: run it again (its log says why)"
        conclude(forge, *(Status(sha, context, "error", reason, url) for sha in place.commits))


def _agree(one: Run, other: Run) -> bool:
    """Whether two views of runs are of the same one in the same state."""
    views = [(run.id, run.attempt, run.status, run.conclusion) for run in (one, other)]
    return views[0] == views[1]


def _ci(forge: Forge, place: Place | None) -> tuple[Status, ...]:
    """Set `ci-gate`: a commit that changes only dvc.lock is as good as its parent for tests and linters.

    Several events may be handled at the same time. Each looks at the runs again after it has written: so the last one
    to write has seen what the others saw.
    """
    done: tuple[Status, ...] = ()
    said = None
    while place is not None and not (said and _agree(said, place.run)):
        said = place.run
        state, description = _ci_gate(place)
        done = conclude(forge, *(Status(sha, CI, state, description, said.url) for sha in place.commits))
        place = stand(place.seen.later(), place.pull, said.path, said)
    return done


def _ci_gate(place: Place) -> tuple[State, str]:
    conclusion = place.run.conclusion
    if conclusion is None:
        return "pending", "Tests and linters are running"
    if runs.is_held(place.run):
        return "pending", APPROVE
    if not place.has_say or conclusion not in {"success", "failure"}:
        return "error", f"ci.yml {_ended(place)}: run it again"
    return ("success", "Tests and linters pass") if conclusion == "success" else ("failure", "Tests or linters fail")


def _ended(place: Place) -> str:
    conclusion = place.run.conclusion
    ended = "was cancelled" if conclusion == "cancelled" else f"ended as {conclusion}"
    return ended if place.has_say else f"{ended} before a job began"


def _superseded(forge: Forge, run: Run, context: str) -> tuple[Status, ...]:
    """A commit of ours that is no pull request's head any more waits for nothing."""
    if run.conclusion is None or run.head_repository != forge.repository:
        return ()
    waiting = forge.statuses(run.head_sha).get(context)
    if waiting is None or waiting.state != "pending":
        return ()
    reason = "Not judged: this commit is no longer the head of its branch"
    return conclude(forge, Status(run.head_sha, context, "error", reason, run.url))


def _facts(forge: Forge, place: Place, links: comment.Links) -> comment.Facts:
    listing, number = ledger.Ledger(forge).listing(), place.pull.number
    history = [*listing.verdicts(number), *listing.claims(number)]
    return comment.Facts(replace(links, run=place.run.url), number, place.run.head_sha, history)


def _stands(forge: Forge, place: Place, back: Status, links: comment.Links) -> Settled:
    """The comment spoke of the run that came to nothing."""
    body = comment.stands(_facts(forge, place, links), back.description, passes=back.state == "success")
    return Settled(place.pull.number, body, (back,))


def _report(forge: Forge, place: Place, judgement: Record | None, links: comment.Links) -> Settled:
    run, pull, facts = place.run, place.pull, _facts(forge, place, links)
    if run.conclusion is None:
        return _waits(forge, place, "report.yml trains and scores", comment.pending(facts))
    if runs.is_held(run):
        return _waits(forge, place, APPROVE, comment.held(facts))
    if judgement is None:
        return _unjudged(forge, place, facts)
    return _judged(forge, place, check(judgement, run, pull), facts)


def _waits(forge: Forge, place: Place, description: str, body: str) -> Settled:
    """The old verdict must not stand while a new one is on its way; but a new one that came meanwhile must."""
    run, head = place.run, place.pull.head_sha
    waits = conclude(forge, Status(head, MODEL, "pending", description, run.url))
    now = stand(place.seen.later(), place.pull, run.path, run)  # again, as in `_ci`
    if now is None or _agree(run, now.run):
        return Settled(place.pull.number, body, waits)
    return Settled(statuses=_set_back(forge, now, run))


def _set_back(forge: Forge, place: Place, told: Run) -> tuple[Status, ...]:
    """Nothing waits for a run that counts no more: what the one that counts has led to stands again, if it has ended.

    Its end may have been told while the other one counted, and nobody has judged it: then it has to run again.
    """
    run, head = place.run, place.pull.head_sha
    history = [status for status in forge.status_history(head) if status.context == MODEL]
    if (history and history[0].state != "pending") or run.conclusion is None or runs.is_held(run):
        return ()
    said = next((status for status in history if status.state != "pending" and status.url == run.url), None)
    if said:
        return conclude(forge, Status(head, MODEL, cast("State", said.state), said.description, run.url))
    if run.id == told.id:  # its end is still to be told
        return ()
    return conclude(forge, Status(head, MODEL, "error", "report.yml was not judged: run it again", run.url))


def _unjudged(forge: Forge, place: Place, facts: comment.Facts) -> Settled:
    """The run ended, and the judge did not speak."""
    reason = f"report.yml {_ended(place)}, and could not be judged. Run it again; its log says more."
    status = Status(place.pull.head_sha, MODEL, "error", reason, place.run.url)
    return Settled(place.pull.number, comment.error(facts, reason), conclude(forge, status))


def _judged(forge: Forge, place: Place, judgement: Record, facts: comment.Facts) -> Settled:
    from ratchet.forge import Moved

    pull, run = place.pull, place.run
    record = _recorded(forge, judgement)
    verdict = ledger.verdict_at(judgement, record["look"]) if record else None
    acceptance = ledger.Ledger(forge).listing().acceptance(pull.number, judgement, pull.head_sha)
    lock_commit = None
    if place.is_lock_child:
        lock_commit = pull.head_sha
    elif may_commit(judgement, verdict):
        try:
            lock = {LOCK: judgement["lock"].encode()}
            lock_commit = forge.commit_files(pull.head_branch, run.head_sha, lock, MESSAGE)
        except Moved:
            return Settled(statuses=_superseded(forge, run, MODEL))
    head = lock_commit or run.head_sha
    has_lock = _lock_at(forge, head) == _judged_lock(forge, judgement)
    state, description = model_gate(judgement, verdict, acceptance, has_lock=has_lock)
    statuses = [Status(head, MODEL, state, description, run.url)]
    if lock_commit:
        elsewhere = f"Judged; the lock that belongs to it came with {lock_commit[:8]}"
        statuses = [Status(run.head_sha, MODEL, "failure", elsewhere, run.url), *statuses]
        _ci(forge, _tested(place, lock_commit))
    done = conclude(forge, *statuses)
    look = record["look"] if record else 1
    history = [*facts.history, *([record] if record and record not in facts.history else [])]
    told: dict[str, Any] = {"judgement": judgement, "look": look, "history": history, "acceptance": acceptance}
    told["lock_commit"] = lock_commit
    shown = page.render(report.report(comment.inputs_of(judgement, look))) if record else None
    body = comment.render(**told, links=facts.links)
    return Settled(pull.number, body, done, {**told, "links": asdict(facts.links)}, shown)


def _tested(place: Place, head: str) -> Place | None:
    """Where a pull request stands with ci.yml, now that its head is the commit with the judged lock."""
    pull = replace(place.pull, head_sha=head)
    place.seen.runs.setdefault(head, ())  # of a commit just made no run has begun; `_ci` looks again
    # What was listed before the commit was made will do, but for a run that came since.
    return stand(place.seen, pull, CI_PATH) or stand(place.seen.later(), pull, CI_PATH)


def _lock_at(forge: Forge, sha: str) -> str | None:
    entry = forge.tree(sha).get(LOCK)
    return entry.sha if entry else None


def _judged_lock(forge: Forge, judgement: Record) -> str | None:
    """What git calls the judged lock: the text that is to be committed, or what the judged commit itself has."""
    text = judgement["lock"]
    return _lock_at(forge, judgement["head"]["sha"]) if text is None else ledger.blob_name(text)


def _recorded(forge: Forge, judgement: Record) -> Record | None:
    """The verdict as it stands in the ledger, at the look that it was when it came there; None without a verdict."""
    if judgement["outcome"] != "judged":
        return None

    def build(listing: ledger.Listing) -> ledger.Record:
        look = listing.look(judgement["holdout"], judgement["model_digest"])
        return ledger.verdict(judgement, look, ledger.now())

    return ledger.Ledger(forge).append_with(build)

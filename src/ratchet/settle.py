"""What follows from a run of report.yml or ci.yml: the comment, the record, the lock on the branch, the statuses.

Runs where a token can write, and sees of the proposal only what GitHub says of it and the judge's bounded JSON. Every
step looks at what is there before it writes, so that a second run of the same event ends in the same state.

    requested   both gates wait; the comment is created
    completed   ci.yml: `ci-gate` is its conclusion
                report.yml: the judgement is recorded and shown, dvc.lock is committed, `model-gate` is the verdict
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ratchet import comment, files, ledger, schemas
from ratchet.errors import RatchetError
from ratchet.place import LOCK, Place, find, is_lock_child

if TYPE_CHECKING:
    from ratchet.forge import Forge, Pull

Record = Mapping[str, Any]
State = Literal["pending", "success", "failure", "error"]

MODEL, CI = "model-gate", "ci-gate"
WORKFLOWS = {".github/workflows/report.yml": MODEL, ".github/workflows/ci.yml": CI}
LARGEST_JUDGEMENT = 3_000_000
ACCEPTABLE = ("safe", "judge changed")  # holds that a maintainer may let pass
JUDGE_CHANGED = "Hold, judge changed: it touches what judges it, so a maintainer has to accept it"
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
class Happened:
    """A run that has begun or ended, from the payload of `workflow_run`."""

    action: str
    id: int
    attempt: int
    path: str
    conclusion: str | None
    repository: str
    branch: str
    sha: str
    url: str

    @classmethod
    def of(cls, event: Record) -> Happened:
        """Read a payload.

        Raises:
            RatchetError: It is of another event.
        """
        if "workflow_run" not in event:
            raise RatchetError("the event is no workflow_run: settle runs in verdict.yml")
        run = event["workflow_run"]
        return cls(
            action=str(event["action"]),
            id=int(run["id"]),
            attempt=int(run["run_attempt"]),
            path=str(run["path"]).partition("@")[0],
            conclusion=run["conclusion"],
            repository=str((run["head_repository"] or {}).get("full_name", "")),
            branch=str(run["head_branch"]),
            sha=str(run["head_sha"]),
            url=str(run["html_url"]),
        )


@dataclass(frozen=True)
class Settled:
    """What remains to be done by the steps that follow: the comment's text, and the statuses, which come last."""

    pull_request: int | None = None
    comment: str | None = None
    statuses: tuple[Status, ...] = ()
    inherits: tuple[str, str] | None = None  # a commit and the one on top of it that takes over its `ci-gate`

    def write(self, folder: Path) -> None:
        """Write statuses.json, and comment.md when there is something to say."""
        statuses = [asdict(status) for status in self.statuses]
        files.write_json(folder / "statuses.json", {"statuses": statuses, "inherits": self.inherits})
        if self.comment is not None:
            files.write_text(folder / "comment.md", self.comment)


def settle(forge: Forge, event: Record, judgement: Record | None, links: comment.Links) -> Settled:
    """Record what happened and say what the comment and the statuses must be.

    Args:
        forge: With a token that writes.
        event: The payload of `workflow_run`.
        judgement: What the judge found; None when there is nothing to judge, or the judge failed.
        links: Where things stand.

    Raises:
        RatchetError: The judgement is about another run, or GitHub refuses.
    """
    run = Happened.of(event)
    context = WORKFLOWS.get(run.path)
    if context is None:  # another workflow of the same name: it has no say
        return Settled()
    place = find(forge, run.repository, run.branch, run.sha, Path(run.path).name)
    if context == CI:
        # At once: no comment comes between, and set at the end it could undo what came meanwhile.
        conclude(forge, {"statuses": [asdict(status) for status in _ci(forge, run, place)], "inherits": None})
        return Settled()
    if place is None:
        return Settled(None, None, _superseded(forge, run, MODEL))
    return _report(forge, run, place, judgement, links)


def read(path: Path) -> Record:
    """A judgement from its file.

    Raises:
        RatchetError: It is larger than a judgement may be, or no JSON.
    """
    if path.stat().st_size > LARGEST_JUDGEMENT:
        raise RatchetError(f"{path}: is larger than the {LARGEST_JUDGEMENT / 1e6:g} MB that a judgement may have")
    found: Record = files.read_json(path)
    return found


def check(judgement: Record, run: Happened, pull: Pull) -> Record:
    """The judgement itself, when it has its shape and is about this run of this pull request.

    Raises:
        RatchetError: It has not, or is not.
    """
    schemas.validated("judgement", judgement)
    for verdict in judgement["verdicts"]:
        schemas.validated("verdict", verdict)
    head, judged = judgement["head"], judgement["run"]
    about = (judgement["pull_request"], head["sha"], head["is_fork"], judged["id"], judged["attempt"])
    if about != (pull.number, run.sha, pull.is_fork, run.id, run.attempt):
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


def accepted(sha: str, acceptance: Record, url: str) -> Record:
    """The status of a commit that a maintainer let pass."""
    return asdict(Status(sha, MODEL, "success", f"Accepted by {acceptance['who']}: {acceptance['reason']}", url))


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


def conclude(forge: Forge, concluded: Record) -> None:
    """Set statuses, in their order; what is inherited is read now, for it may have changed meanwhile."""
    for status in concluded["statuses"]:
        forge.set_status(status["sha"], status["context"], status["state"], status["description"], status["url"])
    if concluded["inherits"]:
        parent, child = concluded["inherits"]
        known, before = forge.statuses(parent).get(CI), None
        while known is not None and known != before:  # once more when it changed while it was copied
            forge.set_status(child, CI, known.state, known.description, known.url)
            known, before = forge.statuses(parent).get(CI), known


def conclude_failed(forge: Forge, event: Record, url: str) -> None:
    """Say on the commit that verdict.yml itself failed, so that nothing waits for ever."""
    run = Happened.of(event)
    place = find(forge, run.repository, run.branch, run.sha, Path(run.path).name)
    if run.path in WORKFLOWS and place is not None:
        reason = "The verdict could not be written: run it again (its log says why)"
        for sha in _commits(run, place):
            forge.set_status(sha, WORKFLOWS[run.path], "error", reason, url)


def _commits(run: Happened, place: Place) -> list[str]:
    """The commit of a run, and the one that only brought dvc.lock on top of it."""
    return [run.sha, place.pull.head_sha] if place.is_lock_child else [run.sha]


def _ci(forge: Forge, run: Happened, place: Place | None) -> tuple[Status, ...]:
    """`ci-gate`: a commit that changes only dvc.lock is as good as its parent for tests and linters."""
    if place is None:
        return _superseded(forge, run, CI)
    if run.action != "completed" and _is_over(forge, run):
        return ()
    state, description = _ci_gate(run)
    return tuple(Status(sha, CI, state, description, run.url) for sha in _commits(run, place))


def _ci_gate(run: Happened) -> tuple[State, str]:
    if run.action != "completed":
        return "pending", "Tests and linters are running"
    known: dict[str | None, tuple[State, str]] = {
        "success": ("success", "Tests and linters pass"),
        "failure": ("failure", "Tests or linters fail"),
        "action_required": ("pending", "A maintainer has to approve the run"),
    }
    return known.get(run.conclusion, ("error", f"ci.yml ended as {run.conclusion}: run it again"))


def _is_over(forge: Forge, run: Happened) -> bool:
    """Events may arrive in any order: whether the run that is said to begin has already ended."""
    now = forge.run(run.id)
    return now.attempt > run.attempt or now.conclusion is not None


def _superseded(forge: Forge, run: Happened, context: str) -> tuple[Status, ...]:
    """A commit of ours that is no pull request's head any more waits for nothing."""
    if run.action != "completed" or run.repository != forge.repository:
        return ()
    waiting = forge.statuses(run.sha).get(context)
    if waiting is None or waiting.state != "pending":
        return ()
    return (Status(run.sha, context, "error", "Not judged: this commit is no longer the head of its branch", run.url),)


def _report(forge: Forge, run: Happened, place: Place, judgement: Record | None, links: comment.Links) -> Settled:
    listing = ledger.Ledger(forge).listing()
    history = [*listing.verdicts(place.pull.number), *listing.claims(place.pull.number)]
    facts = comment.Facts(replace(links, run=run.url), place.pull.number, run.sha, history)
    if run.action != "completed":
        return _begun(forge, run, place, facts)
    if run.conclusion == "action_required":
        waits = Status(place.pull.head_sha, MODEL, "pending", "A maintainer has to approve the run", run.url)
        return Settled(place.pull.number, comment.pending(facts), (waits,))
    if judgement is None:
        return _unjudged(forge, run, place, facts)
    return _judged(forge, run, place, check(judgement, run, place.pull), facts)


def _begun(forge: Forge, run: Happened, place: Place, facts: comment.Facts) -> Settled:
    if _is_over(forge, run):
        return Settled()
    waits = Status(place.pull.head_sha, MODEL, "pending", "report.yml trains and scores", run.url)
    # At once: the comment takes a moment, and the old verdict must not stand.
    conclude(forge, {"statuses": [asdict(waits)], "inherits": None})
    return Settled(place.pull.number, comment.pending(facts))  # set again at the end, it could undo a verdict


def _unjudged(forge: Forge, run: Happened, place: Place, facts: comment.Facts) -> Settled:
    """The run ended, and the judge did not speak."""
    of_commit = forge.runs(Path(run.path).name, run.branch, run.sha)
    ours = [other for other in of_commit if other.head_repository == run.repository]
    if any((other.id, other.attempt) > (run.id, run.attempt) for other in ours):
        return Settled()  # the events of the newer run say the rest
    ended = "was cancelled" if run.conclusion == "cancelled" else f"ended as {run.conclusion}"
    reason = f"report.yml {ended}, and could not be judged. Run it again; its log says more."
    status = Status(place.pull.head_sha, MODEL, "error", reason, run.url)
    return Settled(place.pull.number, comment.error(facts, reason), (status,))


def _judged(forge: Forge, run: Happened, place: Place, judgement: Record, facts: comment.Facts) -> Settled:
    from ratchet.forge import Moved

    pull = place.pull
    record = _recorded(forge, judgement)
    verdict = ledger.verdict_at(judgement, record["look"]) if record else None
    acceptance = ledger.Ledger(forge).listing().acceptance(pull.number, judgement, pull.head_sha)
    lock_commit = None
    if place.is_lock_child:
        lock_commit = pull.head_sha
    elif may_commit(judgement, verdict):
        try:
            lock_commit = forge.commit_files(run.branch, run.sha, {LOCK: judgement["lock"].encode()}, MESSAGE)
        except Moved:
            return Settled(None, None, _superseded(forge, run, MODEL))
    head = lock_commit or run.sha
    has_lock = _lock_at(forge, head) == _judged_lock(forge, judgement)
    state, description = model_gate(judgement, verdict, acceptance, has_lock=has_lock)
    statuses = [Status(head, MODEL, state, description, run.url)]
    if lock_commit:
        elsewhere = f"Judged; the lock that belongs to it came with {lock_commit[:8]}"
        statuses = [Status(run.sha, MODEL, "failure", elsewhere, run.url), *statuses]
    look = record["look"] if record else 1
    history = [*facts.history, *([record] if record and record not in facts.history else [])]
    body = comment.render(judgement, look, history, acceptance, facts.links, lock_commit)
    return Settled(pull.number, body, tuple(statuses), (run.sha, lock_commit) if lock_commit else None)


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

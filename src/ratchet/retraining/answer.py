"""What follows from a check: the records, and the pull request or the issue. Every step looks at what is there first.

    1  records, proofs/        the retraining that was tried, as a look at its holdout
    2  branch retrain/PERIOD   params.yaml and dvc.lock on top of the main that was checked
    3  the pull request        labels, reviewers; those of earlier periods are closed with a link to it
    4  report.yml, ci.yml      dispatched, for what a workflow's push starts waits for a person
    5  records, checks/        the check: from here on there is nothing left to do

A run that ends anywhere between is finished when it is run again.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import ledger, maintain, workflows
from ratchet.errors import RatchetError
from ratchet.retraining import words
from ratchet.retraining.inquiry import Inquiry
from ratchet.retraining.words import LOCK, PARAMS

if TYPE_CHECKING:
    from ratchet.forge import Forge, Pull
    from ratchet.maintain import Deed

Record = dict[str, Any]

OWNERS = ".github/CODEOWNERS"
CLOSED = "<!-- ratchet: closed -->"
"""Comment on a proposal that was closed here, and not by a person."""


def answer(forge: Forge, folder: Path, deed: Deed) -> list[str]:
    """Do what a check has decided.

    Args:
        forge: With a token that writes.
        folder: What `inquiry.check` has written.
        deed: In whose name and in which run; its reason is not used.

    Returns:
        What was done, one sentence each.

    Raises:
        RatchetError: Other models were judged on the same holdout meanwhile, or GitHub refuses.
    """
    found, book = Inquiry.read(folder), ledger.Ledger(forge)
    over = _over(forge, book.listing(), found)
    if over:
        return [f"{found.period}: nothing is left to do: {over}"]
    proof = book.append_with(lambda listing: _proof(found, listing, deed.run)) if found.proof else None
    said = _heal(forge, found)
    answered = _answered("none", None)
    if found.action == "pull request":
        told, answered = _propose(forge, found, folder, deed)
        said += told
    else:
        said += _withdraw(forge, found, deed)
    if found.action == "issue":
        mark, labels = words.mark(words.kind_of(found), found.period), [words.LABELS[found.state]]
        issue = forge.issue(words.title(found), words.issue(found, _run(forge, deed)), labels, mark)
        said.append(f"issue {issue.number}: {issue.title}")
        answered = _answered("issue", issue.number)
    book.append_with(lambda listing: _held(listing, found) or _check(found, deed.run, proof, answered))
    return [*said, f"{found.period}: {found.state}: {found.sentence}"]


def _over(forge: Forge, listing: ledger.Listing, found: Inquiry) -> str | None:
    """Why there is nothing left to answer: an old run may be run again when all has long been done or has changed."""
    if _held(listing, found) is not None:
        return "it was answered"
    main = forge.tree(str(forge.branch(forge.default_branch)))
    then = forge.tree(found.sha)
    changed = [path for path in (PARAMS, LOCK) if main.get(path) != then.get(path)]
    if found.action == "pull request":
        changed += workflows.refused(forge, found.sha)  # no branch can be made of that commit any more
    return f"{forge.default_branch} has another {' and '.join(changed)} since it was checked" if changed else None


# --- the records -----------------------------------------------------------------------------------------------------


def _proof(found: Inquiry, listing: ledger.Listing, run: int) -> Record:
    proof = found.proof or {}
    look = listing.look(proof["holdout"], proof["model_digest"], found.period)
    if look != proof["look"]:
        raise RatchetError(
            f"{found.period}: is look {look} by now, and was judged as look {proof['look']}: other models were judged "
            "on these rows meanwhile\nrun the workflow again"
        )
    return ledger.record("proof", ledger.now(), period=found.period, run=run, champion=dict(found.champion), **proof)


def _held(listing: ledger.Listing, found: Inquiry) -> Record | None:
    """The record of the same check, by whichever run."""
    return listing.read(ledger.check_path(found.period, found.inputs))


def _check(found: Inquiry, run: int, proof: Record | None, answered: Record) -> Record:
    return ledger.record(
        "check",
        ledger.now(),
        run=run,
        period=found.period,
        inputs=found.inputs,
        champion=dict(found.champion),
        state=found.state,
        diagnosis=found.diagnosis,
        sentence=found.sentence,
        labelled=found.labelled,
        findings=found.findings,
        proof=ledger.path_of(proof) if proof else None,
        answer=answered,
    )


# --- the pull request ------------------------------------------------------------------------------------------------


def _proposals(forge: Forge) -> dict[str, Pull]:
    """The open retraining pull requests that are ours, by their periods. A branch that a person names so is theirs."""
    return {
        pull.head_branch.removeprefix(words.PROPOSES): pull
        for pull in forge.open_pulls(forge.default_branch)
        if pull.head_branch.startswith(words.PROPOSES) and not pull.is_fork and forge.is_ours(pull.author)
    }


def _propose(forge: Forge, found: Inquiry, folder: Path, deed: Deed) -> tuple[list[str], Record]:
    """Open the pull request of a period, unless a newer one's is open or somebody has refused it."""
    name, standing = words.branch(found.period), _proposals(forge)
    newest = max(standing, default="")
    if newest > found.period:
        number = standing[newest].number
        return [f"pull request {number} is open for {newest}: nothing older is proposed"], _answered("none", number)
    refused = None if found.period in standing else _refused(forge, name)
    if refused:
        told = f"pull request {refused.number} proposed this and was closed without a merge: that stands"
        return [told], _answered("refused", refused.number)
    sha = _committed(forge, found, folder, name)
    title, body = words.title(found), words.proposal(found, _run(forge, deed))
    pull = forge.edit_pull(forge.create_pull(title, name, forge.default_branch, body), title, body)
    forge.label(pull.number, [words.LABELS[found.state]])
    said = [f"pull request {pull.number}: {pull.title}", *_reviewers(forge, pull)]
    why = words.superseded(found, pull.number)
    said += [_close(forge, older, why) for period, older in standing.items() if period < found.period]
    maintain.have_judged(forge, name, forge.statuses(sha))
    return said, _answered("pull request", pull.number)


def _answered(action: str, number: int | None) -> Record:
    return {"action": action, "number": number}


def _refused(forge: Forge, name: str) -> Pull | None:
    """The pull request of a branch that a person has closed: of one that was closed here, a comment says so."""
    closed = forge.closed_pull(name)
    return closed if closed and forge.marked_comment(closed.number, CLOSED) is None else None


def _committed(forge: Forge, found: Inquiry, folder: Path, name: str) -> str:
    """The commit of the branch that has the two files; made where it has not."""
    at = forge.branch(name)
    if at is None:
        forge.create_branch(name, found.sha)
        at = found.sha
    wanted = {path: (folder / path).read_bytes() for path in (PARAMS, LOCK)}
    if all(forge.file(at, path) == content for path, content in wanted.items()):
        return at
    return forge.commit_files(name, at, dict(wanted), words.title(found))


def _withdraw(forge: Forge, found: Inquiry, deed: Deed) -> list[str]:
    """Close the period's own proposal when its newest check speaks against it: judged, broken, or not to be trained.

    Where nothing was judged, for labels are missing or other data are broken, what was proven stands.
    """
    pull = _proposals(forge).get(found.period) if found.proof or found.action == "issue" else None
    return [_close(forge, pull, words.withdrawn(found, _run(forge, deed)))] if pull else []


def _close(forge: Forge, pull: Pull, why: str) -> str:
    """Close a proposal of ours with a reason. Its branch goes, too: what comes after it begins at main again."""
    forge.upsert_comment(pull.number, CLOSED, f"{CLOSED}\n{why}\n")
    forge.delete_branch(pull.head_branch)
    return f"pull request {pull.number} is closed: {pull.title}"


def _reviewers(forge: Forge, pull: Pull) -> list[str]:
    """Ask the owners of what it changes for a review. Teams by themselves: a job's token may not know them."""
    people, teams = owners((forge.file(forge.default_branch, OWNERS) or b"").decode(errors="replace"))
    return [*_asked(forge, pull, people, []), *_asked(forge, pull, [], teams)]


def _asked(forge: Forge, pull: Pull, people: list[str], teams: list[str]) -> list[str]:
    """Ask for a review; that GitHub does not let them review is no reason to stop."""
    from ratchet.forge import ApiError

    names = ", ".join([*people, *teams])
    if not names:
        return []
    try:
        forge.request_reviews(pull.number, people, teams)
    except ApiError as error:
        if error.status not in {403, 404, 422}:
            raise
        return [f"not asked for a review: {names}: {str(error).splitlines()[0]}"]
    return [f"asked for a review: {names}"]


def owners(text: str) -> tuple[list[str], list[str]]:
    """People and teams (without their organisation) that own params.yaml or dvc.lock; a placeholder is nobody.

    Args:
        text: Of CODEOWNERS, of whose lines the last one that fits a path counts.
    """
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    fits = [[line[1:] for line in lines if line and _covers(line[0], path)] for path in (PARAMS, LOCK)]
    names = sorted({name for found in fits for name in (found[-1] if found else []) if _OWNER.fullmatch(name)})
    known = [name.removeprefix("@") for name in names if name != "@OWNER"]
    return [name for name in known if "/" not in name], [name.partition("/")[2] for name in known if "/" in name]


_OWNER = re.compile(r"@[\w-]+(/[\w.-]+)?")


def _covers(pattern: str, name: str) -> bool:
    """Whether a pattern of CODEOWNERS fits a file at the root, in which a slash is only ever the first one."""
    return fnmatchcase(name, pattern.removeprefix("/").removeprefix("**/"))


# --- the issues ------------------------------------------------------------------------------------------------------


def _heal(forge: Forge, found: Inquiry) -> list[str]:
    """Close what checks have said of this period, or of an earlier one, and what is so no more."""
    closed = [
        (issue.number, why)
        for kind, why in _healed(found)
        for issue in forge.open_issues(kind)
        if _is_about(words.period_of(issue.body), kind, found.period)
    ]
    for number, _ in closed:
        forge.close_issue(number)
    return [f"issue {number} is closed: {why}" for number, why in closed]


def _healed(found: Inquiry) -> list[tuple[str, str]]:
    """Kinds of issues that come to an end with a check, each with the reason.

    Broken data are well when they can be checked. A failed training is over when one has worked. Drift is over when a
    retraining is proven to help, or when the champion holds on labels that have come.
    """
    over = []
    if found.action != "issue" or found.state != "broken":
        over.append((words.BROKEN, f"the data of {found.period} are well"))
    if found.proof:
        over.append((words.FAILED, f"a challenger was trained with {found.period}"))
    if found.action == "pull request":
        over.append((words.DRIFT, f"retraining helps in {found.period}"))
    if found.action == "none" and found.labelled and found.state != "broken":
        over.append((words.DRIFT, f"the champion holds in {found.period}"))
    return over


def _is_about(period: str, kind: str, checked: str) -> bool:
    """Whether a check speaks of an issue's period: of broken data its own alone, else of all before, too."""
    return period == checked if kind == words.BROKEN else period <= checked


def _run(forge: Forge, deed: Deed) -> str:
    return f"{forge.server_url}/{forge.repository}/actions/runs/{deed.run}"

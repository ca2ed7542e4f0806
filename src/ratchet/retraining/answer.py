"""What follows from a check: the records, and the pull request or the issue. Every step looks at what is there first.

    1  records, proofs/        the retraining that was tried, as a look at its holdout
    2  branch retrain/PERIOD   params.yaml and dvc.lock on top of the main that was checked
    3  the pull request        labels, reviewers; older proposals are closed with a link to it
    4  report.yml, ci.yml      dispatched, for a push by a workflow starts nothing
    5  records, checks/        the check: from here on there is nothing left to do

A run that ends anywhere between is finished when it is run again.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import ledger, maintain, settle
from ratchet.errors import RatchetError
from ratchet.retraining import words
from ratchet.retraining.inquiry import Inquiry
from ratchet.retraining.words import LOCK, PARAMS

if TYPE_CHECKING:
    from ratchet.forge import Forge, Pull
    from ratchet.maintain import Deed

Record = dict[str, Any]

OWNERS = ".github/CODEOWNERS"


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
    proof = book.append_with(lambda listing: _proof(found, listing, deed.run)) if found.proof else None
    said = _healed(forge, found)
    answered: Record = {"action": "none", "number": None}
    if found.action == "pull request":
        told, answered = _propose(forge, found, folder, deed)
        said += told
    elif found.action == "issue":
        label = words.LABELS["broken" if found.state == "broken" else "issue"]
        issue = forge.issue(words.title(found), words.issue(found, _run(forge, deed)), [label])
        said.append(f"issue {issue.number}: {issue.title}")
        answered = {"action": "issue", "number": issue.number}
    book.append(_check(found, deed.run, proof, answered))
    return [*said, f"{found.period}: {found.state}: {found.sentence}"]


# --- the records -----------------------------------------------------------------------------------------------------


def _proof(found: Inquiry, listing: ledger.Listing, run: int) -> Record:
    proof = found.proof or {}
    look = listing.look(proof["holdout"], proof["model_digest"])
    if look != proof["look"]:
        raise RatchetError(
            f"{found.period}: is look {look} by now, and was judged as look {proof['look']}: other models were judged "
            "on these rows meanwhile\nrun the workflow again"
        )
    return ledger.record("proof", ledger.now(), period=found.period, run=run, champion=dict(found.champion), **proof)


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


def _propose(forge: Forge, found: Inquiry, folder: Path, deed: Deed) -> tuple[list[str], Record]:
    """Open the pull request of a period, unless somebody has refused it."""
    name = words.branch(found.period)
    standing = next(iter(forge.pulls_of(forge.repository, name)), None)
    refused = None if standing else forge.closed_pull(name)
    if refused:
        told = f"pull request {refused.number} proposed this and was closed without a merge: that stands"
        return [told], {"action": "refused", "number": refused.number}
    sha = _committed(forge, found, folder, name)
    pull = forge.create_pull(words.title(found), name, forge.default_branch, words.proposal(found, _run(forge, deed)))
    forge.label(pull.number, [words.LABELS["pull request"]])
    said = [f"pull request {pull.number}: {pull.title}", *_reviewers(forge, pull), *_superseded(forge, pull)]
    if settle.MODEL not in forge.statuses(sha):
        maintain.have_judged(forge, name)
    return said, {"action": "pull request", "number": pull.number}


def _committed(forge: Forge, found: Inquiry, folder: Path, name: str) -> str:
    """The commit of the branch that has the two files; made where it has not."""
    if forge.branch(name) is None:
        forge.create_branch(name, found.sha)
    at = str(forge.branch(name))
    wanted = {path: (folder / path).read_bytes() for path in (PARAMS, LOCK)}
    if all(forge.file(at, path) == content for path, content in wanted.items()):
        return at
    return forge.commit_files(name, at, dict(wanted), words.title(found))


def _superseded(forge: Forge, new: Pull) -> list[str]:
    """Close older proposals: the new one takes their periods in, too."""
    said = []
    for pull in forge.open_pulls(forge.default_branch):
        if pull.head_branch.startswith(words.PROPOSES) and not pull.is_fork and pull.number != new.number:
            forge.upsert_comment(pull.number, SUPERSEDED, f"{SUPERSEDED}\n{words.superseded(new.number)}\n")
            forge.close_pull(pull.number)
            said.append(f"pull request {pull.number} is superseded")
    return said


SUPERSEDED = "<!-- ratchet: superseded -->"


def _reviewers(forge: Forge, pull: Pull) -> list[str]:
    """Ask the code's owners for a review; those whom GitHub does not let review are told of."""
    from ratchet.forge import ApiError

    people, teams = owners((forge.file(forge.default_branch, OWNERS) or b"").decode(errors="replace"))
    if not people and not teams:
        return []
    try:
        forge.request_reviews(pull.number, people, teams)
    except ApiError as error:
        if error.status != 422:
            raise
        return [f"nobody is asked for a review: {str(error).splitlines()[0]}"]
    return [f"asked for a review: {', '.join([*people, *teams])}"]


def owners(text: str) -> tuple[list[str], list[str]]:
    """People and teams (without their organisation) that CODEOWNERS names; a placeholder is nobody."""
    lines = (line.partition("#")[0].split()[1:] for line in text.splitlines())
    names = sorted({name for line in lines for name in line if re.fullmatch(r"@[\w-]+(/[\w.-]+)?", name)})
    known = [name.removeprefix("@") for name in names if name != "@OWNER"]
    return [name for name in known if "/" not in name], [name.partition("/")[2] for name in known if "/" in name]


# --- the issues ------------------------------------------------------------------------------------------------------


def _healed(forge: Forge, found: Inquiry) -> list[str]:
    """Close what said that the period's data are broken, when they no longer are, and what earlier drift came to."""
    if found.state == "broken" and found.action == "issue":
        return []
    said = []
    for issue in forge.open_issues(words.BROKEN):
        if issue.body.startswith(words.broken(found.period)):
            forge.close_issue(issue.number)
            said.append(f"issue {issue.number} is closed: the data of {found.period} are well")
    for issue in forge.open_issues(words.DRIFT):
        if not issue.body.startswith(words.drifted(found.period)) or found.action != "issue":
            forge.close_issue(issue.number)
            said.append(f"issue {issue.number} is closed: {found.period} was checked")
    return said


def _run(forge: Forge, deed: Deed) -> str:
    return f"{forge.server_url}/{forge.repository}/actions/runs/{deed.run}"

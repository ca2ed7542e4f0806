"""What a person with write access may do for a pull request: accept, adopt, refresh; each recorded with who and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet import comment, ledger, settle, workflows
from ratchet.errors import RatchetError
from ratchet.forge.git import Git
from ratchet.place import LOCK

if TYPE_CHECKING:
    from ratchet.forge import Forge, Pull

Record = Mapping[str, Any]

JUDGING = {settle.MODEL: "report.yml", settle.CI: "ci.yml"}
"""What sets each gate."""
MERGER = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (
        ("NAME", "github-actions[bot]"),
        ("EMAIL", "41898282+github-actions[bot]@users.noreply.github.com"),
    )
}
"""Whom git names as the author of a merge."""
ADOPTED = "<!-- ratchet: adopted -->"


@dataclass(frozen=True)
class Deed:
    """Who does something, why, and in which run."""

    who: str
    reason: str
    run: int


def accept(forge: Forge, number: int, deed: Deed) -> str:
    """Let a hold pass that may: a safe one, for this model on these rows; a change of the judge, for this commit.

    Raises:
        RatchetError: There is nothing to accept, or nothing that may be.
    """
    pull = _open(forge, number)
    book = ledger.Ledger(forge)
    status = forge.statuses(pull.head_sha).get(settle.MODEL)
    if status is None or status.state == "pending":
        raise RatchetError(f"pull request {number}: is still being judged\nwait for its {settle.MODEL}")
    if status.state == "success":
        return f"pull request {number} may be merged already: {status.description}"
    held = _held(forge, book, pull, status.description)
    record = ledger.record(
        "acceptance",
        ledger.now(),
        pull_request=number,
        head_sha=pull.head_sha,
        run=deed.run,
        who=deed.who,
        reason=deed.reason,
        **held,
    )
    book.append(record)
    settle.conclude(forge, settle.accepted(pull.head_sha, record, status.url))
    body = forge.marked_comment(number, comment.MARKER)
    if body is not None:
        forge.upsert_comment(number, comment.MARKER, comment.accepted(body, record))
    return f"pull request {number} is accepted by {deed.who}"


def adopt(forge: Forge, number: int, deed: Deed) -> str:
    """Take a fork's commit as a branch of this repository, where it is trained and judged like any other.

    Raises:
        RatchetError: It is no fork's, or brings in workflow files, which this token may not.
    """
    pull = _open(forge, number)
    if not pull.is_fork:
        raise RatchetError(f"pull request {number}: is a branch of this repository already; there is nothing to adopt")
    branch = f"adopt/{number}-{pull.head_sha[:12]}"
    adopted = next(iter(forge.pulls_of(forge.repository, branch)), None)
    if adopted is not None and adopted.head_sha != pull.head_sha:  # and has the judged lock since
        return f"pull request {number} is adopted already as {adopted.number}, branch {branch}"
    if forge.branch(branch) != pull.head_sha:  # or a person has pushed it
        _may_adopt(forge, pull, branch)
        forge.create_branch(branch, pull.head_sha)
    body = f"Adopts pull request #{number}, commit {pull.head_sha}: its model is trained and judged here."
    new = forge.create_pull(pull.title, branch, pull.base_branch, body)
    ledger.Ledger(forge).append(
        ledger.record(
            "adoption",
            ledger.now(),
            pull_request=number,
            head_sha=pull.head_sha,
            head_repository=pull.head_repository,
            run=deed.run,
            who=deed.who,
            reason=deed.reason,
            branch=branch,
            new_pull_request=new.number,
        )
    )
    have_judged(forge, branch)
    forge.upsert_comment(number, ADOPTED, f"{ADOPTED}\nAdopted as #{new.number}, where it is judged.\n")
    return f"pull request {number} is adopted as {new.number}, branch {branch}"


def refresh(forge: Forge, number: int, deed: Deed, root: Path = Path()) -> str:
    """Merge main into a branch. Of dvc.lock main's is taken: what belongs to the branch is made and judged anew.

    Args:
        forge: With a token that writes.
        number: The pull request.
        deed: Who and why.
        root: A clone with the whole history; its working tree is not touched.

    Raises:
        RatchetError: The branch is a fork's, files other than dvc.lock are in conflict, or main has changed a workflow,
            which this token may not push.
    """
    pull = _open(forge, number)
    if pull.is_fork:
        raise RatchetError(f"pull request {number}: is a fork's, which no token of ours can write\nadopt it first")
    git = Clone(forge, root)
    git.run("fetch", "--quiet", git.url, f"refs/heads/{pull.base_branch}", f"refs/heads/{pull.head_branch}")
    base = forge.branch(pull.base_branch)
    if base is None or git.is_ancestor(base, pull.head_sha):
        have_judged(forge, pull.head_branch, forge.statuses(pull.head_sha))  # a refresh may have broken after its push
        return f"pull request {number} has all of {pull.base_branch} already"
    merged = git.merge(pull.head_sha, base, f"Merge {pull.base_branch} into {pull.head_branch}")
    changed = git.changed(pull.head_sha, merged, workflows.FOLDER) if workflows.are_bound(forge) else []
    if changed:
        raise RatchetError(
            f"pull request {number}: {pull.base_branch} has changed {_some(changed)}, and no workflow may push that\n"
            f"press *Update branch* in the pull request; where it is not offered, merge {pull.base_branch} by hand, "
            f"with its {LOCK}, and push"
        )
    git.run("push", "--quiet", git.url, f"{merged}:refs/heads/{pull.head_branch}")
    ledger.Ledger(forge).append(
        ledger.record(
            "refresh",
            ledger.now(),
            pull_request=number,
            run=deed.run,
            who=deed.who,
            reason=deed.reason,
            old_sha=pull.head_sha,
            base_sha=base,
            new_sha=merged,
        )
    )
    have_judged(forge, pull.head_branch)
    return f"pull request {number} now has {pull.base_branch}'s {base[:8]}, and is judged again"


class Clone(Git):
    """A clone with the whole history, as objects alone: nothing of a pull request is ever checked out."""

    def __init__(self, forge: Forge, root: Path) -> None:
        super().__init__(root, forge.server_url, forge.token)
        self.url = f"{forge.server_url}/{forge.repository}.git"

    def run(self, *arguments: str, **variables: str) -> str:
        """Run git; its output.

        Raises:
            RatchetError: It fails; with its last line.
        """
        done = self.done(arguments, variables=variables)
        if done.code:
            raise RatchetError(f"git {arguments[0]}: {done.last}")
        return done.out.decode(errors="replace").strip()

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` has all that `old` has."""
        return self.done(["merge-base", "--is-ancestor", old, new]).code == 0

    def changed(self, old: str, new: str, folder: str) -> list[str]:
        """The files of a folder in which two commits differ."""
        return self.run("diff", "--name-only", "--no-renames", old, new, "--", folder).splitlines()

    def merge(self, ours: str, theirs: str, message: str) -> str:
        """The merge commit of two commits, with the dvc.lock of `theirs`.

        Raises:
            RatchetError: Other files are in conflict; names them.
        """
        done = self.done(["merge-tree", "--write-tree", "--name-only", "--no-messages", ours, theirs])
        if done.code not in {0, 1} or not done.out:  # 1 is a conflict, or a commit that is not there
            raise RatchetError(f"git merge-tree: {done.last}")
        tree, *conflicts = done.out.decode(errors="replace").split("\n")
        others = sorted({name for name in conflicts if name} - {LOCK})
        if others:
            raise RatchetError(
                f"both sides change {', '.join(others[:5])}, and only a person can say what is meant\n"
                "merge what it goes to into the branch by hand, and push"
            )
        with TemporaryDirectory() as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
            self.run("read-tree", tree, **index)
            entry = self.run("ls-tree", theirs, LOCK).split()
            if entry:
                self.run("update-index", "--add", "--cacheinfo", f"{entry[0]},{entry[2]},{LOCK}", **index)
            tree = self.run("write-tree", **index)
        return self.run("commit-tree", tree, "-p", ours, "-p", theirs, "-m", message, **MERGER)


def _open(forge: Forge, number: int) -> Pull:
    pull = forge.pull(number)
    if not pull.is_open:
        raise RatchetError(f"pull request {number}: is closed")
    return pull


def _held(forge: Forge, book: ledger.Ledger, pull: Pull, description: str) -> dict[str, Any]:
    """What is accepted: a model on its holdout by its verdict, or nothing but the commit.

    Raises:
        RatchetError: The pull request is not held, or not in a way that a person may overrule.
    """
    nothing = {"model_digest": None, "lock_digest": None, "holdout": None, "verdict": None, "hold": "judge changed"}
    if description == settle.JUDGE_CHANGED:
        return nothing
    if pull.is_fork:
        raise RatchetError(
            f"pull request {pull.number}: its scores are the fork's own\nadopt it, and it is judged here"
        )
    judged = settle.verdict_of(forge, book.listing(), pull)
    if judged is None:
        raise RatchetError(f"pull request {pull.number}: {description}\n{_ONLY}")
    if judged["hold"] not in settle.ACCEPTABLE:
        raise RatchetError(f"pull request {pull.number}: {judged['sentence']}\n{_ONLY}")
    names = ("model_digest", "lock_digest", "holdout", "hold")
    return {**{name: judged[name] for name in names}, "verdict": ledger.path_of(judged)}


_ONLY = "only a safe hold or a change of the judge can be accepted"


def _may_adopt(forge: Forge, pull: Pull, branch: str) -> None:
    """Make sure that GitHub lets this token make a branch of a fork's commit.

    Raises:
        RatchetError: The commit has other workflow files than main.
    """
    files = workflows.refused(forge, pull.head_sha)
    if not files:
        return
    base = forge.compare(forge.default_branch, pull.head_sha).merge_base
    own = workflows.brought(forge, base, pull.head_sha)
    if own:
        raise RatchetError(
            f"pull request {pull.number}: changes {_some(own)}, and no workflow may make a branch of that\n"
            "read it, for on a branch here it runs with the rights that it names; push the branch, and adopt again:\n"
            f"git fetch origin pull/{pull.number}/head && git push origin {pull.head_sha}:refs/heads/{branch}"
        )
    raise RatchetError(
        f"pull request {pull.number}: has older {_some(files)} than {forge.default_branch}, and no workflow may make a "
        f"branch of that\npress *Update branch* in it, or let its author merge {forge.default_branch}; then adopt again"
    )


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def have_judged(forge: Forge, branch: str, judged: Collection[str] = ()) -> None:
    """Have a branch judged that a workflow has pushed: what the push starts waits for a person, a dispatch does not.

    Args:
        forge: With a token that writes.
        branch: Which.
        judged: Gates that its head has already, or waits for: nothing is started twice for them.
    """
    for gate, workflow in JUDGING.items():
        if gate not in judged:
            forge.dispatch(workflow, branch)

"""Why nothing ships: what was expected, what was found and where, as one open issue for each cause.

The issue is made, or brought up to date, when a run of release.yml fails, and closed when one succeeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet import files
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.forge import Forge

FILE = "refusal.json"
MARKER = "<!-- ratchet: release refused -->"
TITLE = "Nothing was released: "


@dataclass(frozen=True)
class Refusal:
    """What differs.

    Attributes:
        cause: A few words that are the same whenever the cause is; the title of the issue.
        expected: What should have been there.
        found: What was there instead.
        where: Where it was looked for.
        remedy: What a person can do.
    """

    cause: str
    expected: str
    found: str
    where: str
    remedy: str

    def write(self, folder: Path) -> None:
        """Leave it for the job that opens the issue."""
        files.write_json(folder / FILE, asdict(self))


class Refused(RatchetError):  # noqa: N818  # it is a decision
    """Nothing ships."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(
            f"{refusal.where}: {refusal.cause}: expected {refusal.expected}, found {refusal.found}; nothing is released"
            f"\n{refusal.remedy}"
        )
        self.refusal = refusal


def refuse(forge: Forge, folder: Path, results: Mapping[str, str], run: str) -> str:
    """Say in an issue why a run has released nothing, or close what earlier runs have said.

    Args:
        forge: With a token that writes issues.
        folder: Of the candidate, with the refusal if there was one.
        results: Of the jobs before this one, as GitHub names them: "success", "failure", "cancelled", "skipped".
        run: Address of the run.

    Returns:
        What was done, in one sentence.
    """
    failed = [job for job, result in results.items() if result == "failure"]
    if failed:
        said = _refusal(folder, failed[0])
        issue = forge.issue(f"{TITLE}{said.cause}", _body(said, run))
        return f"issue {issue.number}: {issue.title}"
    if "cancelled" in results.values():
        return "the run was cancelled: nothing is said"
    closed = [issue.number for issue in forge.open_issues(MARKER)]
    for number in closed:
        forge.close_issue(number)
    return f"closed {', '.join(f'issue {number}' for number in closed)}" if closed else "nothing was refused"


def _refusal(folder: Path, job: str) -> Refusal:
    path = folder / FILE
    if path.is_file():
        return Refusal(**files.read_json(path))
    return Refusal(
        f"the job {job} failed",
        "that it succeeds",
        "an error, which its log tells",
        f"release.yml, job {job}",
        "see to what the log says, then press Actions → release → Run workflow: it finishes what is half done",
    )


def _body(said: Refusal, run: str) -> str:
    from ratchet.report.markdown import escape

    rows = (("expected", said.expected), ("found", said.found), ("where", said.where))
    table = "\n".join(f"| {name} | {escape(text)} |" for name, text in rows)
    return (
        f"{MARKER}\nMain's model is not released, and what runs stays as it is.\n\n| | |\n|---|---|\n{table}\n\n"
        f"**What to do:** {escape(said.remedy)}.\n\n[The run]({run}) says more. The issue closes by itself when a run "
        "of release.yml succeeds.\n"
    )

"""The candidate: what there is to do about main's model, as a folder that one job hands to the next.

candidate.json    what is to be done, and what a release of it would say of its origin
bundle/  dataset.json  evaluation.json  training.json  card.md  smoke.jsonl    when something ships
verdict.json      the record by which it may ship
dvc.lock          when main has to be given it, by a first release
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ratchet import files
from ratchet.errors import RatchetError
from ratchet.selftest.branch import is_selftest

if TYPE_CHECKING:
    from ratchet.forge import Forge

Record = Mapping[str, Any]
Next = Literal["ship", "finish", "rejudge", "nothing"]

FILE, LOCK, VERDICT, CARD, FOLDER = "candidate.json", "dvc.lock", "verdict.json", "card.md", "bundle"
SMOKE = "smoke.jsonl"
VERSION = 1


@dataclass(frozen=True)
class Candidate:
    """What there is to do about main's model.

    Attributes:
        next: "ship" these bytes; "finish" what an earlier run has left half done; "rejudge" a model whose judged bytes
            are gone; or "nothing".
        sentence: Why, for people.
        tag: Of the release that it becomes, or is.
        sha: The commit of main that says so.
        committed: When it was made, in seconds since 1970; no other time goes into the image.
        model_digest: Of the bundle; None when there is none to ship.
        lock_digest: Of main's dvc.lock.
        pull_request: In which it was judged; None for a repository's first model.
        verdict: Path of the record by which it may ship.
        artifact: Number and digest of the artifact that was judged.
    """

    next: Next
    sentence: str
    tag: str
    sha: str
    committed: int
    lock_digest: str
    model_digest: str | None = None
    pull_request: int | None = None
    verdict: str | None = None
    artifact: Record | None = field(default=None)

    @property
    def ships(self) -> bool:
        """There are bytes to release."""
        return self.next == "ship"

    def write(self, folder: Path) -> None:
        """Write `candidate.json`."""
        files.write_json(folder / FILE, {"version": VERSION, "ships": self.ships, **asdict(self)})

    @classmethod
    def read(cls, folder: Path) -> Candidate:
        """From `candidate.json`.

        Raises:
            RatchetError: It is not there, or of another version.
        """
        content = files.read_json(folder / FILE)
        if content.pop("version", None) != VERSION:
            raise RatchetError(f"{folder / FILE}: is not of version {VERSION}\nmake it again: `ratchet candidate`")
        content.pop("ships")
        return cls(**content)


def behind(forge: Forge, sha: str) -> list[int]:
    """Open pull requests of this repository that lack a commit of main, by number.

    Of a release's commit: their verdicts are about an older champion. Dependabot's are left to it, for it gives up a
    branch that somebody else has pushed to.
    """
    own = [pull for pull in forge.open_pulls(forge.default_branch) if not pull.is_fork and not is_selftest(pull)]
    asked = [pull for pull in own if not pull.head_branch.startswith("dependabot/")]
    lacking = forge.history.lacking(sha, [pull.head_sha for pull in asked]) if asked else ()
    return [pull.number for pull in asked if pull.head_sha in lacking]

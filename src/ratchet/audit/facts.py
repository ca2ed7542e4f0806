"""What an audit looks at, read from the ledger, from GitHub and from the branch `deploy`; and which release it is."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from ratchet import bundle, files, intake, ledger
from ratchet.errors import RatchetError
from ratchet.release.code import Tree, strays

if TYPE_CHECKING:
    from ratchet.deploy.state import Moment
    from ratchet.forge import Artifact, Forge, Pull, Release, Review

Record = Mapping[str, Any]
Outcome = Literal["ok", "broken", "gone"]

FEWEST = 8
"""Digits of a digest that name it, when no other begins with them."""
LARGEST = 200_000_000
"""Bytes at most of an asset, and of a commit's files."""
DATASET, VERDICT, ORIGIN, SMOKE = "dataset.json", "verdict.json", "release.json", "smoke.json"
MANIFEST = f"{intake.BUNDLE}/{bundle.MANIFEST}"


@dataclass(frozen=True)
class Link:
    """One link of the chain: what it is, whether it holds, and what was found, in one sentence."""

    name: str
    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class Files:
    """A release as GitHub has it.

    Attributes:
        release: What GitHub says of it.
        tag_sha: The commit that its tag is at; None when there is no such tag.
        sums: SHA-256 of each asset as it was downloaded.
        documents: Content of the assets that are looked into.
        model: Content of the files in bundle.zip; empty when it cannot be unpacked.
    """

    release: Release
    tag_sha: str | None
    sums: Mapping[str, str]
    documents: Tree
    model: Tree


@dataclass(frozen=True)
class Proposal:
    """The pull request that a release rests on; `is_merged_in`: its merge is part of the release's commit."""

    pull: Pull
    reviews: Sequence[Review]
    is_merged_in: bool


@dataclass(frozen=True)
class Judgement:
    """The verdict that a release rests on.

    Attributes:
        record: As it stands in the ledger; None when it is not there.
        acceptances: Of this verdict.
        artifact: What was judged; None when GitHub has deleted it.
        model: The digest of the model in the artifact; None when it was not looked into.
        tree: The files of the judged commit, when they are needed; empty otherwise.
    """

    record: Record | None
    acceptances: Sequence[Record] = ()
    artifact: Artifact | None = None
    model: str | None = None
    tree: Tree = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What `examine` looks at.

    Attributes:
        record: The release in the ledger.
        is_first: Whether no release came before it.
        files: The release on GitHub; None when it is not there.
        tree: The files of its commit; None when that is not there.
        is_on_main: Whether the commit is part of the default branch.
        proposal: None for a release without a pull request, or when that is not there.
        judgement: None for a release without a verdict.
        moves: All promotions and rollbacks in the ledger.
        moments: The states of each environment since the release, newest first.
    """

    record: Record
    is_first: bool
    files: Files | None
    tree: Tree | None
    is_on_main: bool
    proposal: Proposal | None
    judgement: Judgement | None
    moves: Sequence[Record]
    moments: Mapping[str, Sequence[Moment]]

    @property
    def tag(self) -> str:
        """Of the release."""
        return str(self.record["tag"])

    @property
    def model(self) -> Tree:
        """The files of the bundle; none when there is none."""
        return self.files.model if self.files else {}


def find(releases: Sequence[Record], moves: Sequence[Record], wanted: str) -> Record:
    """The record of the release that a digest or a tag names.

    Args:
        releases: In the ledger.
        moves: Promotions and rollbacks in the ledger.
        wanted: A tag; or an image, model or lock digest, or its first digits: with or without what stands before it.

    Raises:
        RatchetError: It names none, or several.
    """
    by_tag = {str(entry["tag"]): entry for entry in releases}
    if wanted in by_tag:
        return by_tag[wanted]
    digits = wanted.strip().lower().rpartition("sha256:")[2]
    if not re.fullmatch(rf"[0-9a-f]{{{FEWEST},64}}", digits):
        raise RatchetError(
            f"{wanted[:100]}: is no digest of at least {FEWEST} digits, and no tag of a release\n"
            f"the releases are {', '.join(by_tag) or 'none yet'}"
        )
    found = {tag for tag, entry in by_tag.items() if any(one.startswith(digits) for one in _digests(entry))}
    found |= {str(move["tag"]) for move in moves if _digits(move["image"]).startswith(digits)}
    if len(found) != 1:
        said = f"is of {' and '.join(sorted(found))}\nname one of them" if found else "is of no release in the ledger"
        raise RatchetError(f"{wanted[:100]}: {said}")
    (tag,) = found
    if tag not in by_tag:
        raise RatchetError(
            f"{wanted[:100]}: ran as {tag}, and the ledger has no such release\n"
            "find out who put it on the branch deploy: `git log origin/deploy`"
        )
    return by_tag[tag]


def gather(forge: Forge, wanted: str) -> Facts:
    """Read all that `examine` looks at.

    Args:
        forge: With a token that reads.
        wanted: See `find`.

    Raises:
        RatchetError: It names no release, or GitHub cannot be reached.
    """
    from ratchet.deploy import branch
    from ratchet.deploy.state import ENVIRONMENTS

    listing = ledger.Ledger(forge).listing()
    releases, moves = listing.releases(), listing.moves()
    record = find(releases, moves, wanted)
    tree = _tree(forge, record["sha"])
    with TemporaryDirectory() as scratch:
        held = _files(forge, str(record["tag"]), Path(scratch))
        judgement = _judgement(forge, listing, record, Path(scratch))
    if judgement and judgement.record and held and strays(held.model, [tree or {}]):
        judgement = replace(judgement, tree=_tree(forge, judgement.record["head_sha"]) or {})
    return Facts(
        record=record,
        is_first=releases[0]["tag"] == record["tag"],
        files=held,
        tree=tree,
        is_on_main=tree is not None and _is_part(forge, record["sha"], forge.default_branch),
        proposal=_proposal(forge, record),
        judgement=judgement,
        moves=moves,
        moments={environment: since(branch.history(forge, environment), record) for environment in ENVIRONMENTS},
    )


def since(past: Iterable[Moment], record: Record) -> list[Moment]:
    """The moments from a release on, newest first; no older ones are asked for.

    Staging comes before the record, so a moment that is older may be one in which the release ran already.
    """
    kept = []
    for moment in past:
        if moment.at < record["at"] and moment.state.slot_of(record["tag"]) is None:
            break
        kept.append(moment)
    return kept


def sha256(content: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(content).hexdigest()


def parsed(content: bytes | None) -> dict[str, Any]:
    """A JSON object; an empty one when there is none, or it cannot be read."""
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _digests(entry: Record) -> list[str]:
    return [_digits(entry.get("image")), str(entry["model_digest"]), str(entry["lock_digest"])]


def _digits(image: str | None) -> str:
    return (image or "").rpartition("@sha256:")[2]


def _files(forge: Forge, tag: str, scratch: Path) -> Files | None:
    from ratchet import release

    found = forge.release(tag)
    if found is None:
        return None
    sums: dict[str, str] = {}
    documents: dict[str, bytes] = {}
    model: Tree = {}
    for asset in found.assets:
        path = scratch / "assets" / asset.name
        # GitHub's own digest is left out: the record's is what counts, and the download would stop at a difference.
        forge.download_asset(replace(asset, digest=None), path, LARGEST)
        sums[asset.name] = files.sha256(path)
        if asset.name in {DATASET, VERDICT, ORIGIN, SMOKE}:
            documents[asset.name] = path.read_bytes()
        if asset.name == release.BUNDLE:
            model = _unpacked(path, scratch / "bundle")
    return Files(found, forge.objects.ref(f"tags/{tag}"), sums, documents, model)


def _unpacked(archive: Path, folder: Path) -> Tree:
    from ratchet import release

    try:
        release.unpack(archive, folder)
    except RatchetError:
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _tree(forge: Forge, sha: str) -> Tree | None:
    """The files of a commit; None when GitHub has it no more."""
    from ratchet.forge import NotFound

    try:
        return forge.objects.content(sha, LARGEST)
    except NotFound:
        return None


def _is_part(forge: Forge, sha: str, of: str) -> bool:
    """Whether a commit is part of the history of another."""
    from ratchet.forge import NotFound

    try:
        return forge.compare(sha, of).merge_base == sha
    except NotFound:  # they have nothing in common
        return False


def _proposal(forge: Forge, record: Record) -> Proposal | None:
    from ratchet.forge import NotFound

    if record["pull_request"] is None:
        return None
    try:
        pull = forge.pull(record["pull_request"])
    except NotFound:
        return None
    is_in = pull.merge_sha is not None and _is_part(forge, pull.merge_sha, record["sha"])
    return Proposal(pull, forge.reviews(pull.number), is_in)


def _judgement(forge: Forge, listing: ledger.Listing, record: Record, scratch: Path) -> Judgement | None:
    if record["verdict"] is None:
        return None
    entry = listing.read(record["verdict"])
    if entry is None:
        return Judgement(None)
    accepted = [one for one in listing.acceptances() if one["verdict"] == record["verdict"]]
    artifact = forge.artifact(entry["artifact"]["id"])
    model = None
    if artifact and not artifact.expired and artifact.digest == entry["artifact"]["digest"]:
        path = scratch / "evidence.zip"
        forge.download(replace(artifact, digest=None), path, intake.LARGEST_ARCHIVE)
        artifact = replace(artifact, digest=f"sha256:{files.sha256(path)}")  # of the bytes, not as it is said
        model = _model_in(path)
    return Judgement(entry, accepted, artifact, model)


def _model_in(archive: Path) -> str | None:
    """The digest of the model in an artifact; None when it holds none, or is no archive."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return sha256(opened.read(MANIFEST)) if MANIFEST in opened.namelist() else None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError):
        return None

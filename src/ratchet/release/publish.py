"""What a release writes: the GitHub Release, staging, the record, open pull requests. Every step looks first.

    1  dvc.lock on main            a first release whose pipeline has changed it
    2  the release with its files  a draft until all are there; from here on it can be finished without them
    3  branch deploy, staging      the newcomer answers there, the one before it stays warm
    4  branch records              the record: the release is done
    5  open pull requests          get main's changes, and are judged against the new champion

A run that ends anywhere between is finished by the next one, or by a dispatch. Steps 3 to 5 rest on what is published,
not on the run that published it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet import files, ledger, maintain, workflows
from ratchet.errors import RatchetError
from ratchet.place import is_lock_child
from ratchet.release import published
from ratchet.release.candidate import CARD, FOLDER, LOCK, VERDICT, Candidate, behind
from ratchet.release.published import BUNDLE, FACTS, LARGEST_BUNDLE, ORIGIN, PREFIX, REJUDGES
from ratchet.release.refusal import Refusal, Refused

if TYPE_CHECKING:
    from ratchet.forge import Forge, Release
    from ratchet.maintain import Deed

Record = Mapping[str, Any]

MESSAGE = "dvc.lock: what the pipeline makes of this commit"
REFRESHED = 5
"""Pull requests that a release refreshes: GitHub answers 1,000 requests an hour to all workflows of a repository."""


@dataclass(frozen=True)
class Built:
    """What the job before has made of a candidate.

    Attributes:
        image: "ghcr.io/ada/flights@sha256:…"; None when none was built.
        bento: Tag of the Bento.
        folder: Holds what is said of the image: smoke.json, sbom.spdx.json.
    """

    image: str | None = None
    bento: str | None = None
    folder: Path | None = None


def publish(forge: Forge, folder: Path, built: Built, deed: Deed, root: Path = Path()) -> list[str]:
    """Do what a candidate says is to be done.

    Args:
        forge: With a token that writes.
        folder: Of the candidate.
        built: Its image, when it ships.
        deed: In whose name and in which run; its reason is not used.
        root: Main, checked out with its history.

    Returns:
        What was done, one sentence each.

    Raises:
        Refused: Main has changed a workflow since it was at the candidate's commit.
        RatchetError: The candidate's files are not those it names, or GitHub refuses.
    """
    found, listed = Candidate.read(folder), forge.releases()
    last = published.newest(listed)
    if not found.ships:
        said = finish(forge, last, deed, root)
        if found.next == "rejudge":
            said.append(rejudge(forge, found, deed, root))
    else:  # an older one, whose run has ended too early, is only recorded: this one takes its place at once
        said = finish(forge, last, deed, root, superseded_by=found.tag)
        shipped, sentence = _ship(forge, found, listed, folder, built)
        last = published.newest([*listed, shipped])
        said += [sentence, *finish(forge, last, deed, root)]
    return [*said, *refresh(forge, last, deed, root)] or [found.sentence]


def finish(
    forge: Forge, last: Release | None, deed: Deed, root: Path = Path(), superseded_by: str | None = None
) -> list[str]:
    """Put the newest release into staging and into the ledger, when its own run has not come to that.

    Args:
        forge: With a token that writes.
        last: The newest release; None while there is none.
        deed: Who and in which run.
        root: Main, checked out.
        superseded_by: The release that is about to follow it, so that it is only recorded; nothing is done to that one.
    """
    if last is None or last.asset(ORIGIN) is None or last.tag == superseded_by:
        return []
    book = ledger.Ledger(forge)
    listing = book.listing()
    if listing.read(f"releases/{last.tag}.json"):
        return []
    origin = _origin(forge, last)
    told = [] if superseded_by else [stage(forge, listing, origin, deed, root)]
    sums = {asset.name: _sum(forge, last, asset.name) for asset in last.assets}
    book.append(ledger.record("release", ledger.now(), run=deed.run, assets=sums, **origin))
    return [*told, f"{last.tag} is recorded"]


def stage(forge: Forge, listing: ledger.Listing, origin: Record, deed: Deed, root: Path = Path()) -> str:
    """Let a release answer in staging, unless it did before or was taken away.

    Args:
        forge: With a token that writes.
        listing: The ledger, which knows every move.
        origin: Of the release.
        deed: Who and in which run.
        root: Main, checked out: what stands beside the state on the branch comes from it.
    """
    from ratchet.deploy import branch, strategy
    from ratchet.deploy.state import Arm, State

    tag = origin["tag"]
    if origin["image"] is None:
        return f"{tag} has no image, so nothing runs"
    if any(move["tag"] == tag for move in listing.moves("staging")):
        return f"{tag} was in staging before; what came after it stays"
    arm = Arm(tag, origin["model_digest"], origin["image"])

    def change(state: State | None) -> State:
        if state is not None and tag in state.withdrawn:
            return state
        # The arm before it stays warm, so that going back is instant.
        return strategy.plan(state, arm, "blue-green", environment="staging")

    why = branch.Why(deed.who, f"Release {tag}", deed.run)
    sha = branch.move(forge, "staging", change, why, root)
    return f"{tag} answers in staging, deploy {sha[:8]}"


def refresh(forge: Forge, last: Release | None, deed: Deed, root: Path = Path()) -> list[str]:
    """Bring the newest release's commit into open pull requests of this repository, and have them judged again.

    No more than `REFRESHED` of them: each is judged with some dozens of the requests that workflows share.
    """
    from ratchet.forge import ApiError

    if last is None:
        return []
    said, done = list[str](), 0
    waiting = behind(forge, last.sha)
    for place, number in enumerate(waiting):
        if done == REFRESHED:
            left = len(waiting) - place
            return [*said, f"{left} more lack {last.tag}: dispatch release.yml, or press Update branch"]
        try:
            said.append(maintain.refresh(forge, number, _because(deed, f"{last.tag} is released"), root))
            done += 1
        except ApiError:
            raise
        except RatchetError as error:  # files in conflict, or workflows that main has changed, are for a person
            said.append(f"pull request {number} is not refreshed: {': '.join(str(error).splitlines())}")
    return said


def rejudge(forge: Forge, found: Candidate, deed: Deed, root: Path = Path()) -> str:
    """Have main's model trained and judged again through a pull request of an empty commit; the one that is open, once.

    Args:
        forge: With a token that writes.
        found: Whose judged bytes are gone.
        deed: Who and in which run.
        root: Main, checked out with its history.
    """
    branch = rejudged(found.lock_digest)
    main, at = forge.branch(forge.default_branch), forge.branch(branch)
    if at is None:
        _may_write(forge, found)
        forge.create_branch(branch, found.sha)
        at = found.sha
    if at in {found.sha, main}:
        forge.commit_files(branch, at, {}, f"Judge the model of #{found.pull_request} again")
    pull = forge.create_pull(
        f"Judge the model of #{found.pull_request} again", branch, forge.default_branch, _why_again(found)
    )
    maintain.refresh(forge, pull.number, _because(deed, "Its judged bytes are gone"), root)
    return f"{found.sentence}, in pull request {pull.number}"


def rejudged(lock_digest: str) -> str:
    """The branch on which the model of a lock is judged again."""
    return f"{REJUDGES}{lock_digest[:12]}"


def _may_write(forge: Forge, found: Candidate) -> None:
    """Make sure that GitHub lets this token make a release, or a branch, at the candidate's commit.

    Raises:
        Refused: The commit has other workflow files than main, which has moved on.
    """
    differ = workflows.refused(forge, found.sha)
    if differ:
        main = forge.default_branch
        raise Refused(
            Refusal(
                cause=f"{main} has changed a workflow meanwhile",
                expected=f"the workflow files of {main}, or GitHub lets no workflow write at this commit",
                found=f"others: {', '.join(differ)}",
                where=f"commit {found.sha[:12]}",
                remedy=f"press Actions → release → Run workflow: it begins at {main}'s newest commit, while a re-run "
                "of the failed job stays with this one",
            )
        )


# --- the steps -------------------------------------------------------------------------------------------------------


def _ship(forge: Forge, found: Candidate, listed: Sequence[Release], folder: Path, built: Built) -> tuple[Release, str]:
    """Publish; what is published already, as `listed` says, is left as it is. The release, and what was done."""
    there = next((one for one in listed if one.tag == found.tag and not one.draft), None)
    if there is not None:
        model = _origin(forge, there)["model_digest"]
        if model != found.model_digest:
            raise RatchetError(f"release {found.tag}: holds another model\nit was made meanwhile: dispatch release.yml")
        return there, f"{found.tag} is published already"
    _may_write(forge, found)
    _check(folder / FOLDER, found.model_digest)
    text = files.read_bytes(folder / LOCK)
    sha = found.sha if text is None else _with_lock(forge, found.sha, text)
    origin = {
        "tag": found.tag,
        "sha": sha,
        "model_digest": found.model_digest,
        "lock_digest": found.lock_digest,
        "pull_request": found.pull_request,
        "verdict": found.verdict,
        "artifact": found.artifact,
        "image": built.image,
        "bento": built.bento,
    }
    with TemporaryDirectory() as scratch:
        assets = _assets(folder, built, origin, Path(scratch))
        title, notes = f"Model {found.tag.removeprefix(PREFIX)}", _notes(found, built)
        shipped = forge.create_release(found.tag, sha, title, notes, assets, listed)
    return shipped, f"released {found.tag}: {found.sentence}"


def _check(folder: Path, digest: str | None) -> None:
    """The bundle is the candidate's, every byte of it; without NumPy, which this job does without."""
    manifest = folder / "manifest.json"
    named = files.read_json(manifest)["files"]
    found = {path.name: files.sha256(path) for path in folder.iterdir() if path != manifest}
    if files.sha256(manifest) != digest or found != named:
        raise RatchetError(f"{folder}: is not the bundle of the model {str(digest)[:12]}\nnothing is released")


def _with_lock(forge: Forge, sha: str, text: bytes) -> str:
    """The commit of main that has the lock: one on top of `sha`, which an earlier attempt may have made."""
    at = forge.branch(forge.default_branch)
    if at and at != sha and is_lock_child(forge.commit(at), sha):
        held = forge.tree(at).get(LOCK)
        if held and held.sha == ledger.blob_name(text):
            return at
    return forge.commit_files(forge.default_branch, sha, {LOCK: text}, MESSAGE)


def _assets(folder: Path, built: Built, origin: Record, scratch: Path) -> list[Path]:
    """The files of the release."""
    published.pack(folder / FOLDER, scratch / BUNDLE)
    files.write_json(scratch / ORIGIN, {"version": 1, **origin})
    beside = [path for path in sorted(built.folder.iterdir()) if path.is_file()] if built.folder else []
    given = [folder / name for name in (*FACTS, CARD, VERDICT) if (folder / name).is_file()]
    return [scratch / BUNDLE, scratch / ORIGIN, *given, *beside]


def _notes(found: Candidate, built: Built) -> str:
    from ratchet.report.markdown import escape

    origin = f"Judged in #{found.pull_request}." if found.pull_request else "The first model of this repository."
    image = f"Image `{built.image}`." if built.image else "No image was built."
    digests = f"Model digest `{found.model_digest}`, lock digest `{found.lock_digest}`."
    return f"{escape(found.sentence)}\n\n{origin} {image} {digests}\n"


def _origin(forge: Forge, release: Release) -> dict[str, Any]:
    """What `release.json` says.

    Raises:
        RatchetError: The release has none, or it is of another version.
    """
    with TemporaryDirectory() as scratch:
        content = files.read_json(_download(forge, release, ORIGIN, Path(scratch)))
    if content.pop("version", None) != 1:
        raise RatchetError(f"release {release.tag}: {ORIGIN} is not of version 1\ndelete the release and its tag")
    return dict(content)


def _download(forge: Forge, release: Release, name: str, scratch: Path) -> Path:
    asset = release.asset(name)
    if asset is None:
        raise RatchetError(f"release {release.tag}: has no {name}\ndelete the release and its tag, and dispatch again")
    forge.download_asset(asset, scratch / name, LARGEST_BUNDLE)
    return scratch / name


def _sum(forge: Forge, release: Release, name: str) -> str:
    """SHA-256 of a file of a release, as GitHub has noted it, or else of what it gives."""
    asset = release.asset(name)
    if asset and asset.digest and asset.digest.startswith("sha256:"):
        return asset.digest.removeprefix("sha256:")
    with TemporaryDirectory() as scratch:
        return hashlib.sha256(_download(forge, release, name, Path(scratch)).read_bytes()).hexdigest()


def _because(deed: Deed, reason: str) -> Deed:
    return maintain.Deed(deed.who, reason, deed.run)


def _why_again(found: Candidate) -> str:
    return (
        f"The artifact that #{found.pull_request} was judged by is gone: GitHub keeps artifacts for a limited time. "
        f"Main has its `dvc.lock` (lock digest `{found.lock_digest}`), and no release holds its model.\n\n"
        "This pull request changes no file. `report.yml` trains what main says once more, `verdict.yml` judges it, and "
        "the merge releases the bytes that were judged here. If the model is not wanted any more, close it, and take "
        "its change back on main.\n"
    )

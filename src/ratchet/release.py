"""Releases: the champion that proposals must beat, as a GitHub Release that holds the judged bytes, and no others.

    model-v1    bundle.zip, evaluation.json, dataset.json, training.json

The first release of a repository is trained where it is made, and must beat its baselines. Every later one is the
artifact that a verdict in the ledger was about, found by the lock digest of main, whatever way the merge was made.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet import bundle, data, files, ledger, lock
from ratchet.errors import RatchetError
from ratchet.evidence import Champion

if TYPE_CHECKING:
    from ratchet.forge import Forge, Release

Record = Mapping[str, Any]

PREFIX = "model-v"
BUNDLE = "bundle.zip"
FACTS = ("dataset.json", "evaluation.json", "training.json")
LARGEST_BUNDLE = 200_000_000  # bytes, packed and unpacked
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip file can hold


@dataclass(frozen=True)
class Candidate:
    """What may become a release: files that lie somewhere, and what the ledger says of them."""

    folder: Path
    model_digest: str
    lock_digest: str
    facts: Mapping[str, Path]
    pull_request: int | None
    verdict: str | None
    sentence: str
    sha: str = ""


def fetch(forge: Forge, folder: Path, facts: Sequence[str] = ()) -> Champion | None:
    """Fetch the newest release into `folder`: its bundle as the folder `bundle`, and files that stand beside it.

    Args:
        forge: With a token that reads.
        folder: Is made.
        facts: Which of `FACTS`, if the release has them.

    Returns:
        None while there is no release.

    Raises:
        RatchetError: The release holds no bundle, or not one that can be used.
    """
    found = newest(forge)
    if found is None:
        return None
    asset = found.asset(BUNDLE)
    if asset is None:
        raise RatchetError(f"release {found.tag}: has no {BUNDLE}\ndelete the release, or dispatch release.yml")
    with TemporaryDirectory() as scratch:
        archive = Path(scratch, BUNDLE)
        forge.download_asset(asset, archive, LARGEST_BUNDLE)
        unpack(archive, folder / "bundle")
    for name in facts:
        fact = found.asset(name)
        if fact is not None:
            forge.download_asset(fact, folder / name, LARGEST_BUNDLE)
    bundle.load(folder / "bundle")
    return Champion(found.tag, folder / "bundle")


def newest(forge: Forge) -> Release | None:
    """The newest release of a model; other releases of the repository are none of ours."""
    published = [entry for entry in forge.releases() if not entry.draft and _number(entry.tag)]
    return max(published, key=lambda entry: _number(entry.tag), default=None)


def release(forge: Forge, run: int, root: Path = Path()) -> str:
    """Release what main's dvc.lock names, unless that is released already.

    Args:
        forge: With a token that writes.
        run: The workflow run that does it, for the record.
        root: Main, checked out.

    Returns:
        What was done, in one sentence.

    Raises:
        RatchetError: The lock was never judged, the judged bytes are gone or differ, or a first model is too weak.
    """
    book, last = ledger.Ledger(forge), newest(forge)
    if last is None:
        return _publish(forge, book, _first(forge, root), run)
    digest = lock.digest_of(root)
    listing = book.listing()
    recorded = {entry["tag"]: entry["lock_digest"] for entry in listing.releases()}
    if recorded.get(last.tag) == digest:
        return f"main's lock is that of {last.tag}: nothing to release"
    with TemporaryDirectory() as scratch:
        champion = fetch(forge, Path(scratch, "champion"))
        if champion and _md5(champion.folder) == lock.locked_md5(root / "dvc.lock", "export", "bundle"):
            if champion.tag not in recorded:  # it was published, and then the run ended
                _record(book, _published(listing, last, champion, digest), champion.tag, run)
            return f"the model is that of {champion.tag}: nothing to release"
        found = _judged(forge, listing, digest, Path(scratch))
        return _publish(forge, book, replace(found, sha=_git(root, "rev-parse", "HEAD")), run)


def _published(listing: ledger.Listing, last: Release, champion: Champion, digest: str) -> Candidate:
    """What a release that is published already was made from."""
    entry = next(_passed(listing, digest), None)
    pull, path = (entry["pull_request"], ledger.path_of(entry)) if entry else (None, None)
    return Candidate(champion.folder, bundle.digest(champion.folder), digest, {}, pull, path, "", last.sha)


def pack(folder: Path, archive: Path) -> None:
    """A folder's files as a zip whose bytes depend on nothing but theirs."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.iterdir()):
            packed.writestr(zipfile.ZipInfo(path.name, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)


def unpack(archive: Path, folder: Path) -> None:
    """The files of a zip that `pack` made.

    Raises:
        RatchetError: It is no zip, or not a flat and bounded one.
    """
    try:
        with zipfile.ZipFile(archive) as packed, files.directory(folder) as new:
            if sum(member.file_size for member in packed.infolist()) > LARGEST_BUNDLE:
                raise RatchetError(f"{archive.name}: holds more than {LARGEST_BUNDLE / 1e6:.0f} MB")
            for member in packed.infolist():
                if PurePosixPath(member.filename).name != member.filename or member.filename in {"", ".", ".."}:
                    raise RatchetError(f"{archive.name}: holds {member.filename[:80]!r}, which is no plain file name")
                (new / member.filename).write_bytes(packed.read(member))
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError) as error:  # RuntimeError: encrypted
        raise RatchetError(f"{archive.name}: cannot be unpacked: {error}") from error


def _publish(forge: Forge, book: ledger.Ledger, found: Candidate, run: int) -> str:
    tag = f"{PREFIX}{1 + max((_number(entry.tag) for entry in forge.releases() if not entry.draft), default=0)}"
    with TemporaryDirectory() as scratch:
        archive = Path(scratch, BUNDLE)
        pack(found.folder, archive)
        assets = [archive]
        for name, path in sorted(found.facts.items()):
            files.copy(path, Path(scratch, name))
            assets.append(Path(scratch, name))
        forge.create_release(tag, found.sha, f"Model {tag.removeprefix(PREFIX)}", _notes(found), assets)
    _record(book, found, tag, run)
    return f"released {tag}: {found.sentence}"


def _record(book: ledger.Ledger, found: Candidate, tag: str, run: int) -> None:
    book.append(
        ledger.record(
            "release",
            ledger.now(),
            tag=tag,
            sha=found.sha,
            run=run,
            model_digest=found.model_digest,
            lock_digest=found.lock_digest,
            pull_request=found.pull_request,
            verdict=found.verdict,
        )
    )


def _notes(found: Candidate) -> str:
    from ratchet.report.markdown import escape

    origin = f"Judged in #{found.pull_request}." if found.pull_request else "The first model of this repository."
    digests = f"Model digest `{found.model_digest}`, lock digest `{found.lock_digest}`."
    return f"{escape(found.sentence)}\n\n{origin} {digests}\n"


def _md5(folder: Path) -> str:
    """What dvc.lock says of a folder that holds these files."""
    return lock.directory_md5({path.name: lock.md5(path.read_bytes()) for path in folder.iterdir()})


def _number(tag: str) -> int:
    number = tag.removeprefix(PREFIX)
    return int(number) if tag.startswith(PREFIX) and number.isdigit() else 0


def _first(forge: Forge, root: Path) -> Candidate:
    """Train what main says, commit the lock when it is not there yet, and hold the model against its baselines."""
    environment = {**os.environ, "PYTHONPATH": str((root / "src").resolve())}
    if subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, env=environment, check=False).returncode:
        raise RatchetError("dvc repro fails on main, so there is nothing to release\nits output above says why")
    sha = _git(root, "rev-parse", "HEAD")
    if _git(root, "status", "--porcelain", "dvc.lock"):
        text = (root / "dvc.lock").read_bytes()
        sha = forge.commit_files(forge.default_branch, sha, {"dvc.lock": text}, _LOCKED)
    verdict = _against_baselines(root)
    if verdict["verdict"] in {"block", "void"} or not verdict["primary"]["improvement"] > 0:
        raise RatchetError(f"the first model does not beat its baselines, so it is not released\n{verdict['sentence']}")
    facts = {
        "dataset.json": root / data.DATASET,
        "evaluation.json": root / "evaluation/evaluation.json",
        "training.json": root / "model/training.json",
    }
    digest = bundle.digest(root / "bundle")
    return Candidate(root / "bundle", digest, lock.digest_of(root), facts, None, None, _better(verdict["primary"]), sha)


def _better(primary: Record) -> str:
    old, new, title = primary["champion"], primary["challenger"], primary["title"]
    return f"{title} is {new:.4g}, that of the best baseline {old:.4g}."


_LOCKED = "dvc.lock: what the pipeline makes of this commit"


def _against_baselines(root: Path) -> Record:
    from ratchet import gate, outputs, params
    from ratchet.problem import Problem

    given = params.load(root / "params.yaml")
    found = outputs.find(root)
    rows = outputs.holdout(found, None)
    side = outputs.side(Problem(given.problem), found, rows, None, behaves=True)
    return gate.verdict(gate.best_baseline(side, given.gate), side, rows.digests, given.gate, 1)


def _judged(forge: Forge, listing: ledger.Listing, digest: str, scratch: Path) -> Candidate:
    """The artifact that the newest passing verdict about this lock was about."""
    from ratchet import intake

    entry = next(_passed(listing, digest), None)
    if entry is None:
        raise RatchetError(
            f"main's lock {digest[:12]}: no verdict in the ledger let it pass, so nothing is released\n"
            "bring the model through a pull request"
        )
    artifacts = {artifact.id: artifact for artifact in forge.artifacts(entry["run"])}
    artifact = artifacts.get(entry["artifact"]["id"])
    if artifact is None or artifact.expired:
        raise RatchetError(
            f"pull request {entry['pull_request']}: its artifact is gone\nbring the model through a pull request again"
        )
    if artifact.digest != entry["artifact"]["digest"]:
        raise RatchetError(f"artifact {artifact.id}: is not the one that was judged; nothing is released")
    forge.download(artifact, scratch / "evidence.zip", LARGEST_BUNDLE)
    submission = intake.read(scratch / "evidence.zip", scratch / "evidence")
    if submission.outcome != "proposed" or bundle.digest(submission.bundle) != entry["model_digest"]:
        raise RatchetError(f"artifact {artifact.id}: holds another model than the one that was judged")
    facts = {name: submission.folder / name for name in FACTS}
    return Candidate(
        submission.bundle,
        entry["model_digest"],
        digest,
        facts,
        entry["pull_request"],
        ledger.path_of(entry),
        str(entry["sentence"]),
    )


def _passed(listing: ledger.Listing, digest: str) -> Iterator[Record]:
    """Verdicts about a lock that let it pass, newest first: promoted, or held and accepted."""
    about = [entry for entry in listing.all_verdicts() if entry["lock_digest"] == digest]  # claims are not among them
    accepted = {entry["verdict"] for entry in listing.acceptances()}
    for entry in reversed(about):
        if entry["verdict"] == "promote" or ledger.path_of(entry) in accepted:
            yield entry


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RatchetError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()

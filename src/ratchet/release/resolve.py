"""Finds the judged bytes that main's dvc.lock names, and checks every hash of them. Reads only.

A repository without a release trains its first model here, which must beat the baselines.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet import bundle, data, files, folders, ledger, lock
from ratchet.errors import RatchetError
from ratchet.release import code, holdout, published
from ratchet.release.candidate import CARD, FOLDER, LOCK, SMOKE, VERDICT, Candidate, behind
from ratchet.release.published import FACTS, ORIGIN
from ratchet.release.refusal import Refusal, Refused

if TYPE_CHECKING:
    from ratchet.forge import Artifact, Forge, Release
    from ratchet.intake import Submission

Record = Mapping[str, Any]

LARGEST_TREE = 200_000_000
"""Bytes at most of a commit's files."""


def candidate(forge: Forge, root: Path, out: Path) -> Candidate:
    """Find what main's dvc.lock names, and write the folder `out`.

    Args:
        forge: With a token that reads.
        root: Main, checked out.
        out: The folder; whole, or not there.

    Raises:
        Refused: The lock was never judged, or the judged bytes are not what they were.
        RatchetError: A repository's first model fails, or is too weak.
    """
    with files.directory(out) as folder:
        last = published.newest(forge.releases())
        found = _first(root, folder) if last is None else _next(forge, root, last, folder)
        found.write(folder)
    return found


def passed(listing: ledger.Listing, digest: str) -> Iterator[Record]:
    """Verdicts about a lock that let it pass, newest first: promoted, or held and accepted; no claims.

    Those before a *block* or a *void* count no more: the lock was found to be harmful, or the comparison unfair, since.
    """
    about = [entry for entry in listing.all_verdicts() if entry["lock_digest"] == digest]
    accepted = {entry["verdict"] for entry in listing.acceptances()}
    for entry in reversed(about):
        if entry["verdict"] in {"block", "void"}:
            return
        if entry["verdict"] == "promote" or ledger.path_of(entry) in accepted:
            yield entry


# --- what there is to do ---------------------------------------------------------------------------------------------


def _next(forge: Forge, root: Path, last: Release, folder: Path) -> Candidate:
    """What follows from a lock and a ledger, where there is a release already."""
    main, listing = _main(root), ledger.Ledger(forge).listing()
    recorded = listing.read(f"releases/{last.tag}.json")
    done = _is_released(forge, root, last, recorded, main["lock_digest"])
    if done is None:
        return _judged(forge, root, last, listing, folder, main)
    if recorded is None and last.asset(ORIGIN):
        return Candidate(
            "finish", f"{last.tag} is published, and its run ended before it was recorded", last.tag, **main
        )
    if waiting := behind(forge, last.sha):
        return Candidate("finish", f"{done}; {_numbered(waiting)} to be refreshed", last.tag, **main)
    return Candidate("nothing", done, last.tag, **main)


def _numbered(numbers: list[int]) -> str:
    return (
        f"pull request {', '.join(map(str, numbers))} is" if len(numbers) == 1 else f"{len(numbers)} pull requests are"
    )


def _is_released(forge: Forge, root: Path, last: Release, recorded: Record | None, digest: str) -> str | None:
    """Why there is nothing to release, in one sentence; None when there is."""
    if recorded and recorded["lock_digest"] == digest:
        return f"main's lock is that of {last.tag}: nothing to release"
    with TemporaryDirectory() as scratch:
        champion = published.fetch_release(forge, last, Path(scratch, "champion"))
        if published.md5_of(champion.folder) == lock.out_md5(lock.read(root / LOCK), "export", FOLDER):
            return f"the model is that of {last.tag}: nothing to release"
    return None


# --- a merge ---------------------------------------------------------------------------------------------------------


def _judged(forge: Forge, root: Path, last: Release, listing: ledger.Listing, folder: Path, main: Record) -> Candidate:
    """The artifact that a passing verdict about this lock was about; the newest one that is still there."""
    digest, tag = main["lock_digest"], published.next_tag(last)
    entries = list(passed(listing, digest))
    if not entries:
        raise Refused(_unjudged(listing, digest))
    found = next(((entry, artifact) for entry in entries if (artifact := _artifact(forge, entry))), None)
    if found is None:
        why = (
            f"the artifact of pull request {entries[0]['pull_request']}, which was judged, is gone: it is judged again"
        )
        return Candidate("rejudge", why, tag, pull_request=entries[0]["pull_request"], **main)
    entry, artifact = found
    with TemporaryDirectory() as scratch:
        submission = _checked(forge, root, entry, artifact, Path(scratch))
        if faults := _faults(root):
            raise Refused(_stale(faults))
        _write(root, folder, submission)
    files.write_json(folder / VERDICT, entry)
    return Candidate(
        "ship",
        str(entry["sentence"]),
        tag,
        model_digest=entry["model_digest"],
        pull_request=entry["pull_request"],
        verdict=ledger.path_of(entry),
        artifact=dict(entry["artifact"]),
        **main,
    )


def _unjudged(listing: ledger.Listing, digest: str) -> Refusal:
    known = [entry for entry in listing.all_verdicts() if entry["lock_digest"] == digest]
    found = f"{known[-1]['verdict']} in pull request {known[-1]['pull_request']}" if known else "none about it"
    return Refusal(
        "main's dvc.lock was never judged to pass",
        f"a verdict that lets the lock {digest[:12]}… pass",
        found,
        f"branch {ledger.BRANCH}",
        "bring the model through a pull request, or put back the dvc.lock that was judged",
    )


def _faults(root: Path) -> list[str]:
    """Where main's dvc.lock does not fit main: a conflict that was resolved by keeping one side of it, say."""
    live = lock.live_of((root / "dvc.yaml").read_bytes(), (root / "params.yaml").read_bytes())
    return lock.faults(lock.read(root / LOCK), live, lambda path: files.read_bytes(root / path), _tracked(root))


def _stale(faults: list[str]) -> Refusal:
    others = f", and {len(faults) - 1} more" if faults[1:] else ""
    remedy = "run `dvc repro` on a branch of main, and bring the dvc.lock that it makes through a pull request"
    fits = "a lock of the code and the parameters that main has"
    return Refusal("main's dvc.lock is not about what main holds", fits, f"{faults[0]}{others}", LOCK, remedy)


def _artifact(forge: Forge, entry: Record) -> Artifact | None:
    """What was judged; None when GitHub has it no more, or its whole run.

    Raises:
        Refused: It has another digest.
    """
    artifact = forge.artifact(entry["artifact"]["id"])
    if artifact is None or artifact.expired:
        return None
    if artifact.digest != entry["artifact"]["digest"]:
        raise Refused(_other("artifact", entry["artifact"]["digest"], artifact.digest, _where(entry)))
    return artifact


def _where(entry: Record) -> str:
    return f"artifact {entry['artifact']['id']} of run {entry['run']}, pull request {entry['pull_request']}"


def _other(what: str, expected: object, found: object, where: str) -> Refusal:
    remedy = "find out who changed it and how; then bring the model through a pull request again"
    return Refusal(f"the {what} is not the one that was judged", str(expected), str(found), where, remedy)


def _checked(forge: Forge, root: Path, entry: Record, artifact: Artifact, scratch: Path) -> Submission:
    """The artifact, unpacked, when every hash in it is the one that the record or main's dvc.lock says."""
    from ratchet import intake

    where = _where(entry)
    archive = scratch / "evidence.zip"
    forge.download(replace(artifact, digest=None), archive, intake.LARGEST_ARCHIVE)
    if artifact.digest not in {None, f"sha256:{(found := files.sha256(archive))}"}:
        raise Refused(_other("artifact", artifact.digest, f"sha256:{found}", where))
    try:
        submission = intake.read(archive, scratch / "evidence")
    except intake.Rejected as error:
        raise Refused(_other("artifact", "evidence in its shape", error, where)) from error
    if submission.outcome != "proposed":
        raise Refused(_other("artifact", "a model", submission.outcome, where))
    for what, expected, actual in _hashes(root, entry, submission):
        if expected != actual:
            raise Refused(_other(what, expected, actual, where))
    if unknown := _strays(forge, root, entry, submission):
        raise Refused(_unknown(unknown, where))
    return submission


def _strays(forge: Forge, root: Path, entry: Record, submission: Submission) -> list[str]:
    """The code in the bundle that neither main nor the judged commit has: what is imported to make the Bento."""
    model = {path.name: path.read_bytes() for path in submission.bundle.iterdir()}
    main = {name: (root / name).read_bytes() for name in _tracked(root, "src") if (root / name).is_file()}
    # Main may have other code since, which no stage reads; the judged commit is asked for only then.
    return code.strays(model, [main]) and code.strays(
        model, [main, forge.objects.content(entry["head_sha"], LARGEST_TREE, "src/")]
    )


def _unknown(names: list[str], where: str) -> Refusal:
    others = f", and {len(names) - 1} more" if names[1:] else ""
    return Refusal(
        "the bundle holds code that is not in the repository",
        "what main or the judged commit has under src/",
        f"{names[0]}{others}",
        where,
        "find out where it comes from; then bring the model through a pull request again",
    )


def _hashes(root: Path, entry: Record, submission: Submission) -> Iterator[tuple[str, object, object]]:
    """What of an artifact is compared: its name, what it has to be, what it is."""
    from ratchet.intake import OUTPUTS

    yield "model", entry["model_digest"], bundle.digest(submission.bundle)
    yield "bundle", lock.out_md5(lock.read(root / LOCK), "export", FOLDER), published.md5_of(submission.bundle)
    live = lock.live_stages(root)
    yield "lock", entry["lock_digest"], lock.digest(lock.parse(submission.lock), live)
    stages = lock.read(root / LOCK)
    known = {
        item["path"]: item["md5"]
        for name in live
        for kind in ("deps", "outs")
        for item in stages.get(name, {}).get(kind, [])
        if "md5" in item
    }
    for here, there in OUTPUTS.items():
        if there in known:
            yield here, known[there], lock.md5((submission.folder / here).read_bytes())


def _write(root: Path, folder: Path, submission: Submission) -> None:
    """Copy what ships, and fetch the rows for its smoke test."""
    from ratchet import intake, params
    from ratchet.problem import Problem

    with files.directory(folder / FOLDER) as new:
        for path in submission.bundle.iterdir():
            files.copy(path, new / path.name)
    for name in FACTS:
        files.copy(submission.folder / name, folder / name)
    given = params.load(root / "params.yaml")
    problem = Problem(given.problem, root / folders.SRC)
    rows = holdout.fetched(problem, submission.dataset, given.data.checks)
    labelled = rows[rows[problem.target].notna()]
    try:
        intake.check_keys(submission.scores, labelled, problem)
    except intake.Rejected as error:
        raise Refused(_other("holdout", "scores of the rows that main ingests", error, "scores")) from error
    files.write_text(folder / SMOKE, holdout.lines(problem, rows, submission.scores, submission.schema))
    _write_card(root, folder)


def _write_card(root: Path, folder: Path) -> None:
    from ratchet import card
    from ratchet.report import markdown

    manifest = bundle.read_manifest(folder / FOLDER)
    facts = [files.read_json(folder / name) for name in FACTS]
    texts = card.texts(root / folders.SRC / manifest["problem"] / folders.CARD)
    files.write_text(folder / CARD, markdown.render(card.card(texts, manifest, *facts)))


# --- a new repository ------------------------------------------------------------------------------------------------


def _first(root: Path, folder: Path) -> Candidate:
    """Train what main says, and hold the model against its baselines."""
    from ratchet import params
    from ratchet.intake import OUTPUTS
    from ratchet.problem import Problem

    environment = {**os.environ, "PYTHONPATH": str((root / "src").resolve())}
    if subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, env=environment, check=False).returncode:
        raise RatchetError("dvc repro fails on main, so there is nothing to release\nits output above says why")
    verdict = _against_baselines(root)
    if verdict["verdict"] in {"block", "void"} or not verdict["primary"]["improvement"] > 0:
        raise RatchetError(f"the first model does not beat its baselines, so it is not released\n{verdict['sentence']}")
    with files.directory(folder / FOLDER) as new:
        for path in (root / FOLDER).iterdir():
            files.copy(path, new / path.name)
    for name in FACTS:
        files.copy(root / OUTPUTS[name], folder / name)
    if _git(root, "status", "--porcelain", LOCK):
        files.copy(root / LOCK, folder / LOCK)
    opened, given = bundle.load(folder / FOLDER), params.load(root / "params.yaml")
    rows = data.load(files.read_json(folder / "dataset.json"), "test", root / data.PERIODS)
    scores = files.read_parquet(root / "evaluation/scores.parquet")
    problem = Problem(given.problem, root / folders.SRC)
    files.write_text(folder / SMOKE, holdout.lines(problem, rows, scores, opened.schema))
    _write_card(root, folder)
    return Candidate(
        "ship",
        _better(verdict["primary"]),
        published.next_tag(None),
        model_digest=opened.digest,
        **_main(root),
    )


def _better(primary: Record) -> str:
    old, new, title = primary["champion"], primary["challenger"], primary["title"]
    return f"{title} is {new:.4g}, that of the best baseline {old:.4g}."


def _against_baselines(root: Path) -> Record:
    from ratchet import gate, outputs, params
    from ratchet.problem import Problem

    given = params.load(root / "params.yaml")
    found = outputs.find(root)
    rows = outputs.holdout(found, None)
    side = outputs.side(Problem(given.problem, root / folders.SRC), found, rows, None, behaves=True)
    return gate.verdict(gate.best_baseline(side, given.gate), side, rows.digests, given.gate, 1)


def _main(root: Path) -> dict[str, Any]:
    """What every candidate says of main."""
    sha, committed = _git(root, "show", "--no-patch", "--format=%H %ct", "HEAD").split()
    return {"sha": sha, "committed": int(committed), "lock_digest": lock.digest_of(root)}


def _tracked(root: Path, *under: str) -> list[str]:
    return [name for name in _git(root, "ls-files", "-z", *under).split("\0") if name]


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RatchetError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()

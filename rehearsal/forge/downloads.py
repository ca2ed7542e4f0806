"""Files for whoever has their address: signed ones, assets of public releases, raw files, archives."""

from __future__ import annotations

import hmac
import mimetypes
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rehearsal.forge import access, artifacts
from rehearsal.forge.http import Answer, Ask
from rehearsal.forge.refusal import not_found

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge
    from rehearsal.forge.state import Repository, Run

_ASSET = re.compile(r"/([^/]+/[^/]+)/releases/download/([^/]+)/([^/]+)")
_RAW = re.compile(r"/([^/]+/[^/]+)/raw/([^/]+)/(.+)")
_ARCHIVE = re.compile(r"/api/files/archive/([^/]+/[^/]+)/([0-9a-f]{40})\.(tar\.gz|zip)")
_LOG = re.compile(r"/api/files/logs/(\d+)/(\d+)\.zip")
_TYPES = {"tar.gz": "application/x-gzip", "zip": "application/zip"}


def is_download(path: str) -> bool:
    """The path is one of ours."""
    return path.startswith("/api/files/") or bool(_ASSET.fullmatch(path) or _RAW.fullmatch(path))


def address_of_archive(forge: Forge, repository: Repository, sha: str, kind: str) -> str:
    """Where the files of a commit can be had without a token."""
    inside = Path("files-of", repository.full_name, sha)
    return f"{forge.url}/api/files/archive/{repository.full_name}/{sha}.{kind}?sig={artifacts.signature(forge, inside)}"


def address_of_log(forge: Forge, run: Run, attempt: int) -> str:
    """Where the logs of an attempt can be had without a token."""
    return (
        f"{forge.url}/api/files/logs/{run.id}/{attempt}.zip?sig={artifacts.signature(forge, Path('logs', str(run.id)))}"
    )


def answer(ask: Ask, path: str) -> Answer:
    """The file.

    Raises:
        Refusal: 404, it is not there or the signature is wrong.
    """
    for pattern, give in ((_ARCHIVE, _archive), (_LOG, _log), (_ASSET, _asset), (_RAW, _raw)):
        match = pattern.fullmatch(path)
        if match:
            return give(ask, match)
    inside = Path(path.removeprefix("/api/files/"))
    _signed(ask, inside)
    return _file(ask.forge.folder / inside, "application/octet-stream")


def _signed(ask: Ask, inside: Path) -> None:
    if not hmac.compare_digest(ask.query.get("sig", ""), artifacts.signature(ask.forge, inside)):
        raise not_found()


def _archive(ask: Ask, match: re.Match[str]) -> Answer:
    name, sha, kind = match.groups()
    _signed(ask, Path("files-of", name, sha))
    repository = ask.forge.repository(name)
    folder = f"{repository.owner}-{repository.name}-{sha[:7]}"
    content = ask.forge.git(repository).archive(sha, kind, folder)
    headers = {"Content-Type": _TYPES[kind], "Content-Disposition": f"attachment; filename={folder}.{kind}"}
    return Answer(200, content, headers)


def _log(ask: Ask, match: re.Match[str]) -> Answer:
    run = ask.forge.run(int(match[1]))
    _signed(ask, Path("logs", str(run.id)))
    return Answer(200, logs(run, int(match[2])), {"Content-Type": "application/zip"})


def logs(run: Run, attempt: int) -> bytes:
    """The zip of an attempt's log."""
    import io
    import zipfile

    kept = {run.attempt: run.log, **{past["attempt"]: past["log"] for past in run.attempts}}
    path = Path(kept.get(attempt, ""))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0_run.txt", path.read_text(errors="replace") if path.is_file() else "")
    return buffer.getvalue()


def _asset(ask: Ask, match: re.Match[str]) -> Answer:
    name, tag, file = match.groups()
    repository = _visible(ask, name)
    for release in ask.forge.releases(repository):
        if release.tag == tag and not release.draft:
            for asset in release.assets:
                if asset.name == file:
                    return Answer(302, b"", {"Location": artifacts.address(ask.forge, asset.path)})
    raise not_found()


def _raw(ask: Ask, match: re.Match[str]) -> Answer:
    name, ref, path = match.groups()
    git = ask.forge.git(_visible(ask, name))
    commit = git.resolve(ref)
    content = git.read(commit, path) if commit else None
    if content is None:
        raise not_found()
    return Answer(200, content, {"Content-Type": "text/plain; charset=utf-8"})


def _visible(ask: Ask, name: str) -> Repository:
    repository = ask.forge.repository(name)
    access.check(ask.forge.state, repository, ask.actor, ["contents:read"], "read")
    return repository


def _file(path: Path, kind: str) -> Answer:
    if not path.is_file():
        raise not_found()
    headers = {
        "Content-Type": mimetypes.guess_type(path.name)[0] or kind,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(path.name)}",
    }
    return Answer(200, path.read_bytes(), headers)

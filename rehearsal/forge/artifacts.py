"""Files that runs leave, and their addresses that need no token."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.forge.state import Artifact, Run

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge

_KEPT = datetime.timedelta(days=90)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def keep(forge: Forge, run: Run, name: str, source: Path, *, is_archived: bool) -> Artifact:
    """Store a folder or a file under a run."""
    with forge.changing() as state:
        identifier = state.new_id()
        folder = forge.folder / "files" / "artifacts" / str(identifier)
        folder.mkdir(parents=True)
        path = folder / (f"{name}.zip" if is_archived else source.name)
        if is_archived:
            _zip(source, path)
        else:
            shutil.copyfile(source, path)
        with path.open("rb") as file:
            digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        expires = (datetime.datetime.now(datetime.UTC) + _KEPT).strftime("%Y-%m-%dT%H:%M:%SZ")
        artifact = Artifact(identifier, run.repository, run.id, run.attempt, name, "", path.stat().st_size, digest)
        artifact.path, artifact.expires_at = str(path), expires
        replaced = (run.id, run.attempt, name)
        state.artifacts = [one for one in state.artifacts if (one.run_id, one.attempt, one.name) != replaced]
        state.artifacts.append(artifact)
        return artifact


def _zip(source: Path, target: Path) -> None:
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    root = source if source.is_dir() else source.parent
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with path.open("rb") as reader, archive.open(entry, "w") as writer:
                shutil.copyfileobj(reader, writer)


def signature(forge: Forge, path: Path) -> str:
    """What makes an address of a stored file valid without a token."""
    return hmac.new(forge.state.secret.encode(), str(path).encode(), "sha256").hexdigest()[:32]


def address(forge: Forge, path: Path | str) -> str:
    """Where a stored file can be had without a token."""
    inside = Path(path).resolve().relative_to(forge.folder)
    return f"{forge.url}/api/files/{inside.as_posix()}?sig={signature(forge, inside)}"

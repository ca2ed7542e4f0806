"""Releases: drafts, tags, assets."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.forge import events, heads
from rehearsal.forge.access import Actor
from rehearsal.forge.refusal import Refusal, invalid, not_found
from rehearsal.forge.state import Asset, Release, Repository, now

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge


def refuse_target(forge: Forge, repository: Repository, target: str, actor: Actor) -> None:
    """A workflow makes no release at a commit whose workflow files differ from the default branch's.

    Raises:
        Refusal: 404, as GitHub's API description has it.
    """
    sha = forge.git(repository).resolve(target) if actor.is_workflow else None
    if sha and heads.changed_workflows(forge, repository, None, sha):
        raise not_found()


def publish(forge: Forge, release: Release, actor: Actor) -> None:
    """Make its tag, if there is none, and let everybody see it.

    Raises:
        Refusal: 422, another release has the tag, or its target is nowhere.
    """
    repository = forge.repository(release.repository)
    others = (one for one in forge.releases(repository) if one.id != release.id and not one.draft)
    if any(one.tag == release.tag for one in others):
        raise invalid("Release", "tag_name", "already_exists")
    git = forge.git(repository)
    tag = git.ref(f"refs/tags/{release.tag}^{{commit}}")
    target = tag or git.resolve(release.target or repository.default_branch)
    if target is None:
        raise invalid("Release", "target_commitish")
    if tag is None:
        heads.move(forge, repository, f"refs/tags/{release.tag}", target, actor)
    release.sha, release.draft, release.published_at = target, False, now()
    forge.emit(events.release(forge, release, "published", actor.login), actor)


def latest(forge: Forge, repository: str) -> Release | None:
    """The newest that is neither a draft nor a pre-release."""
    found = [one for one in forge.releases(repository) if not one.draft and not one.prerelease]
    return max(found, key=lambda one: (one.published_at or "", one.id), default=None)


def attach(forge: Forge, release: Release, asset: Asset, content: bytes) -> Asset:
    """Store a file of a release.

    Raises:
        Refusal: 422, it has one of that name.
    """
    if any(one.name == asset.name for one in release.assets):
        raise invalid("ReleaseAsset", "name", "already_exists")
    path = forge.folder / "files" / "releases" / str(asset.id) / asset.name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    asset.path, asset.size = str(path), len(content)
    asset.digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    release.assets.append(asset)
    return asset


def discard(release: Release, asset: Asset) -> None:
    """Delete a file of a release."""
    release.assets.remove(asset)
    shutil.rmtree(Path(asset.path).parent)


def by_id(forge: Forge, repository: str, identifier: int) -> Release:
    """A release by its id.

    Raises:
        Refusal: 404, there is none.
    """
    found = next((one for one in forge.releases(repository) if one.id == identifier), None)
    if found is None:
        raise Refusal(404, "Not Found")
    return found

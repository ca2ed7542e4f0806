"""Releases and their assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rehearsal.forge.shapes.people import node_id, user
from rehearsal.forge.shapes.repositories import html, url

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge
    from rehearsal.forge.state import Asset, Release, Repository


def release(forge: Forge, one: Release) -> dict[str, Any]:
    """A release."""
    own = f"{url(forge, one.repository)}/releases/{one.id}"
    page = html(forge, one.repository)
    tag = quote(one.tag)
    return {
        "url": own,
        "html_url": f"{page}/releases/tag/{f'untagged-{one.id}' if one.draft else tag}",
        "assets_url": f"{own}/assets",
        "upload_url": f"{forge.url}/api/uploads/repos/{one.repository}/releases/{one.id}/assets{{?name,label}}",
        "tarball_url": None if one.draft else f"{url(forge, one.repository)}/tarball/{tag}",
        "zipball_url": None if one.draft else f"{url(forge, one.repository)}/zipball/{tag}",
        "id": one.id,
        "node_id": node_id("Release", one.id),
        "tag_name": one.tag,
        "target_commitish": one.target or one.sha,
        "name": one.name or None,
        "body": one.body or None,
        "draft": one.draft,
        "prerelease": one.prerelease,
        "immutable": False,
        "created_at": one.created_at,
        "published_at": one.published_at,
        "updated_at": one.published_at or one.created_at,
        "author": user(forge, one.author),
        "assets": [asset(forge, one, of) for of in one.assets],
    }


def asset(forge: Forge, one: Release, of: Asset) -> dict[str, Any]:
    """A file of a release."""
    return {
        "url": f"{url(forge, one.repository)}/releases/assets/{of.id}",
        "browser_download_url": f"{html(forge, one.repository)}/releases/download/{quote(one.tag)}/{quote(of.name)}",
        "id": of.id,
        "node_id": node_id("ReleaseAsset", of.id),
        "name": of.name,
        "label": of.label,
        "state": "uploaded",
        "content_type": of.content_type,
        "size": of.size,
        "digest": of.digest,
        "download_count": of.download_count,
        "created_at": of.created_at,
        "updated_at": of.updated_at,
        "uploader": user(forge, of.uploader),
    }


def tag_of(forge: Forge, repository: Repository, name: str, sha: str) -> dict[str, Any]:
    """A tag in a list."""
    root = url(forge, repository)
    return {
        "name": name,
        "commit": {"sha": sha, "url": f"{root}/commits/{sha}"},
        "zipball_url": f"{root}/zipball/refs/tags/{quote(name)}",
        "tarball_url": f"{root}/tarball/refs/tags/{quote(name)}",
        "node_id": node_id("Ref", f"{repository.id}:refs/tags/{name}"),
    }

"""Releases and their assets."""

from __future__ import annotations

import shutil

from rehearsal.forge import access, artifacts, releases
from rehearsal.forge.http import Answer, Ask, page
from rehearsal.forge.refusal import Refusal, invalid, not_found
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import releases as shapes
from rehearsal.forge.state import Asset, Release, now

_BYTES = "application/octet-stream"


def _can_write(ask: Ask) -> bool:
    if ask.actor.token and ask.actor.token.permissions is not None:
        return access.reaches(ask.actor.token.permissions.get("contents"), "write")
    return access.reaches(access.role(ask.forge.state, ask.repository, ask.actor), "write")


def _list(ask: Ask) -> Answer:
    """Drafts are seen by those alone who can write."""
    found = [one for one in ask.forge.releases(ask.repository) if not one.draft or _can_write(ask)]
    return page(ask, found[::-1], lambda one: shapes.release(ask.forge, one))


def _release(ask: Ask) -> Release:
    found = releases.by_id(ask.forge, ask.repository.full_name, ask.number("release_id"))
    if found.draft and not _can_write(ask):
        raise not_found()
    return found


def _get(ask: Ask) -> Answer:
    return Answer(200, shapes.release(ask.forge, _release(ask)))


def _latest(ask: Ask) -> Answer:
    found = releases.latest(ask.forge, ask.repository.full_name)
    if found is None:
        raise not_found()
    return Answer(200, shapes.release(ask.forge, found))


def _of_tag(ask: Ask) -> Answer:
    for one in ask.forge.releases(ask.repository):
        if one.tag == ask.params["tag"] and not one.draft:
            return Answer(200, shapes.release(ask.forge, one))
    raise not_found()


def _create(ask: Ask) -> Answer:
    state, body, tag = ask.forge.state, ask.body, ask.need("tag_name", str, "Release")
    if not ask.git.refs("refs/heads/"):
        raise Refusal(422, "Repository is empty.", [{"resource": "Release", "code": "custom"}])
    target = body.get("target_commitish") or ask.repository.default_branch
    releases.refuse_target(ask.forge, ask.repository, target, ask.actor)
    name, text = body.get("name") or "", body.get("body") or ""
    release = Release(state.new_id(), ask.repository.full_name, tag, "", name, text, ask.login, draft=True)
    release.target, release.prerelease = target, bool(body.get("prerelease"))
    if not body.get("draft"):
        releases.publish(ask.forge, release, ask.actor)
    state.releases.append(release)
    return Answer(201, shapes.release(ask.forge, release))


def _edit(ask: Ask) -> Answer:
    release, body = _release(ask), ask.body
    release.tag, release.name = body.get("tag_name") or release.tag, body.get("name", release.name) or ""
    release.body, release.target = body.get("body", release.body) or "", body.get("target_commitish") or release.target
    release.prerelease = bool(body.get("prerelease", release.prerelease))
    releases.refuse_target(ask.forge, ask.repository, release.target, ask.actor)
    if body.get("draft") is False and release.draft:
        releases.publish(ask.forge, release, ask.actor)
    return Answer(200, shapes.release(ask.forge, release))


def _delete(ask: Ask) -> Answer:
    release = _release(ask)
    for asset in list(release.assets):
        releases.discard(release, asset)
    ask.forge.state.releases.remove(release)
    return Answer(204)


def _assets(ask: Ask) -> Answer:
    release = _release(ask)
    return page(ask, release.assets, lambda one: shapes.asset(ask.forge, release, one))


def _upload(ask: Ask) -> Answer:
    release, name = _release(ask), ask.query.get("name", "").replace(" ", ".")
    if not name or "/" in name or name.startswith("."):
        raise invalid("ReleaseAsset", "name")
    if not ask.raw:
        raise Refusal(400, "Bad Content-Length: 0")
    kind = ask.headers.get("content-type", "application/octet-stream")
    asset = Asset(ask.forge.state.new_id(), name, "", 0, "", kind, ask.query.get("label") or None, ask.login)
    releases.attach(ask.forge, release, asset, ask.raw)
    return Answer(201, shapes.asset(ask.forge, release, asset))


def _asset(ask: Ask) -> tuple[Release, Asset]:
    for release in ask.forge.releases(ask.repository):
        for asset in release.assets:
            if asset.id == ask.number("asset_id") and (not release.draft or _can_write(ask)):
                return release, asset
    raise not_found()


def _get_asset(ask: Ask) -> Answer:
    release, asset = _asset(ask)
    if ask.headers.get("accept", "").startswith(_BYTES):
        asset.download_count += 1
        return Answer(302, b"", {"Location": artifacts.address(ask.forge, asset.path)})
    return Answer(200, shapes.asset(ask.forge, release, asset))


def _edit_asset(ask: Ask) -> Answer:
    release, asset = _asset(ask)
    name = ask.body.get("name") or asset.name
    if any(one.name == name and one.id != asset.id for one in release.assets):
        raise invalid("ReleaseAsset", "name", "already_exists")
    old = asset.path
    asset.name, asset.label, asset.updated_at = name, ask.body.get("label", asset.label), now()
    asset.path = old.rpartition("/")[0] + f"/{name}"
    shutil.move(old, asset.path)
    return Answer(200, shapes.asset(ask.forge, release, asset))


def _delete_asset(ask: Ask) -> Answer:
    releases.discard(*_asset(ask))
    return Answer(204)


_READ, _WRITE = "contents:read", "contents:write"
_RELEASE = "/repos/{owner}/{repo}/releases/{release_id}"
_ASSET = "/repos/{owner}/{repo}/releases/assets/{asset_id}"
ROUTES = (
    Route("GET", "/repos/{owner}/{repo}/releases", _list, _READ),
    Route("POST", "/repos/{owner}/{repo}/releases", _create, _WRITE),
    Route("GET", "/repos/{owner}/{repo}/releases/latest", _latest, _READ),
    Route("GET", "/repos/{owner}/{repo}/releases/tags/{tag}", _of_tag, _READ),
    Route("GET", _ASSET, _get_asset, _READ, media=_BYTES),
    Route("PATCH", _ASSET, _edit_asset, _WRITE),
    Route("DELETE", _ASSET, _delete_asset, _WRITE),
    Route("GET", _RELEASE, _get, _READ),
    Route("PATCH", _RELEASE, _edit, _WRITE),
    Route("DELETE", _RELEASE, _delete, _WRITE),
    Route("GET", f"{_RELEASE}/assets", _assets, _READ),
)
UPLOADS = (Route("POST", f"{_RELEASE}/assets", _upload, _WRITE),)

"""Releases: what was shipped, from which commit, with its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rehearsal.pages import records
from rehearsal.pages.layout import View, avatar, box, empty, page, person, pill
from rehearsal.pages.markup import Html, tag, text
from rehearsal.pages.words import NOTHING, size, when

if TYPE_CHECKING:
    from rehearsal.forge import Asset, Release


def render(view: View, name: str | None = None) -> Html | None:
    """All releases, newest first, or the one with this tag; None where there is none."""
    found = view.state.releases_of(view.name)[::-1]
    shown = [one for one in found if name in {None, one.tag}]
    if name and not shown:
        return None
    ledger = records.read(view.git)
    newest = next((one.id for one in found if not one.draft and not one.prerelease), None)
    parts = [
        _release(view, one, ledger.get(f"releases/{one.tag}.json"), is_newest=one.id == newest) for one in shown
    ] or [box(empty("No release yet."))]
    title = name or "Releases"
    return page(title, [tag("h1", "Releases"), parts], view, "releases")


def _release(view: View, one: Release, record: Mapping[str, Any] | None, *, is_newest: bool) -> Html:
    mark = pill("none", "draft") if one.draft else pill("good", "latest") if is_newest else None
    head = [
        tag("a", tag("strong", one.name or one.tag), href=view.path("releases", "tag", one.tag)),
        mark,
        tag("span.tag", one.tag),
        view.commit(one.sha),
        tag("span.by.quiet.small", avatar(one.author), person(one.author), when(one.published_at or one.created_at)),
    ]
    body = tag("div.inside", view.markdown(one.body)) if one.body.strip() else None
    return box(body, _facts(view, record) if record else None, _assets(view, one), title=head)


def _facts(view: View, record: Mapping[str, Any]) -> Html:
    """What the ledger says of it."""
    number = record.get("pull_request")
    facts = {
        "Image": _digest(str(record.get("image") or "").rpartition("@sha256:")[2], str(record.get("image") or "")),
        "Model": _digest(str(record.get("model_digest") or "")),
        "Lock": _digest(str(record.get("lock_digest") or "")),
        "Bento": tag("code", str(record["bento"])) if record.get("bento") else text(NOTHING),
        "Judged in": view.pull_link(number) if isinstance(number, int) else text(NOTHING),
    }
    return tag("dl.facts", (tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()))


def _digest(digest: str, title: str = "") -> Html:
    return tag("code", digest[:16], title=title or digest) if digest else text(NOTHING)


def _assets(view: View, one: Release) -> Html | None:
    if not one.assets:
        return None
    head = tag("tr", tag("th", "File"), tag("th.numeric", "Size"), tag("th", "Digest"))
    return tag("table.data.below", head, text(_asset(view, one, asset) for asset in one.assets))


def _asset(view: View, one: Release, asset: Asset) -> Html:
    link = tag("a", asset.name, href=view.path("releases", "download", one.tag, asset.name))
    kind = tag("span.tag", _KINDS[asset.name]) if asset.name in _KINDS else None
    digest = tag("code", asset.digest.removeprefix("sha256:")[:16], title=asset.digest)
    return tag("tr", tag("td", link, " ", kind), tag("td.numeric", size(asset.size)), tag("td", digest))


_KINDS = {
    "bundle.zip": "the judged bytes",
    "sbom.spdx.json": "what is in the image",
    "smoke.json": "the image, asked",
    "verdict.json": "the record it rests on",
}
"""What some files of a release are, beside their name."""

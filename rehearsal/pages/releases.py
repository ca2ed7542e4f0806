"""Releases: what was shipped, from which commit, with its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rehearsal.pages.layout import View, avatar, box, empty, page, person, pill
from rehearsal.pages.markup import Html, tag, text
from rehearsal.pages.words import size, when

if TYPE_CHECKING:
    from rehearsal.forge import Asset, Release


def render(view: View, name: str | None = None) -> Html | None:
    """All releases, newest first, or the one with this tag; None where there is none."""
    found = view.state.releases_of(view.name)[::-1]
    shown = [one for one in found if name in {None, one.tag}]
    if name and not shown:
        return None
    newest = next((one.id for one in found if not one.draft and not one.prerelease), None)
    parts = [_release(view, one, is_newest=one.id == newest) for one in shown] or [box(empty("No release yet."))]
    title = name or "Releases"
    return page(title, [tag("h1", "Releases"), parts], view, "releases")


def _release(view: View, one: Release, *, is_newest: bool) -> Html:
    mark = pill("none", "draft") if one.draft else pill("good", "latest") if is_newest else None
    head = [
        tag("a", tag("strong", one.name or one.tag), href=view.path("releases", "tag", one.tag)),
        mark,
        tag("span.tag", one.tag),
        view.commit(one.sha),
        tag("span.by.quiet.small", avatar(one.author), person(one.author), when(one.published_at or one.created_at)),
    ]
    body = tag("div.inside", view.markdown(one.body)) if one.body.strip() else None
    return box(body, _assets(view, one), title=head)


def _assets(view: View, one: Release) -> Html | None:
    if not one.assets:
        return None
    head = tag("tr", tag("th", "File"), tag("th.numeric", "Size"), tag("th", "Digest"))
    return tag("table.data.below", head, text(_asset(view, one, asset) for asset in one.assets))


def _asset(view: View, one: Release, asset: Asset) -> Html:
    link = tag("a", asset.name, href=view.path("releases", "download", one.tag, asset.name))
    digest = tag("code", asset.digest.removeprefix("sha256:")[:16], title=asset.digest)
    return tag("tr", tag("td", link), tag("td.numeric", size(asset.size)), tag("td", digest))

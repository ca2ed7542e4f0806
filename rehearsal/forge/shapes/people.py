"""Users."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rehearsal.forge.forge import Forge

_LISTS = ("followers", "subscriptions", "organizations", "repos", "received_events")
_TEMPLATES = {"following": "{/other_user}", "gists": "{/gist_id}", "starred": "{/owner}{/repo}", "events": "{/privacy}"}


def node_id(kind: str, identifier: int | str) -> str:
    """GitHub's other name for a thing: opaque, but stable."""
    return base64.b64encode(f"{kind}:{identifier}".encode()).decode()


def user(forge: Forge, login: str) -> dict[str, Any]:
    """A user as they stand in other things; made when the forge has not met them."""
    found = forge.state.user(login)
    url = f"{forge.api}/users/{login}"
    return {
        "login": login,
        "id": found.id,
        "node_id": node_id("User", found.id),
        "avatar_url": f"{forge.url}/avatars/{found.id}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{forge.url}/{login}",
        **{f"{name}_url": f"{url}/{name}" for name in _LISTS},
        **{f"{name}_url": f"{url}/{name}{template}" for name, template in _TEMPLATES.items()},
        "type": found.type,
        "user_view_type": "public",
        "site_admin": False,
    }


def profile(forge: Forge, login: str) -> dict[str, Any]:
    """A user as they see themselves."""
    nothing = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
    counts = dict.fromkeys(("public_gists", "followers", "following"), 0)
    owned = [one for one in forge.state.repositories if one.owner == login]
    at = owned[0].created_at if owned else "2026-01-01T00:00:00Z"
    return {
        **user(forge, login),
        **nothing,
        **counts,
        "public_repos": sum(not one.private for one in owned),
        "created_at": at,
        "updated_at": at,
    }

"""The REST routes, one module for each kind of thing. `ROUTES` is all there is, in GitHub's own notation."""

from rehearsal.forge.routes import (
    actions,
    checks,
    contents,
    environments,
    git_data,
    issues,
    people,
    pulls,
    releases,
    repositories,
    rulesets,
)
from rehearsal.forge.routes.route import Route

_API = "/api/v3"
_UPLOADS = "/api/uploads"

ROUTES: tuple[Route, ...] = (
    *people.ROUTES,
    *rulesets.ROUTES,
    *git_data.ROUTES,
    *contents.ROUTES,
    *pulls.ROUTES,
    *issues.ROUTES,
    *checks.ROUTES,
    *actions.ROUTES,
    *environments.ROUTES,
    *releases.ROUTES,
    *repositories.ROUTES,
)
"""Served under /api/v3; where two match, the earlier one answers."""

UPLOADS: tuple[Route, ...] = releases.UPLOADS
"""Served under /api/uploads."""


def find(method: str, path: str) -> tuple[Route | None, dict[str, str]]:
    """The route of a request and the parameters in its path; a HEAD is a GET."""
    routes, prefix = (UPLOADS, _UPLOADS) if path.startswith(_UPLOADS) else (ROUTES, _API)
    inner = path.removeprefix(prefix)
    for route in routes:
        match = route.pattern.fullmatch(inner)
        if match and route.method == method.replace("HEAD", "GET"):
            return route, match.groupdict()
    return None, {}


__all__ = ["ROUTES", "UPLOADS", "Route", "find"]

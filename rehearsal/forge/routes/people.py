"""Users."""

from __future__ import annotations

from rehearsal.forge.http import Answer, Ask
from rehearsal.forge.refusal import Refusal, not_found
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import people


def _myself(ask: Ask) -> Answer:
    if ask.actor.is_workflow:
        raise Refusal(403, "Resource not accessible by integration")
    private = dict.fromkeys(
        ("private_gists", "total_private_repos", "owned_private_repos", "disk_usage", "collaborators"), 0
    )
    return Answer(200, {**people.profile(ask.forge, ask.login), **private, "two_factor_authentication": True})


def _somebody(ask: Ask) -> Answer:
    login = ask.params["username"]
    if all(user.login != login for user in ask.forge.state.users):
        raise not_found()
    return Answer(200, people.profile(ask.forge, login))


def _rate_limit(ask: Ask) -> Answer:
    rate = ask.forge.quota.of(ask.actor).shape()
    return Answer(200, {"resources": {"core": rate, "search": rate}, "rate": rate})


ROUTES = (
    Route("GET", "/user", _myself, role="read"),
    Route("GET", "/users/{username}", _somebody, role="none"),
    Route("GET", "/rate_limit", _rate_limit, role="none"),
)

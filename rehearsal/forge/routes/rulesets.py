"""Rulesets, and the rules that hold for a branch."""

from __future__ import annotations

from typing import Any

from rehearsal.forge import rules
from rehearsal.forge.http import Answer, Ask, page
from rehearsal.forge.refusal import Refusal, not_found
from rehearsal.forge.routes.route import Route
from rehearsal.forge.shapes import people, repositories
from rehearsal.forge.state import now

_ENFORCED = {"disabled", "active", "evaluate"}


def _summary(ask: Ask, one: dict[str, Any]) -> dict[str, Any]:
    root, html = repositories.url(ask.forge, ask.repository), repositories.html(ask.forge, ask.repository)
    return {
        "id": one["id"],
        "name": one["name"],
        "target": one["target"],
        "source_type": "Repository",
        "source": ask.repository.full_name,
        "enforcement": one["enforcement"],
        "node_id": people.node_id("RepositoryRuleset", one["id"]),
        "created_at": one["created_at"],
        "updated_at": one["updated_at"],
        "_links": {
            "self": {"href": f"{root}/rulesets/{one['id']}"},
            "html": {"href": f"{html}/rules/{one['id']}"},
        },
    }


def _full(ask: Ask, one: dict[str, Any]) -> dict[str, Any]:
    more = {"conditions": one["conditions"], "rules": one["rules"]}
    if ask.actor.token is not None and not ask.actor.is_workflow:  # who may bypass is shown to those who may know
        more |= {"bypass_actors": one["bypass_actors"], "current_user_can_bypass": "never"}
    return {**_summary(ask, one), **more}


def _list(ask: Ask) -> Answer:
    return page(ask, ask.repository.rulesets, lambda one: _summary(ask, one))


def _found(ask: Ask) -> dict[str, Any]:
    found = next((one for one in ask.repository.rulesets if one["id"] == ask.number("ruleset_id")), None)
    if found is None:
        raise not_found()
    return found


def _get(ask: Ask) -> Answer:
    return Answer(200, _full(ask, _found(ask)))


def _fill(ask: Ask, one: dict[str, Any]) -> dict[str, Any]:
    body = ask.body
    for name in ("name", "target", "enforcement", "conditions", "rules", "bypass_actors"):
        if name in body:
            one[name] = body[name]
    if one["enforcement"] not in _ENFORCED:
        raise Refusal(422, "Validation Failed", ["Enforcement is not included in the list"])  # type: ignore[list-item]
    if not all(isinstance(rule, dict) and "type" in rule for rule in one["rules"]):
        raise Refusal(422, "Validation Failed", ["Invalid rules"])  # type: ignore[list-item]
    one["updated_at"] = now()
    return one


def _create(ask: Ask) -> Answer:
    name = ask.need("name", str, "Ruleset")
    if any(one["name"] == name for one in ask.repository.rulesets):
        raise Refusal(422, "Validation Failed", ["Name must be unique"])  # type: ignore[list-item]
    empty: dict[str, Any] = {
        "target": "branch",
        "enforcement": "",
        "conditions": {"ref_name": {"include": [], "exclude": []}},
        "rules": [],
        "bypass_actors": [],
    }
    one = _fill(ask, {"id": ask.forge.state.new_id(), **empty, "created_at": now()})
    ask.repository.rulesets.append(one)
    return Answer(201, _full(ask, one))


def _update(ask: Ask) -> Answer:
    found = _found(ask)
    found.update(_fill(ask, dict(found)))
    return Answer(200, _full(ask, found))


def _delete(ask: Ask) -> Answer:
    ask.repository.rulesets.remove(_found(ask))
    return Answer(204)


def _of_branch(ask: Ask) -> Answer:
    ref = f"refs/heads/{ask.params['branch']}"
    held = rules.rules_of(ask.repository.rulesets, ref, ask.repository.default_branch)
    source = {"ruleset_source_type": "Repository", "ruleset_source": ask.repository.full_name}
    return page(ask, held, lambda one: {**one, **source})


_ADMIN = ("administration:write", "admin")
ROUTES = (
    Route("GET", "/repos/{owner}/{repo}/rulesets", _list),
    Route("POST", "/repos/{owner}/{repo}/rulesets", _create, *_ADMIN),
    Route("GET", "/repos/{owner}/{repo}/rulesets/{ruleset_id}", _get),
    Route("PUT", "/repos/{owner}/{repo}/rulesets/{ruleset_id}", _update, *_ADMIN),
    Route("DELETE", "/repos/{owner}/{repo}/rulesets/{ruleset_id}", _delete, *_ADMIN),
    Route("GET", "/repos/{owner}/{repo}/rules/branches/{branch}", _of_branch),
)

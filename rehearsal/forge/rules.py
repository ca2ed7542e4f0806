"""Rulesets, as pure functions: which rules hold for a branch, and what a push or a merge would violate."""

from __future__ import annotations

import fnmatch
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Ruleset = Mapping[str, Any]
Rule = Mapping[str, Any]

PREFIX = "Repository rule violations found\n\n"
"""How GitHub begins to say which rules are violated."""

ACTIONS = "actions"
"""Who a workflow's token is, for a ruleset; a person is their role."""

_PLAYED = {
    "creation", "deletion", "non_fast_forward", "pull_request", "required_linear_history", "required_status_checks",
    "update",
}  # fmt: skip
_REVIEWS = ("required_approving_review_count", "required_reviewers", "require_last_push_approval")
_ACTIONS_APP = 15368
_ROLES = {2: ("admin",), 4: ("write", "admin"), 5: ("admin",)}
"""GitHub's numbers for the roles maintain, write and admin, and which of ours have them."""


@dataclass(frozen=True)
class Check:
    """What a commit has under a name that a ruleset requires: success, failing, pending or expected (nothing)."""

    name: str
    state: str


def rules_of(
    rulesets: Iterable[Ruleset], ref: str, default_branch: str, who: str = "none", *, merging: bool = False
) -> list[Rule]:
    """The active rules for a full ref.

    Args:
        rulesets: Of the repository.
        ref: That shall change.
        default_branch: What `~DEFAULT_BRANCH` means.
        who: A role, or `ACTIONS`; rulesets they may bypass are left out.
        merging: A pull request is merged; some may bypass a ruleset for that alone.
    """
    modes = {"always", "pull_request"} if merging else {"always"}
    return [
        {**rule, "ruleset_id": ruleset["id"], "ruleset_source": ruleset.get("source", "")}
        for ruleset in rulesets
        if ruleset.get("enforcement") == "active"
        and _covers(ruleset, ref, default_branch)
        and not _bypass(ruleset, who, modes)
        for rule in ruleset.get("rules", [])
    ]


def required_checks(rules: Iterable[Rule]) -> list[str]:
    """Names of the statuses that a commit needs before it can be merged."""
    found = [
        check["context"]
        for rule in rules
        if rule["type"] == "required_status_checks"
        for check in rule["parameters"]["required_status_checks"]
    ]
    return list(dict.fromkeys(found))


def of_actions(rules: Iterable[Rule]) -> set[str]:
    """Those of them that only GitHub Actions can satisfy."""
    return {
        check["context"]
        for rule in rules
        if rule["type"] == "required_status_checks"
        for check in rule["parameters"]["required_status_checks"]
        if check.get("integration_id") == _ACTIONS_APP
    }


def is_strict(rules: Iterable[Rule]) -> bool:
    """A branch must hold the newest commit of its base before it can be merged."""
    return any(
        rule["parameters"].get("strict_required_status_checks_policy", False)
        for rule in rules
        if rule["type"] == "required_status_checks"
    )


def allowed_methods(rules: Iterable[Rule]) -> set[str]:
    """The merge methods that all rules allow."""
    allowed = {"merge", "squash", "rebase"}
    for rule in rules:
        if rule["type"] == "pull_request":
            allowed &= set(rule.get("parameters", {}).get("allowed_merge_methods") or allowed)
        if rule["type"] == "required_linear_history":
            allowed.discard("merge")
    return allowed


def push_violations(rules: Sequence[Rule], *, creates: bool, deletes: bool, is_forward: bool) -> list[str]:
    """Why a branch may not be moved directly; empty when it may."""
    found = []
    for rule in rules:
        match rule["type"]:
            case "deletion" if deletes:
                found.append("Cannot delete this branch")
            case "non_fast_forward" if not creates and not deletes and not is_forward:
                found.append("Cannot force-push to this branch")
            case "creation" if creates:
                found.append("Cannot create ref due to creations being restricted.")
            case "update" if not creates and not deletes:
                found.append("Cannot update this protected ref.")
            case "pull_request" if not creates and not deletes:
                found.append("Changes must be made through a pull request.")
    return found


def unplayed(rules: Iterable[Rule]) -> list[str]:
    """Rules that the forge does not play, so it takes a pull request to violate them."""
    kinds = [rule["type"] for rule in rules if rule["type"] not in _PLAYED]
    reviews = [name for rule in rules for name in _REVIEWS if rule.get("parameters", {}).get(name)]
    return [f"The forge does not know whether {name} is satisfied." for name in (*kinds, *reviews)]


def check_violations(checks: Sequence[Check], *, is_behind: bool) -> list[str]:
    """Why the checks of a commit do not suffice. A branch that is behind has, for GitHub, none of them yet."""
    if is_behind:
        checks = [Check(check.name, "expected") for check in checks]
    open_checks = [check for check in checks if check.state != "success"]
    if not open_checks:
        return []
    states = [check.state for check in open_checks]
    if len(open_checks) == 1:
        only = open_checks[0]
        return [f'Required status check "{only.name}" is {only.state}.']
    of = f"{len(open_checks)} of {len(checks)} required status checks"
    if len(set(states)) == 1:
        return [f"{of} are {states[0]}."]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return [f"{of} have not succeeded: {counted}."]


def _covers(ruleset: Ruleset, ref: str, default_branch: str) -> bool:
    if ruleset.get("target", "branch") == "branch" and not ref.startswith("refs/heads/"):
        return False
    if ruleset.get("target") == "tag" and not ref.startswith("refs/tags/"):
        return False
    names = (ruleset.get("conditions") or {}).get("ref_name") or {}
    return _matches(names.get("include", []), ref, default_branch) and not _matches(
        names.get("exclude", []), ref, default_branch
    )


def _matches(patterns: Iterable[str], ref: str, default_branch: str) -> bool:
    named = {"~DEFAULT_BRANCH": f"refs/heads/{default_branch}", "~ALL": "*"}
    return any(fnmatch.fnmatchcase(ref, named.get(pattern, pattern)) for pattern in patterns)


def _bypass(ruleset: Ruleset, who: str, modes: Container[str]) -> bool:
    return any(
        _is_meant(actor, who)
        for actor in ruleset.get("bypass_actors") or []
        if actor.get("bypass_mode", "always") in modes
    )


def _is_meant(actor: Mapping[str, Any], who: str) -> bool:
    if actor.get("actor_type") == "Integration":
        return who == ACTIONS and actor.get("actor_id") == _ACTIONS_APP
    return actor.get("actor_type") == "RepositoryRole" and who in _ROLES.get(actor.get("actor_id", 0), ())

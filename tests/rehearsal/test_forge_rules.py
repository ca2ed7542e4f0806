"""Rulesets, as values."""

import pytest

from rehearsal.forge.rules import (
    ACTIONS,
    Check,
    allowed_methods,
    check_violations,
    is_strict,
    push_violations,
    required_checks,
    rules_of,
)


def ruleset(*rules: dict, **fields: object) -> dict:
    return {
        "id": 1,
        "enforcement": "active",
        "target": "branch",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": list(rules),
        **fields,
    }


def types(found: list) -> list[str]:
    return [rule["type"] for rule in found]


REQUIRED = {
    "type": "required_status_checks",
    "parameters": {
        "strict_required_status_checks_policy": True,
        "required_status_checks": [{"context": "ci-gate"}, {"context": "model-gate"}],
    },
}


def test_a_ruleset_of_the_default_branch_holds_there_alone() -> None:
    """Other branches are free."""
    rulesets = [ruleset({"type": "deletion"})]

    assert types(rules_of(rulesets, "refs/heads/main", "main")) == ["deletion"]
    assert rules_of(rulesets, "refs/heads/topic", "main") == []
    assert rules_of(rulesets, "refs/tags/main", "main") == []


@pytest.mark.parametrize("enforcement", ["disabled", "evaluate"])
def test_a_ruleset_that_is_not_active_holds_nowhere(enforcement: str) -> None:
    """Evaluate reports, but lets pass."""
    assert rules_of([ruleset({"type": "deletion"}, enforcement=enforcement)], "refs/heads/main", "main") == []


def test_excluded_names_win_over_included_ones() -> None:
    """`~ALL` but not `deploy`."""
    names = {"ref_name": {"include": ["~ALL"], "exclude": ["refs/heads/dep*"]}}
    rulesets = [ruleset({"type": "deletion"}, conditions=names)]

    assert types(rules_of(rulesets, "refs/heads/records", "main")) == ["deletion"]
    assert rules_of(rulesets, "refs/heads/deploy", "main") == []


@pytest.mark.parametrize(
    ("actor", "who", "is_free"),
    [
        ({"actor_type": "RepositoryRole", "actor_id": 5}, "admin", True),
        ({"actor_type": "RepositoryRole", "actor_id": 5}, "write", False),
        ({"actor_type": "RepositoryRole", "actor_id": 4}, "write", True),
        ({"actor_type": "RepositoryRole", "actor_id": 5}, ACTIONS, False),
        ({"actor_type": "Integration", "actor_id": 15368}, ACTIONS, True),
        ({"actor_type": "Integration", "actor_id": 15368}, "admin", False),
    ],
)
def test_who_may_bypass_is_named_by_role_or_application(actor: dict, who: str, *, is_free: bool) -> None:
    """5 is the admins, 4 those who write, 15368 is GitHub Actions."""
    rulesets = [ruleset({"type": "deletion"}, bypass_actors=[actor])]

    assert (rules_of(rulesets, "refs/heads/main", "main", who) == []) is is_free


def test_a_bypass_for_pull_requests_is_none_for_pushes() -> None:
    """It counts when a pull request is merged."""
    actor = {"actor_type": "RepositoryRole", "actor_id": 5, "bypass_mode": "pull_request"}
    rulesets = [ruleset({"type": "deletion"}, bypass_actors=[actor])]

    assert types(rules_of(rulesets, "refs/heads/main", "main", "admin")) == ["deletion"]
    assert rules_of(rulesets, "refs/heads/main", "main", "admin", merging=True) == []


def test_required_checks_are_read_from_the_rule() -> None:
    """Their names, and whether the branch must be up to date."""
    assert required_checks([REQUIRED]) == ["ci-gate", "model-gate"]
    assert is_strict([REQUIRED])
    assert not is_strict([{"type": "deletion"}])


def test_what_a_direct_push_breaks_is_said_in_githubs_words() -> None:
    """A pull request is needed, history stays, the branch stays."""
    held = [{"type": "pull_request"}, {"type": "non_fast_forward"}, {"type": "deletion"}]

    assert push_violations(held, creates=False, deletes=False, is_forward=True) == [
        "Changes must be made through a pull request."
    ]
    assert push_violations(held, creates=False, deletes=False, is_forward=False) == [
        "Changes must be made through a pull request.",
        "Cannot force-push to this branch",
    ]
    assert push_violations(held, creates=False, deletes=True, is_forward=False) == ["Cannot delete this branch"]
    assert push_violations(held, creates=True, deletes=False, is_forward=False) == []


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (["success", "success"], []),
        (["success", "expected"], ['Required status check "model-gate" is expected.']),
        (["failing", "success"], ['Required status check "ci-gate" is failing.']),
        (["expected", "expected"], ["2 of 2 required status checks are expected."]),
        (["pending", "failing"], ["2 of 2 required status checks have not succeeded: 1 pending, 1 failing."]),
    ],
)
def test_missing_checks_are_counted_as_github_counts_them(states: list[str], words: list[str]) -> None:
    """One by its name, several by their number."""
    checks = [Check(name, state) for name, state in zip(["ci-gate", "model-gate"], states, strict=True)]

    assert check_violations(checks, is_behind=False) == words


def test_a_branch_that_is_behind_has_no_check_yet() -> None:
    """Strict: yesterday's green statuses are still expected."""
    checks = [Check("ci-gate", "success"), Check("model-gate", "success")]

    assert check_violations(checks, is_behind=True) == ["2 of 2 required status checks are expected."]


def test_a_linear_history_and_a_pull_request_rule_narrow_the_merge_methods() -> None:
    """All rules together decide."""
    only = {"type": "pull_request", "parameters": {"allowed_merge_methods": ["merge", "squash"]}}

    assert allowed_methods([only]) == {"merge", "squash"}
    assert allowed_methods([only, {"type": "required_linear_history"}]) == {"squash"}

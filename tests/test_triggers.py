"""Which branches a workflow file listens to."""

from __future__ import annotations

import pytest

from ratchet import triggers


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("on: push", True),
        ("on: [push, pull_request]", True),
        ("'on': {push: }", True),
        ("on: {push: {branches: [main]}}", False),
        ("on: {push: {branches: main}}", False),
        ("on: {push: {branches: [main, master]}}", True),
        ("on: {push: {branches: ['**']}}", True),
        ("on: {push: {branches: ['**', '!master']}}", False),
        ("on: {push: {branches-ignore: ['m*']}}", False),
        ("on: {push: {branches-ignore: [records]}}", True),
        ("on: {pull_request: {branches: [main]}}", False),
        ("on: {push: {tags: ['v*']}}", True),
        ("on: {workflow_run: {workflows: [ci], branches: [main]}}", True),
        ("on: {schedule: [{cron: '5 4 * * *'}]}", True),
        ("on: [", True),
    ],
)
def test_a_file_hears_of_a_branch_unless_its_filters_leave_it_out(on: str, expected: bool) -> None:
    """Only what asks for pushes or pull requests of other branches is deaf to `master`."""
    assert triggers.hears(f"name: a\n{on}\n", "master") is expected


@pytest.mark.parametrize(
    ("pattern", "branch", "expected"),
    [
        ("*", "main", True),
        ("*", "release/main", False),
        ("**", "release/main", True),
        ("release/*", "release/main", True),
        ("v[12].x", "v1.x", True),
        ("v[12].x", "v3.x", False),
        ("v1.x", "v1-x", False),
        ("mains?", "main", True),
    ],
)
def test_patterns_are_githubs(pattern: str, branch: str, expected: bool) -> None:
    """As its cheat sheet lists them."""
    assert triggers.matches(pattern, branch) is expected

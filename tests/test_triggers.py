"""Which branches a workflow file listens to."""

from __future__ import annotations

import re

import pytest

from ratchet import triggers
from ratchet.errors import RatchetError


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("on: push", True),
        ("on: [push, pull_request]", True),
        ("'on': {push: }", True),
        ("on: {push: {branches: [main]}}", False),
        ("on: {push: {branches: main}}", False),
        ("on: {push: {branches: []}}", False),
        ("on: {push: {branches: [main, master]}}", True),
        ("on: {push: {branches: ['**']}}", True),
        ("on: {push: {branches: ['**', '!master']}}", False),
        ("on: {push: {branches-ignore: ['m*']}}", False),
        ("on: {push: {branches-ignore: [records]}}", True),
        ("on: {push: {tags: ['v*']}}", False),
        ("on: {push: {tags-ignore: ['v*']}}", False),
        ("on: {push: {tags: ['v*'], branches: ['m*']}}", True),
        ("on: {pull_request: }", False),
        ("on: pull_request", False),
        ("on: {workflow_run: {workflows: [ci], branches: [main]}}", False),
        ("on: {schedule: [{cron: '5 4 * * *'}]}", False),
    ],
)
def test_a_file_hears_of_a_push_that_it_names_and_that_no_filter_leaves_out(on: str, expected: bool) -> None:
    """To `master`; one that filters tags alone hears of no branch."""
    assert triggers.hears(f"name: a\n{on}\n", "push", "master") is expected


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("on: [push, pull_request]", True),
        ("on: {push: {tags: ['v*']}, pull_request: {types: [opened]}}", True),
        ("on: {push: {branches: 5}, pull_request: {branches: [main]}}", False),
        ("on: push", False),
    ],
)
def test_each_event_is_asked_for_by_itself(on: str, expected: bool) -> None:
    """What stands under another one does not matter."""
    assert triggers.hears(f"{on}\n", "pull_request", "master") is expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("on: [", "the workflow"),
        ("", "on: None names no event"),
        ("name: a", "on: None names no event"),
        ("on: 5", "on: 5 names no event"),
        ("on: [push, 5]", "on: events: ['push', 5] is no list of texts"),
        ("on: {push: [a]}", "on: push: ['a'] holds no filters"),
        ("on: {push: {branches: }}", "on: push: branches: None is no list of texts"),
        ("on: {push: {branches: [5]}}", "on: push: branches: [5] is no list of texts"),
        ("on: {push: {branches-ignore: {a: b}}}", "on: push: branches-ignore: {'a': 'b'} is no list of texts"),
        ("on: {push: {branches: ['+']}}", "on: '+' is no pattern"),
        ("on: {push: {branches: ['**?+*+?']}}", "is no pattern"),
        ("on: {push: {branches: ['[z-a]']}}", "on: '[z-a]' is no pattern"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, why: str) -> None:
    """And not taken for an answer."""
    with pytest.raises(RatchetError, match=re.escape(why)):
        triggers.hears(f"{text}\n", "push", "master")


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
    assert triggers.matches([pattern], branch) is expected

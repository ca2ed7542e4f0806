"""Revisions: which rows differ, what an entry says, and what is no entry."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratchet import revisions
from ratchet.errors import RatchetError
from ratchet.problem import Problem

OLD, NEW = "a" * 32, "b" * 32
ROWS = {"before": 4, "after": 4, "added": 1, "removed": 1, "changed": 2}


def entry(**changes: Any) -> dict[str, Any]:
    return {"was": OLD, "now": NEW, "rows": ROWS, **changes}


def content(**entries: Any) -> bytes:
    return json.dumps({name.replace("_", "-"): value for name, value in entries.items()}).encode()


def test_rows_are_compared_by_their_keys() -> None:
    """In whatever order they stand; what is missing in both is equal, and a missing value is not a value."""
    before = pd.DataFrame({"id": [1, 2, 3, 4], "x": [0.5, np.nan, np.nan, 4], "name": ["a", None, "c", "d"]})
    after = pd.DataFrame({"id": [5, 4, 3, 2], "x": [1.0, 4, 3, np.nan], "name": ["e", "D", "c", None]})

    assert revisions.differing(before, after, ["id"]) == revisions.Rows(**ROWS)
    assert revisions.differing(before, before, ["id"]).changed == 0


def test_a_column_that_is_new_changes_the_rows_that_have_a_value_in_it() -> None:
    """Code may begin to give one."""
    before = pd.DataFrame({"id": [1, 2], "x": [1, 2]})

    found = revisions.differing(before, before.assign(wind=[3.0, np.nan]), ["id"])

    assert found == revisions.Rows(before=2, after=2, added=0, removed=0, changed=1)


def test_periods_without_a_common_row_are_counted() -> None:
    """Also one that has none left."""
    one, other = (pd.DataFrame({"id": ids, "x": [0.0] * len(ids)}) for ids in ([1, 2], [3]))

    assert revisions.differing(one, other, ["id"]) == revisions.Rows(before=2, after=1, added=1, removed=2, changed=0)


def test_a_reviewer_is_told_what_a_proposal_adds() -> None:
    """Each period in a line, and nothing of those that main has already."""
    before = content(**{"2013_01": entry()})
    after = content(**{"2013_01": entry(), "2013_03": entry(rows=None), "2013_02": entry()})

    assert [revisions.sentence(*item) for item in revisions.proposed(before, after).items()] == [
        "2013-02: 1 rows added, 1 removed, 2 changed; 4 before, 4 after",
        "2013-03: other rows; how many differ was not counted, for those before were not at hand",
    ]
    assert list(revisions.proposed(None, before)) == ["2013-01"]
    assert revisions.proposed(before, None) == {}
    assert revisions.proposed(before, b"{") == {}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"{", "the file: Invalid JSON"),
        (b"[]", "the file: Input should be"),
        (content(a=entry(was="a")), "a.was: String should match pattern"),
        (content(a=entry(rows={**ROWS, "changed": -1})), "a.rows.changed: Input should be greater than or equal to 0"),
        (content(a=entry(more=1)), "a.more: Extra inputs are not permitted"),
        (content(a={"was": OLD}), "a.now: Field required"),
    ],
)
def test_what_no_command_wrote_is_named(written: bytes, said: str) -> None:
    """Where it is wrong, and where a good one is."""
    with pytest.raises(RatchetError) as caught:
        revisions.parse(written)

    assert str(caught.value).startswith(f"revisions.json: {said}")
    assert str(caught.value).endswith("it is written by `ratchet accept-revision`; restore it from main")


@pytest.mark.parametrize(
    ("base", "words"), [(None, "\nname the branch that the change goes to: --base origin/main"), ("origin/trunk", "")]
)
def test_rows_are_not_compared_with_a_base_that_nobody_knows(base: str | None, words: str, tmp_path: Path) -> None:
    """Such as origin's default branch after `git init`: its own lock, instead, would have nothing to take in."""
    author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", "-c", "commit.gpgsign=false"]
    (tmp_path / "dvc.lock").write_text("stages: {}")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "A draft"]):
        subprocess.run(["git", *author, *command], cwd=tmp_path, check=True)

    with pytest.raises(RatchetError) as caught:
        revisions.accept(Problem("toy_coins"), ["2013-01"], str, tmp_path, base)  # type: ignore[arg-type]

    said = f"{base or 'origin/HEAD'}: git knows no such commit here, or it shares no history with HEAD"
    assert str(caught.value) == said + words

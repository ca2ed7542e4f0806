"""docs/github.md: each assumption has a source, a test that plays it, and a question of the self-test (or why none)."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from ratchet.selftest import comments, questions

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "github.md"
ASKED = questions.ASKED.keys() | comments.ASKED.keys()


@dataclass(frozen=True)
class Row:
    """One assumption."""

    id: str
    what: str
    source: str
    date: str
    played: str
    asked: str


def rows() -> list[Row]:
    """The rows of all tables that have ids."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return [Row(*one) for one in cells if len(one) == 6 and one[0] != "id"]


def found_in(name: str) -> set[str]:
    """The tests of the file of that name."""
    (path,) = (ROOT / "tests").rglob(f"{name}.py")
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in found if isinstance(node, ast.FunctionDef)}


def test_each_assumption_has_a_name_of_its_own() -> None:
    """Which is stable, and short."""
    names = [row.id for row in rows()]

    assert len(names) > 40
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_a_row_says_who_says_so_and_which_test_plays_it(row: Row) -> None:
    """The test exists."""
    name, _, test = row.played.strip("`").partition("::")

    assert re.fullmatch(r"2\d{3}(-\d\d(-\d\d)?)?( to \d\d)?", row.date)
    assert re.search(r"docs: |description: |code: |changelog|[\w.-]+/[\w.-]+#\d+", row.source)
    assert test in found_in(name)


def test_the_self_test_asks_what_the_rows_say() -> None:
    """Every question of it stands in a row, and a row without one says why."""
    asked = {row.asked for row in rows() if not row.asked.startswith("cannot: ")}

    assert asked == ASKED
    assert {row.id for row in rows()} >= ASKED

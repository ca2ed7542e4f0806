"""The stand-in for re-actors/alls-green is green where the action is, read at v1.2.2, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal import project

MAIN = project.ROOT / "rehearsal" / "runner" / "actions" / "re-actors__alls-green" / "main.py"


@pytest.mark.parametrize(
    ("results", "failures", "skips", "green"),
    [
        ({"a": "success", "b": "success"}, "[]", "[]", True),
        ({"a": "success", "b": "failure"}, "[]", "[]", False),
        ({"a": "success", "b": "skipped"}, "[]", "[]", False),
        ({"a": "success", "b": "skipped"}, "[]", "", False),
        ({"a": "success", "b": "skipped"}, "[]", "b", True),
        ({"a": "success", "b": "skipped"}, "[]", "c, b", True),
        ({"a": "success", "b": "skipped"}, "[]", '["b"]', True),
        ({"a": "skipped", "b": "success"}, "[]", "b", False),
        ({"a": "success", "b": "failure"}, "[]", "b", False),
        ({"a": "success", "b": "cancelled"}, "[]", "b", False),
        ({"a": "success", "b": "failure"}, "b", "[]", True),
        ({"a": "success", "b": "cancelled"}, "b", "[]", True),
        ({"a": "success", "b": "skipped"}, "b", "[]", True),
        ({"a": "success", "b": "failure"}, "b", "b", False),
        ({}, "[]", "[]", False),
    ],
)
def test_it_is_green_where_the_action_is(
    results: dict[str, str], failures: str, skips: str, green: bool, tmp_path: Path
) -> None:
    """A job that may be skipped must not fail; one that may fail may do anything; no jobs at all are a mistake."""
    given = {
        "INPUT_JOBS": json.dumps({name: {"result": result, "outputs": {}} for name, result in results.items()}),
        "INPUT_ALLOWED-FAILURES": failures,
        "INPUT_ALLOWED-SKIPS": skips,
    }
    environment = {**os.environ, **given, "GITHUB_OUTPUT": str(tmp_path / "output"), "PYTHONPATH": str(MAIN.parents[1])}

    done = subprocess.run([sys.executable, MAIN], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == (0 if green else 1), done.stdout + done.stderr
    if results:
        word = {True: "true", False: "false"}
        assert (tmp_path / "output").read_text().splitlines() == [
            f"result={'success' if green else 'failure'}",
            f"failure={word[not green]}",
            f"success={word[green]}",
        ]

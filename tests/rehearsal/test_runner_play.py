"""`make rehearse`: one event, played with the workflows of the working tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ratchet.errors import RatchetError
from rehearsal import project
from rehearsal.runner import play
from rehearsal.runner.play import Script


def rehearse(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as `make` does."""
    command = [sys.executable, "-m", "rehearsal", *words]
    return subprocess.run(command, cwd=project.ROOT, capture_output=True, text=True, check=False)


def test_a_run_that_fails_is_told_with_the_end_of_its_log() -> None:
    """Jobs with their permissions, steps with their seconds; exit code 1."""
    words = ["--input", "action=accept", "--input", "pull-request=99", "--input", "reason=why"]

    done = rehearse("dispatch:maintainer.yml", *words)

    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("failure: maintainer (workflow_dispatch)")
    assert (
        "  failure: maintainer (actions: write, contents: write, pull-requests: write, statuses: write)\n"
        in done.stdout
    )
    assert "  | job: maintainer\n" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["pull"],
            "pull: is no event\ntake push, pull_request, dispatch:WORKFLOW, schedule:WORKFLOW or a JSON file",
        ),
        (
            ["dispatch"],
            "dispatch: dispatch and schedule name a workflow, as in dispatch:release.yml; the others do not",
        ),
        (["push", "--set", "seed"], "seed: is no key=value"),
    ],
)
def test_a_wrong_word_is_told(words: list[str], message: str) -> None:
    """What is wrong and what to write; exit code 2."""
    done = rehearse(*words)

    assert (done.returncode, done.stderr) == (2, f"error: {message}\n")


def test_an_event_can_be_a_file(tmp_path: Path) -> None:
    """It names the event and what changes; the command line adds to it."""
    path = tmp_path / "event.json"
    path.write_text('{"event": "pull_request", "edits": {"train.seed": 1}, "title": "Another seed"}')

    given = play.script(str(path), {}, {"gate.delta": 0.1})

    assert given == Script("pull_request", "", {}, {"train.seed": 1, "gate.delta": 0.1}, "Another seed")


@pytest.mark.parametrize("text", ["{}", "[]", "no", '{"event": 3}'])
def test_a_file_that_is_no_event_is_refused(tmp_path: Path, text: str) -> None:
    """With an example of one that is."""
    path = tmp_path / "event.json"
    path.write_text(text)

    with pytest.raises(RatchetError, match=r'write \{"event": "pull_request"'):
        play.script(str(path), {}, {})

"""The first edits of a new repository, as README and the first day tell them: from the template as it is.

Nothing is left out: every file of the template, all of ci.yml, the real flights. Each edit is a pull request that
changes one file by the pencil in the browser, and nobody touches another. All are made in one repository, whose model
was released by its first push; of ci.yml's run for that push only the linters are waited for, whose cache others use.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from scenario import gates, head, headline, runs

from rehearsal import project
from rehearsal.desk import Change, Desk

pytestmark = [
    pytest.mark.own,
    pytest.mark.xdist_group("first-edits"),
    pytest.mark.timeout(3600),
    pytest.mark.skipif("FIRST_EDITS" not in os.environ, reason="takes a quarter of an hour: set FIRST_EDITS=1"),
]

PERIODS = ["2013-01", "2013-02", "2013-03", "2013-04"]
FEATURES = "src/flights/model/features.py"
NUMBER = ('    "visib",\n)', '    "visib",\n    "overnight",\n)')
VALUE = (
    '        "visib": row["visib"],\n',
    '        "visib": row["visib"],\n        "overnight": (arrival < departure) * 1.0,\n',
)


@dataclass(frozen=True)
class Edit:
    """One change of one file.

    Attributes:
        path: The file.
        values: Dotted keys to new values, of params.yaml.
        said: What the comment begins with, after its mark.
        gate: What `model-gate` says on the head.
    """

    path: str
    values: Mapping[str, Any] | None
    said: str
    gate: str


EDITS = {
    "seed": Edit("params.yaml", {"train.seed": 1}, "Hold, safe", "failure"),
    "learning-rate": Edit("params.yaml", {"model.learning_rate": 0.03}, "Hold, cannot tell", "failure"),
    "holdout": Edit("params.yaml", {"data.holdout": 2}, "Void", "failure"),
    "period": Edit("params.yaml", {"data.periods": [*PERIODS, "2013-05"]}, "Hold, cannot tell", "failure"),
    "feature": Edit(FEATURES, None, "Hold", "failure"),
    "document": Edit("README.md", None, "Nothing to judge", "success"),
}


def written(edit: Edit, template: Path) -> Change:
    """What the file becomes."""
    if edit.values is not None:
        return edit.values
    if edit.path == "README.md":
        return b"# Our flights\n\nWhen in doubt, ask Ada. `make demo` shows [how it works](docs/rehearsal.md).\n"
    text = (template / edit.path).read_text(encoding="utf-8")
    for old, new in (NUMBER, VALUE):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text.encode()


def edited(template: Path) -> list[str]:
    """Files of the problem that are no longer those that the template comes with."""
    ours = {name: content for name, content in project.example().items() if name != "params.yaml"}
    return [
        name
        for name, content in ours.items()
        if not (template / name).is_file() or (template / name).read_bytes() != content
    ]


def linted(desk: Desk) -> None:
    """Wait for the linters of the first push, and cancel the rest of its run."""
    (run,) = runs(desk, "ci.yml")
    until = time.monotonic() + 1800
    while not any(job.name == "lint" and job.status == "completed" for job in run.jobs):
        assert time.monotonic() < until, "the linters did not end"
        time.sleep(0.5)
    assert desk.ask("POST", f"/actions/runs/{run.id}/cancel").status_code == 202


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, dict[str, int]]]:
    """The repository, and the number of the pull request of each edit, all judged."""
    folder = tmp_path_factory.mktemp("first-edits")
    template = folder / "template"
    project.copy(template)
    if found := edited(template):
        pytest.skip(f"{found[0]} is the repository's own by now, and these are the first edits of the template's")
    (template / "params.yaml").write_bytes(project.PARAMS.read_bytes())
    with Desk(folder / "forge") as desk:
        desk.found(template)
        linted(desk)
        desk.wait(1800)
        assert desk.get("/releases/latest")["tag_name"] == "model-v1"
        desk.protect()
        numbers = {
            name: desk.propose(f"A first {name}", {edit.path: written(edit, template)}, name)
            for name, edit in EDITS.items()
        }
        desk.wait(3000)
        yield desk, numbers


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_ends_in_one_comment_and_in_the_gates_that_are_told(
    world: tuple[Desk, dict[str, int]], name: str
) -> None:
    """The tests and linters pass, the verdict says whether it is better, and no other file was touched by hand."""
    desk, numbers = world
    number, edit = numbers[name], EDITS[name]
    (run,) = (
        run for run in runs(desk, "ci.yml") if run.head_branch == name and run.event == "pull_request" and run.jobs
    )
    took = {job.name: seconds(job) for job in run.jobs}
    print(f"{name}: {headline(desk, number)}\n  {gates(desk, number)}; ci.yml: {sum(took.values()):.0f} s, {took}")

    assert edit.said in headline(desk, number)
    assert gates(desk, number) == {"ci-gate": "success", "model-gate": edit.gate}
    assert {job.name: job.conclusion for job in run.jobs} == {
        **dict.fromkeys(("scope", "lint", "tests", "ci"), "success"),
        "rehearsal": "skipped",
        "environments": "skipped",
    }
    changed = [file["filename"] for file in desk.get(f"/compare/main...{head(desk, number)}")["files"]]
    assert set(changed) - {"dvc.lock"} == {edit.path}  # the lock is committed by the loop where it may be merged


def seconds(job: Any) -> float:
    """How long it took."""
    if job.started_at is None or job.completed_at is None:
        return 0.0
    return (datetime.fromisoformat(job.completed_at) - datetime.fromisoformat(job.started_at)).total_seconds()

"""What the scenarios share: a repository with a released champion on a forge, and what must be true of a pull request.

The problem is the tiny one of the tests (minutes of delay, a ridge regression), the workflows are the real ones. Only
the Makefile is small, so that ci.yml has nothing to do but to pass or to fail.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import project
import requests_example
from ratchet import bundle
from rehearsal.desk import Desk
from rehearsal.forge import BotRuns
from rehearsal.registry import Registry

BETTER, WORSE, SAME = 1.0, 200.0, 100.001
"""Values of model.alpha; the champion's is 100."""

CHECKS = "install lint test:\n\t@echo $@\n"


def found(
    folder: Path,
    change: Callable[[Path], None] = lambda _: None,
    branch: str = "main",
    checks: str = CHECKS,
    name: str = "delays",
) -> Path:
    """A forge in `folder` with one repository, whose first release was made by release.yml.

    Args:
        folder: Is made.
        change: Changes the project before it is anybody's.
        branch: The default one.
        checks: The Makefile.
        name: What the problem is called.
    """
    source = project.delays(folder.with_name(f"{folder.name}-project"), name, model__alpha=100.0).root
    change(source)
    (source / "Makefile").write_text(checks)
    with Desk(folder) as desk:
        desk.found(source, branch)
        desk.wait()
        assert desk.get("/releases/latest")["tag_name"] == "model-v1"
        desk.protect()
    return folder


@contextmanager
def opened(template: Path, folder: Path, bot_runs: BotRuns | None = None) -> Iterator[Desk]:
    """A desk on a copy of a forge; `bot_runs` is what becomes of a workflow's own pushes."""
    shutil.copytree(template, folder)
    state = folder / "state.json"
    content = json.loads(state.read_text().replace(str(template), str(folder)))
    state.write_text(json.dumps({**content, "port": 0}))  # the template's port may be in use
    with Desk(folder, bot_runs=bot_runs) as desk:
        yield desk


def alpha(value: float) -> dict[str, Any]:
    """An edit of params.yaml."""
    return {"params.yaml": {"model.alpha": value}}


def head(desk: Desk, number: int) -> str:
    """The commit that the pull request would merge."""
    return str(desk.pull(number)["head"]["sha"])


def gates(desk: Desk, number: int) -> dict[str, str]:
    """Context to state, on the head."""
    return {context: state for context, (state, _) in desk.statuses(head(desk, number)).items()}


def told(desk: Desk, number: int) -> str:
    """The one comment."""
    comments = desk.comments(number)
    assert len(comments) == 1, f"{len(comments)} comments"
    return comments[0]


def headline(desk: Desk, number: int) -> str:
    """Its first visible line."""
    return told(desk, number).splitlines()[1]


def verdicts(desk: Desk, number: int) -> list[dict[str, Any]]:
    """The records of a pull request's verdicts, oldest first."""
    found = [entry for path, entry in desk.records().items() if path.startswith("verdicts/")]
    return sorted((entry for entry in found if entry["pull_request"] == number), key=lambda entry: entry["run"])


def runs(desk: Desk, workflow: str) -> list[Any]:
    """Runs of a workflow that had something to do and are held by nobody, oldest first."""
    found = [run for run in desk.forge.state.runs if run.path.endswith(f"/{workflow}")]
    return sorted((run for run in found if run.conclusion != "skipped" and not run.is_held), key=lambda run: run.id)


def few(desk: Desk, since: int) -> None:
    """Workflows have asked little of the API from that request on, and no job the same thing twice."""
    calls = requests_example.counted(desk.forge, since)
    told = requests_example.table(desk.forge, calls)
    assert len(calls) <= requests_example.MOST, told
    assert not requests_example.repeated(desk.forge, calls), told


def log(run: Any) -> str:
    """What a run printed."""
    return Path(run.log).read_text(encoding="utf-8")


def jobs(run: Any) -> dict[str, str]:
    """How each job of a run ended."""
    return {job.name: job.conclusion for job in run.jobs}


def state(desk: Desk, environment: str = "staging") -> dict[str, Any]:
    """What an environment is to run, from the branch `deploy`."""
    return dict(json.loads(desk.file("deploy", f"{environment}/state.json")))


def answers(desk: Desk, environment: str = "staging") -> str:
    """The release that answers there by default."""
    found = state(desk, environment)
    return str(found["slots"][found["champion"]]["release"])


def bundle_in(desk: Desk, image: str) -> str:
    """The model digest of the bundle that an image holds, computed from its bytes."""
    root = Registry(desk.folder / "registry").root(image)
    manifests = [path.parent for path in root.rglob("bundle/manifest.json")]
    assert len(manifests) == 1, manifests
    return bundle.load(manifests[0]).digest


def issues(desk: Desk) -> list[str]:
    """Titles of the open issues."""
    return [issue["title"] for issue in desk.get("/issues") if "pull_request" not in issue]


def merges(desk: Desk, number: int, how: str = "merge") -> bool:
    """Press the button, and say whether it did anything."""
    answer = desk.merge(number, how)
    assert answer.status_code in {200, 405}, answer.text
    return answer.status_code == 200

"""A revision, from a stopped run to a release, through the real workflow files: what a message says is done."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from scenario import gates, head, headline, merges, told, verdicts

from project import Project
from rehearsal.desk import Desk

SOURCE = "src/delays/data/source.py"


def test_code_that_gives_other_rows_is_counted_accepted_and_released(desk: Desk, tmp_path: Path) -> None:
    """Two periods at once, the holdout among them; first without the file that takes them in, then with it."""
    here = cloned(desk, tmp_path / "clone")
    assert here.dvc("repro", "ingest@2021-02", "ingest@2021-03").code == 0  # as at any desk: main's rows
    code = (here.root / SOURCE).read_text().replace("distance.round(1)", "(distance + (month >= 2)).round(1)")
    number = desk.propose("Longer from February on", {SOURCE: code.encode()}, "longer")
    desk.wait()

    said = told(desk, number)
    assert "2021-02: code revised: src/delays/data has changed and gives other rows" in said
    assert gates(desk, number)["model-gate"] == "failure"

    advised = re.search(r"`ratchet (accept-revision [^`]+)`", said)
    assert advised, said
    git(here, "fetch", "--quiet", "origin", "longer")
    git(here, "checkout", "--quiet", "--force", "longer")
    accepted = here.ratchet(*advised[1].split())
    assert accepted.code == 0, accepted.out
    git(here, "add", "revisions.json")
    git(here, "-c", "user.name=ada", "-c", "user.email=ada@example.invalid", "commit", "--quiet", "-m", "Take them in")
    git(here, "push", "--quiet", "origin", "longer")
    desk.wait()

    assert "Hold, judge changed" in headline(desk, number)
    said = told(desk, number)
    assert "`revisions.json`: 2021-02: 0 rows added, 0 removed, 335 changed; 335 before, 335 after" in said
    assert "`revisions.json`: 2021-03: 0 rows added, 0 removed, 371 changed; 371 before, 371 after" in said
    assert not merges(desk, number)

    desk.dispatch("maintainer.yml", action="accept", **{"pull-request": str(number), "reason": "They flew further"})
    desk.wait()

    assert desk.statuses(head(desk, number))["model-gate"] == ("success", "Accepted by ada: They flew further")
    assert gates(desk, number) == {"model-gate": "success", "ci-gate": "success"}
    assert merges(desk, number)
    desk.wait()
    assert desk.get("/releases/latest")["tag_name"] == "model-v2"
    (record,) = verdicts(desk, number)
    assert desk.records()["releases/model-v2.json"]["model_digest"] == record["model_digest"]


def cloned(desk: Desk, folder: Path) -> Project:
    """A clone of the repository on the forge, as somebody has it at a desk."""
    subprocess.run(["git", "clone", "--quiet", desk.remote("ada"), str(folder)], check=True)
    return Project(folder)


def git(here: Project, *arguments: str) -> None:
    done = here.run("git", *arguments)
    assert done.code == 0, done.out

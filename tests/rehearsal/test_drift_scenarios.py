"""Drift checks through the real workflow: a recorded "no", an issue, or a pull request that has proven its worth."""

from __future__ import annotations

from typing import Any

import pytest
from drifting import NO_LABELS
from scenario import gates, headline, issues, jobs, log, merges, runs

from rehearsal.desk import Desk
from rehearsal.forge import Fault

GREEN = {"model-gate": "success", "ci-gate": "success"}

pytestmark = pytest.mark.xdist_group("drifting")


def check(desk: Desk, period: str) -> Any:
    """The run of drift.yml on a period, when all that follows from it has ended."""
    assert desk.dispatch("drift.yml", period=period).status_code in {200, 204}
    desk.wait()
    return runs(desk, "drift.yml")[-1]


def checks(desk: Desk) -> dict[str, list[dict[str, Any]]]:
    """The records of checks by period, oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in sorted(desk.records().values(), key=lambda one: (one["at"], one.get("run", 0))):
        if entry["kind"] == "check":
            found.setdefault(entry["period"], []).append(entry)
    return found


def proposals(desk: Desk) -> dict[int, str]:
    """Number to title of the open retraining pull requests."""
    listed = desk.get("/pulls", state="open")
    return {one["number"]: one["title"] for one in listed if one["head"]["ref"].startswith("retrain/")}


def heads(desk: Desk) -> dict[str, str | None]:
    """Where the branches are that a check may move."""
    return {name: desk.head(name) for name in ("main", "records", "retrain/2021-08")}


def again(desk: Desk, run: Any) -> Any:
    """Re-run a run."""
    assert desk.ask("POST", f"/actions/runs/{run.id}/rerun").status_code == 201
    desk.wait()
    return runs(desk, "drift.yml")[-1]


def test_drift_that_retraining_does_not_repair_is_one_issue(year: Desk) -> None:
    """With the evidence; of two runs at once on a new period, the second finds what the first has recorded."""
    assert year.dispatch("drift.yml", period="2021-05").status_code in {200, 204}
    second = check(year, "2021-05")

    first, _ = runs(year, "drift.yml")
    assert jobs(first) == {"check": "success", "answer": "success"}
    assert jobs(second) == {"check": "success", "answer": "skipped"}
    assert "was looked at as it is now" in log(second)
    assert issues(year) == ["Drift in 2021-05: retraining is not proven to help"]
    ((entry,),) = checks(year).values()
    assert (entry["state"], entry["answer"]["action"]) == ("watch", "issue")
    (issue,) = [one for one in year.get("/issues") if "pull_request" not in one]
    assert [label["name"] for label in issue["labels"]] == ["drift"]
    assert "performance" in issue["body"]
    assert proposals(year) == {}


def test_after_a_quiet_month_a_retraining_that_helps_is_a_pull_request(year: Desk) -> None:
    """The first is a recorded no; then parameters and lock, green gates, nothing trained twice; the next one ships."""
    before = year.head("main")
    year.runner.schedule(year.name, "drift.yml")  # the first unseen period
    year.wait()

    assert jobs(runs(year, "drift.yml")[-1]) == {"check": "success", "answer": "success"}
    ((entry,),) = checks(year).values()
    assert (entry["period"], entry["answer"]) == ("2021-04", {"action": "none", "number": None})
    assert entry["state"] in {"healthy", "watch"}
    assert entry["labelled"]
    proof = year.records()[entry["proof"]]
    assert proof["verdict"] in {"hold", "block"}
    assert (proof["look"], proof["champion"]["tag"]) == (1, "model-v1")
    assert (year.head("main"), proposals(year), issues(year)) == (before, {}, [])

    old = year.file("main", "params.yaml").decode()
    check(year, "2021-08")

    assert proposals(year) == {1: "Retrain with 2021-04 to 2021-08"}
    pull = year.pull(1)
    assert pull["user"]["login"] == "github-actions[bot]"
    assert [label["name"] for label in pull["labels"]] == ["retraining"]
    assert "Retraining helps. Promote: " in pull["body"]
    assert {one["filename"] for one in year.get("/pulls/1/files")} == {"params.yaml", "dvc.lock"}
    new = year.file("retrain/2021-08", "params.yaml").decode()
    assert new.splitlines() == [
        line
        for old_line in old.splitlines()
        for line in [old_line, *([f"    - 2021-{m:02}" for m in range(4, 9)] if old_line == "    - 2021-03" else [])]
    ]
    assert gates(year, 1) == GREEN
    assert "Promote: " in headline(year, 1)
    (report,) = [run for run in runs(year, "report.yml") if run.event == "workflow_dispatch"]
    assert "Running stage 'train'" not in log(report)
    assert "Running stage 'train'" in log(runs(year, "drift.yml")[-1])
    before = heads(year)
    assert jobs(check(year, "2021-08")) == {"check": "success", "answer": "skipped"}
    assert heads(year) == before

    check(year, "2021-09")

    assert proposals(year) == {2: "Retrain with 2021-04 to 2021-09"}
    assert "Superseded by #2" in year.get("/issues/1/comments")[-1]["body"]
    assert gates(year, 2) == GREEN
    assert merges(year, 2, "squash")
    year.wait()

    assert year.get("/releases/latest")["tag_name"] == "model-v2"
    (entry,) = checks(year)["2021-09"]
    record = year.records()["releases/model-v2.json"]
    assert record["model_digest"] == year.records()[entry["proof"]]["model_digest"]
    assert "Running stage" not in log(runs(year, "release.yml")[-1])


def test_broken_data_block_until_the_issue_is_closed_and_late_labels_are_waited_for(year: Desk) -> None:
    """Nothing is trained on them, nor on what comes later; once a person closes the issue, what comes later is.

    Until its labels have come, performance is an estimate or not told, and nothing is trained; then it is tried anew.
    """
    check(year, "2021-11")

    assert issues(year) == ["The data of 2021-11 are broken"]
    ((entry,),) = checks(year).values()
    assert (entry["state"], entry["proof"], entry["answer"]["action"]) == ("broken", None, "issue")

    blocked = came_to(year, "2021-12")
    assert (blocked["state"], blocked["proof"], blocked["answer"]["action"]) == ("broken", None, "none")

    year.ask("PATCH", f"/issues/{entry['answer']['number']}", state="closed")
    late = came_to(year, "2021-12")
    assert (late["labelled"], late["proof"], late["answer"]["action"]) == (False, None, "none")
    assert late["diagnosis"] == "too few labels"
    assert not any("Running stage" in log(run) for run in runs(year, "drift.yml"))

    for ruleset in year.get("/rulesets"):
        year.ask("DELETE", f"/rulesets/{ruleset['id']}")
    source = year.file("main", "src/delays/data/source.py").decode().replace(NO_LABELS, "LATE = ()")
    year.edit({"src/delays/data/source.py": source.encode()}, "main")
    year.wait()

    assert came_to(year, "2021-12")["labelled"]
    assert proposals(year) == {2: "Retrain with 2021-04 to 2021-10 and 2021-12"}
    assert gates(year, 2) == GREEN


def came_to(desk: Desk, period: str) -> dict[str, Any]:
    """The record of a new check of a period, the only new one."""
    before = desk.records()
    check(desk, period)
    (entry,) = [one for path, one in desk.records().items() if path not in before and one["kind"] == "check"]
    return entry


def test_actions_that_may_not_open_pull_requests_are_told_which_setting(year: Desk) -> None:
    """The run fails and names it; once it is switched on, a re-run heals it, and there is one of everything.

    What a person then closes stays closed: as long as nothing is new, nothing is looked at.
    """
    with year.forge.changing():
        year.forge.repository(year.name).settings.actions_may_open_pulls = False
    run = check(year, "2021-08")

    assert jobs(run) == {"check": "success", "answer": "failure"}
    assert "Allow GitHub Actions to create and approve pull requests" in log(run)
    assert (proposals(year), checks(year)) == ({}, {})

    with year.forge.changing():
        year.forge.repository(year.name).settings.actions_may_open_pulls = True
    assert jobs(again(year, run)) == {"check": "success", "answer": "success"}

    assert proposals(year) == {1: "Retrain with 2021-04 to 2021-08"}
    assert gates(year, 1) == GREEN
    assert len(checks(year)["2021-08"]) == 1

    year.close(1)
    before = heads(year)
    assert jobs(check(year, "2021-08")) == {"check": "success", "answer": "skipped"}
    assert (heads(year), proposals(year)) == (before, {})


def test_a_refusal_stands_and_what_broke_halfway_is_healed(year: Desk) -> None:
    """The API fails once the pull request is open, which a person closes: the re-run records that, and asks no more."""
    assert year.dispatch("drift.yml", period="2021-08").status_code in {200, 204}
    year.forge.faults.append(Fault("POST", "/dispatches$", 502, times=99))
    year.wait()
    year.forge.faults.clear()
    run = runs(year, "drift.yml")[-1]

    assert jobs(run) == {"check": "success", "answer": "failure"}
    assert checks(year) == {}
    assert proposals(year) == {1: "Retrain with 2021-04 to 2021-08"}
    year.ask("PATCH", "/pulls/1", state="closed")

    again(year, run)

    (entry,) = checks(year)["2021-08"]
    assert entry["answer"] == {"action": "refused", "number": 1}
    assert proposals(year) == {}
    assert len(year.get("/pulls", state="all")) == 1


@pytest.mark.parametrize(
    ("period", "words"),
    [
        ("2021-02", "is not after 2021-03"),
        ("2022-01", "there are no trains of '2022-01'"),
        ("soon", "does not say how long it is"),
    ],
)
def test_a_period_that_makes_no_sense_fails_in_clear_words(year: Desk, period: str, words: str) -> None:
    """Known already, not there yet, no period at all: nothing is recorded."""
    run = check(year, period)

    assert jobs(run) == {"check": "failure", "answer": "skipped"}
    assert words in log(run)
    assert checks(year) == {}

"""Promotions and rollbacks through the real workflows: who answers, who has to approve, what the next release does."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from scenario import jobs, log, merges, runs

from ratchet.deploy.state import Environment, State, parse
from rehearsal.desk import Desk

pytestmark = pytest.mark.xdist_group("judged")


def production(desk: Desk) -> State:
    """What production is to run."""
    return state(desk, "production")


def state(desk: Desk, environment: Environment) -> State:
    """What an environment is to run."""
    held = desk.get(f"/contents/{environment}/state.json", ref="deploy")
    return parse(base64.b64decode(held["content"]))


def promoted(desk: Desk, strategy: str, **inputs: str) -> Any:
    """Press the button of promote.yml; the run, which may wait for an approval."""
    answer = desk.dispatch("promote.yml", strategy=strategy, **{"reason": "It is better", **inputs})
    assert answer.status_code == 204, answer.text
    desk.wait()
    return runs(desk, "promote.yml")[-1]


def rolled_back(desk: Desk, **inputs: str) -> Any:
    """Press the button of rollback.yml."""
    answer = desk.dispatch("rollback.yml", reason="It errs", **inputs)
    assert answer.status_code == 204, answer.text
    desk.wait()
    return runs(desk, "rollback.yml")[-1]


def moves(desk: Desk) -> list[tuple[str, str, str]]:
    """Kind, environment and release of each move, oldest first."""
    kinds = ("promotions/", "rollbacks/")
    found = [entry for path, entry in desk.records().items() if path.startswith(kinds)]
    return [(one["kind"], one["environment"], one["tag"]) for one in sorted(found, key=lambda one: one["run"])]


def test_a_release_goes_to_production_step_by_step_and_back(judged: Desk) -> None:
    """Staging by itself, production by hand; what was withdrawn stays away until somebody names it."""
    desk = judged
    assert promoted(desk, "canary").conclusion == "success"
    assert merges(desk, 1)
    desk.wait()
    assert state(desk, "staging").answering.release == "model-v2"
    assert production(desk).weights == {"blue": 100, "green": 0}, "a release does not touch production"

    run = promoted(desk, "canary", share="20")
    assert "production: model-v1 100 % → model-v1 80 %, model-v2 20 %" in log(run)
    slots = production(desk).slots
    promoted(desk, "blue-green")
    assert production(desk).slots == slots
    assert production(desk).answering.release == "model-v2"

    run = rolled_back(desk)
    assert "production: model-v2 100 %, model-v1 warm → model-v1 100 %" in log(run)
    assert production(desk).withdrawn == {"model-v2": "It errs"}

    desk.dispatch("release.yml")
    desk.wait()
    assert runs(desk, "release.yml")[-1].conclusion == "success"
    assert production(desk).answering.release == "model-v1"
    run = promoted(desk, "canary")
    assert run.conclusion == "failure"
    assert "model-v2: was withdrawn: It errs" in log(run)
    assert rolled_back(desk).conclusion == "failure"

    assert promoted(desk, "canary", release="model-v2").conclusion == "success"
    assert production(desk).newcomer.release == "model-v2"
    assert moves(desk) == [
        ("promotion", "staging", "model-v1"),
        ("promotion", "production", "model-v1"),
        ("promotion", "staging", "model-v2"),
        ("promotion", "production", "model-v2"),
        ("promotion", "production", "model-v2"),
        ("rollback", "production", "model-v1"),
        ("promotion", "production", "model-v2"),
    ]


def test_production_waits_for_a_reviewer_and_a_rollback_for_nobody(desk: Desk) -> None:
    """Of two promotions that were approved at once one happens: what the other was approved for is no more.

    Staging needs no approval.
    """
    desk.guard("production", ["ada"])
    assert promoted(desk, "canary", environment="staging").conclusion == "success"
    first, second = promoted(desk, "canary"), promoted(desk, "blue-green")
    assert desk.waiting() == [first.id, second.id]
    assert desk.ask("GET", "/contents/production/state.json?ref=deploy").status_code == 404

    assert jobs(first) == {"plan": "success"}
    assert first.display_title == "canary in production: what answers in staging, It is better"
    assert first.summary.startswith("```diff\nproduction: nothing → model-v1 100 %\n\n--- a/production/arms.json\n")

    run = rolled_back(desk)
    assert "production: nothing runs there, so there is nothing to go back to" in log(run)

    for one in (first, second):
        assert desk.approve(one.id).status_code == 200
    desk.wait()
    assert sorted(one.conclusion for one in runs(desk, "promote.yml")) == ["failure", "success", "success"]
    assert production(desk).answering.release == "model-v1"
    said = [log(one) for one in runs(desk, "promote.yml")[1:]]
    assert sum("production: has changed since this was planned: nothing → model-v1 100 %" in text for text in said) == 1


def test_what_is_approved_is_what_was_planned(judged: Desk) -> None:
    """A release that comes into staging meanwhile does not slip in; one that is withdrawn meanwhile does not come."""
    desk = judged
    desk.guard("production", ["ada"])
    first = promoted(desk, "canary")
    assert merges(desk, 1)
    desk.wait()
    assert state(desk, "staging").answering.release == "model-v2"

    assert desk.approve(first.id).status_code == 200
    desk.wait()
    assert production(desk).answering.release == "model-v1"
    record = desk.records()[f"promotions/production-{first.id}.json"]
    assert (record["who"], record["approved_by"], record["tag"]) == ("ada", "ada", "model-v1")

    second = promoted(desk, "canary")
    assert "model-v1 100 % → model-v1 90 %, model-v2 10 %" in second.summary
    rolled_back(desk, environment="staging")
    assert desk.approve(second.id).status_code == 200
    desk.wait()
    assert jobs(second) == {"plan": "success", "promote": "failure"}
    assert "model-v2: was withdrawn from staging since this was planned: It errs" in log(second)
    assert "what was approved is not what would happen; nothing is changed: start a new run" in log(second)
    assert production(desk).newcomer.release == "model-v1"

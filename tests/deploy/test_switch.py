"""Traffic while it is switched: the real service with two models, a real Traefik, callers that never stop asking."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy_example import Answer, Load, one, two
from outputs_example import build
from ratchet import bundle, data, files
from ratchet.deploy import health
from ratchet.deploy.apply import reconcile
from ratchet.deploy.state import Arm, Slot, State
from ratchet.deploy.strategy import back, plan
from rehearsal.engine import Processes

pytestmark = pytest.mark.xdist_group("switch")

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Service:
    """Runs `ratchet.serving` on bundles: the image's name is the folder's.

    Attributes:
        bundles: Image to folder.
    """

    bundles: Mapping[str, Path]

    def run(self, reference: str, port: int, environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """See `Images`."""
        given = {
            "BENTOML_HOST": "127.0.0.1",
            "BENTOML_PORT": str(port),
            "RATCHET_DRAIN_SECONDS": "0.5",
            "RATCHET_BUNDLE": str(self.bundles[reference]),
            "PYTHONPATH": os.pathsep.join([str(TESTS.parent / "src"), str(TESTS / "problems")]),
        }
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "ratchet.serving.start"],
                env={**os.environ, **environment, **given},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )


@dataclass(frozen=True)
class World:
    """Two models that run, and what each says of each row.

    Attributes:
        engine: Runs them.
        old: The champion.
        new: The newcomer.
        rows: What is asked.
        scores: Model digest to the score of each row.
    """

    engine: Processes
    old: Arm
    new: Arm
    rows: Sequence[Any]
    scores: Mapping[str, Sequence[float]]

    def reach(self, state: State) -> float:
        """Reconcile; when that was asked for."""
        begin = time.monotonic()
        report = reconcile(self.engine, state)
        assert report.is_well, report.lines()
        return begin

    def load(self, **settings: Any) -> Load:
        """Callers."""
        return Load(self.engine.url, self.rows, **settings)

    def are_right(self, answers: Sequence[Answer]) -> bool:
        """Whether each answer is the score that its model gives its row, to the last bit."""
        return all(answer.body["score"] == self.scores[answer.body["model"]][answer.row] for answer in answers)

    def asked(self, slot: Slot) -> int:
        """How many predictions an arm has made."""
        counted = health.counted(self.engine.probe(slot))
        assert counted is not None
        return counted.requests


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Both models are up from the first test on, so that a switch is one of weights."""
    folder = tmp_path_factory.mktemp("switch")
    build(folder / "old", ["2013-02", "2013-03"], "stump")
    build(folder / "new", ["2013-01", "2013-02", "2013-03"])
    opened = [bundle.load(folder / name / "bundle") for name in ("old", "new")]
    ours = [
        Arm(f"model-v{n}", each.digest, f"ghcr.io/ada/coins@sha256:{each.digest}") for n, each in enumerate(opened, 1)
    ]
    holdout = files.read_parquet(folder / "new" / data.PERIODS / "2013-03" / "rows.parquet")
    rows = bundle.plain_rows(holdout[list(opened[0].schema["properties"])])[:100]
    scores = {each.digest: [each.score_row(row) for row in rows] for each in opened}
    assert all(old != new for old, new in zip(*scores.values(), strict=True))
    bundles = {arm.image: each.folder for arm, each in zip(ours, opened, strict=True)}
    with Processes(Service(bundles), folder / "host") as engine:
        yield World(engine, *ours, rows, scores)


def models(answers: Sequence[Answer]) -> set[str]:
    """Which models answered."""
    return {answer.body["model"] for answer in answers}


def lost(load: Load, moment: float) -> list[Answer]:
    """Failures of requests that were not under way at a moment."""
    return [answer for answer in load.failures() if not answer.begin <= moment <= answer.end]


def test_no_request_fails_through_all_strategies_and_back(world: World) -> None:
    """Every answer is a prediction of one of the two models, and is right."""
    before = plan(None, world.old, "all-at-once")
    world.reach(before)
    states = []

    with world.load() as load:
        state = before
        for strategy in ("canary", "ab", "shadow", "blue-green", "all-at-once"):
            state = plan(state, world.new, strategy)
            world.reach(state)
            states.append((state.champion, state.challenger, state.share, state.mirror))
            time.sleep(0.5)
        world.reach(back(state, before, "a drill"))

    assert states == [
        ("blue", "green", 10, 0),
        ("blue", "green", 50, 0),
        ("blue", "green", 0, 100),
        ("green", None, 0, 0),
        ("green", None, 0, 0),
    ]
    assert load.failures() == []
    assert models(load.answers) == {world.old.model, world.new.model}
    assert world.are_right(load.answers)
    assert len(load.answers) > 1000


def test_a_canary_gets_its_share(world: World) -> None:
    """Within the bound that a fair draw would keep in 999 of 1000 cases."""
    world.reach(two("blue", world.old, world.new, share=10))

    with world.load(pause=0.001) as load:
        while len(load.answers) < 2000:
            time.sleep(0.05)

    n, share = len(load.answers), sum(answer.body["model"] == world.new.model for answer in load.answers)
    assert abs(share - 0.1 * n) <= 3.29 * math.sqrt(n * 0.1 * 0.9)
    assert load.failures() == []


def test_a_shadow_gets_copies_and_never_answers(world: World) -> None:
    """The champion's answers, unchanged; the challenger has predicted as many, but for what is lost on its way."""
    world.reach(plan(one("blue", world.old), world.new, "shadow"))
    before = world.asked("green")

    with world.load() as load:
        time.sleep(1)

    assert load.failures() == []
    assert models(load.answers) == {world.old.model}
    assert world.are_right(load.answers)
    end = time.monotonic() + 5
    while (copies := world.asked("green") - before) < len(load.answers) and time.monotonic() < end:
        time.sleep(0.05)
    assert 0.98 * len(load.answers) <= copies <= len(load.answers)


def test_who_was_answered_by_one_arm_of_an_ab_test_stays_with_it(world: World) -> None:
    """By the cookie that the first answer sets; without one, both answer."""
    world.reach(plan(one("blue", world.old), world.new, "ab"))
    row = world.rows[0]

    with httpx.Client(base_url=world.engine.url) as client:
        seen = []
        for _ in range(10):
            client.cookies.clear()
            first = client.post("/predict", json=row)
            cookie = first.headers["set-cookie"].partition(";")[0]
            client.cookies.clear()
            again = [client.post("/predict", json=row, headers={"Cookie": cookie}).json()["model"] for _ in range(10)]
            seen.append((first.json()["model"], set(again)))

    assert {model for model, _ in seen} == {world.old.model, world.new.model}
    assert all(again == {model} for model, again in seen)


def test_a_rollback_takes_effect_in_seconds(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """From the command to the last answer of the newcomer; no request is lost."""
    before = one("blue", world.old)
    after = plan(before, world.new, "blue-green")
    world.reach(after)

    with world.load() as load:
        time.sleep(0.5)
        begin = time.monotonic()
        world.reach(back(after, before, "a drill"))
        time.sleep(0.5)

    seconds = max(answer.end for answer in load.answers if answer.body["model"] == world.new.model) - begin
    with capsys.disabled():
        print(f"\nrollback: {seconds:.2f} s from the command to the last answer of the newcomer")
    assert load.failures() == []
    assert world.are_right(load.answers)
    assert 0 < seconds < 5
    assert dict(world.engine.running()) == {"blue": world.old.image}


@pytest.mark.parametrize("state", ["warm", "canary"])
def test_a_killed_arm_costs_at_most_what_it_was_doing(world: World, state: str) -> None:
    """The other one answers from the next request on."""
    base = one("blue", world.new)
    world.reach(plan(base, world.old, "blue-green") if state == "warm" else two("green", world.old, world.new))

    with world.load() as load:
        time.sleep(0.5)
        moment = time.monotonic()
        world.engine.kill("green")
        time.sleep(2.5)

    later = load.since(moment + 0.1)
    assert lost(load, moment) == []
    assert len(load.failures()) <= 4
    assert len(later) > 100
    assert models(later) == {world.new.model}


def test_a_frozen_arm_costs_at_most_what_it_was_doing(world: World) -> None:
    """It takes connections and never answers: what it has is asked of the other, and the next requests, too."""
    world.reach(plan(one("blue", world.new), world.old, "blue-green"))

    with world.load() as load:
        time.sleep(0.5)
        moment = time.monotonic()
        world.engine.freeze("green")
        time.sleep(2.5)
        with world.load(pause=0.02) as others:  # the first callers still wait for it
            time.sleep(4)
    world.engine.thaw("green")

    assert lost(load, moment) == []
    assert others.failures() == []
    assert models(others.answers) == {world.new.model}
    assert max(answer.end - answer.begin for answer in others.answers) < 1
    assert models(load.since(moment + 2.5)) == {world.new.model}

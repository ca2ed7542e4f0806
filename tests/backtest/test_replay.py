"""A policy walks through a year and sees what was known; the oracle sees the rest."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from ratchet.backtest import policies, replay
from ratchet.backtest.grid import Grid, Part
from ratchet.backtest.policies import POLICIES, Policy
from ratchet.backtest.replay import Plan, Year
from ratchet.errors import RatchetError

PERIODS = tuple(f"2013-{month:02}" for month in range(1, 13))


def trained(fit: replay.Fit) -> str:
    return f"{fit.train[0].rows[-2:]}-{fit.train[-1].rows[-2:]}"


def opened(year: Year, policy: Policy) -> list[str]:
    return [year.plan.periods[step.period] for step in replay.walk(year, policy) if step.opened]


@pytest.mark.parametrize(
    ("window", "blind", "challengers"),
    [
        (0, False, ["01-03", "01-04", "01-05", "01-06", "01-07", "01-08", "01-09", "01-10"]),
        (0, True, ["01-04", "01-05", "01-06", "01-07", "01-08", "01-09", "01-10", "01-11"]),
        (3, False, ["01-03", "02-04", "03-05", "04-06", "05-07", "06-08", "07-09", "08-10"]),
    ],
)
def test_a_challenger_is_trained_on_what_came_before_the_month_it_is_judged_on(
    window: int, blind: bool, challengers: list[str]
) -> None:
    """January and February train the first model; the first decision is at the end of April."""
    plan = Plan(PERIODS, window)

    assert [PERIODS[period] for period in plan.decided] == list(PERIODS[3:11])
    assert [trained(plan.challenger(period, blind=blind)) for period in plan.decided] == challengers
    assert trained(plan.champion) == "01-02"


def test_every_model_that_a_policy_could_come_to_is_wished_for() -> None:
    """Blind or not; each scores all that comes after it, and is proven on the next month."""
    plan = Plan(PERIODS, 3)
    wishes = {wish.fit: wish for wish in plan.wishes}

    assert len(wishes) == 10
    for period, blind in product(plan.decided, (False, True)):
        wish = wishes[plan.challenger(period, blind=blind)]
        assert wish.scored == tuple(map(Part, PERIODS[PERIODS.index(wish.fit.train[-1].rows) + 1 :]))
        assert wish.proof == wish.scored[0]


@pytest.mark.parametrize("periods", [PERIODS[:4], PERIODS[:6][::-1], ("2013-01",) * 6])
def test_periods_that_are_too_few_or_in_disorder_are_refused(periods: tuple[str, ...]) -> None:
    """Two train, one judges, one is decided on, one follows."""
    with pytest.raises(RatchetError, match="a backtest needs at least 5 periods in order of time, each once"):
        Plan(periods)


def test_the_simple_policies_open_always_or_never(growing: Year) -> None:
    """Each step goes on from the last one; only what was opened was trained."""
    never, monthly = (replay.walk(growing, policy) for policy in (policies.NEVER, policies.MONTHLY))

    assert {trained(step.serving) for step in never} == {"01-02"}
    assert not any(step.trained for step in never)
    assert [trained(step.serving)[-2:] for step in monthly] == [f"{month:02}" for month in range(3, 11)]
    assert all(step.trained for step in monthly)
    assert all(before.serving == after.champion for before, after in pairwise(monthly))


def test_a_proof_comes_when_a_challenger_has_seen_the_change(rolling: Year) -> None:
    """At the end of July no challenger has seen the new clay; a month later, a third of what it saw is that."""
    walked = replay.walk(rolling, policies.PROVEN)

    assert "2013-07" not in opened(rolling, policies.PROVEN)
    assert opened(rolling, policies.PROVEN)[0] in {"2013-08", "2013-09"}
    assert all(step.trained for step in walked)


def test_a_fall_is_seen_at_the_end_of_its_month(rolling: Year) -> None:
    """July is over, its labels are there, and the champion has been wrong all along; the months before were quiet."""
    assert opened(rolling, policies.FALL)[0] == "2013-07"


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_sees_the_future(policy: Policy, grid: Grid, growing: Year) -> None:
    """With all months after a decision unreadable, that decision is the same."""

    class Blindfold(Grid):
        today = ""

        def rows(self, part: Part):
            assert part.rows <= self.today
            return grid.rows(part)

        def cell(self, fit: replay.Fit):
            return grid.cell(fit)

    masked = Blindfold(grid.problem, grid.params, grid.folder)
    year = Year(masked, growing.plan, growing.options)
    champion, judged = growing.plan.champion, growing.plan.first
    for step in replay.walk(growing, policy):
        masked.today = growing.plan.periods[step.period]
        known = replay._Known(year, (champion, judged), step.challenger, step.period)
        assert policy.opens(known) == step.opened
        if step.opened:
            champion, judged = step.challenger, step.period


def test_a_model_that_has_seen_the_month_proves_nothing(growing: Year) -> None:
    """Were a challenger ever judged on what it was trained on, the gate would call it void."""
    march = replay.Month(growing.grid.problem, "2013-02", growing.month(2).rows, growing.month(2).scores)

    told = replay.evidence.verdict(growing.grid.params.gate, growing.plan.champion, growing.plan.champion, march)

    assert told.word == "void"


def test_the_oracle_is_as_good_as_the_best_of_all_ways(rolling: Year) -> None:
    """All three to the eighth ways, one by one: keep, take the challenger, or take the one with the newest month."""
    found = sum(rolling.cost(step.serving, step.period + 1) for step in replay.oracle(rolling))

    least = float("inf")
    for way in product((None, False, True), repeat=len(rolling.plan.decided)):
        champion, cost = rolling.plan.champion, 0.0
        for period, blind in zip(rolling.plan.decided, way, strict=True):
            champion = champion if blind is None else rolling.plan.challenger(period, blind=blind)
            cost += rolling.cost(champion, period + 1)
        least = min(least, cost)
    assert found == pytest.approx(least, rel=1e-12)


def test_the_oracle_opens_nothing_for_nothing(growing: Year, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all models are equally good, the first one stays."""
    monkeypatch.setattr(growing, "value", lambda *_: 0.5)

    assert not any(step.opened for step in replay.oracle(growing))

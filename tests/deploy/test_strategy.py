"""The next state: a newcomer by each strategy, going back, and what holds whatever is done one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.deploy.state import STRATEGIES, Arm, Moment, State, Strategy, parse, render
from ratchet.deploy.strategy import back, plan, target
from ratchet.errors import RatchetError
from state_example import alone, arm


def shares(state: State) -> dict[str, tuple[int, bool]]:
    """What each release that takes part has: its percent of the answers, and whether it gets copies."""
    return {
        arm.release: (state.weights[slot], bool(state.mirror) and slot == state.challenger)
        for slot, arm in state.arms.items()
        if arm.release in state.taking_part
    }


def moments(*states: State) -> list[Moment]:
    """States, oldest first, as a history: newest first."""
    return [Moment(f"{number:040x}", "2026-11-24T12:00:00Z", state) for number, state in enumerate(states)][::-1]


class TestPlan:
    """A newcomer."""

    @pytest.mark.parametrize(
        ("strategy", "fields"),
        [
            ("all-at-once", {"slots": {"blue": None, "green": arm(2)}, "champion": "green"}),
            ("blue-green", {"champion": "green"}),
            ("canary", {"challenger": "green", "share": 10}),
            ("shadow", {"challenger": "green", "mirror": 100}),
            ("ab", {"challenger": "green", "share": 50, "sticky": True}),
        ],
    )
    def test_a_newcomer_comes_as_its_strategy_says(self, strategy: Strategy, fields: dict[str, Any]) -> None:
        """Into the slot that does not answer; the champion stays where it is."""
        expected = State("production", strategy, {"blue": arm(1), "green": arm(2)}, "blue")

        assert plan(alone(1), arm(2), strategy) == replace(expected, **fields)

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_where_nothing_runs_the_first_one_answers_everything(self, strategy: Strategy) -> None:
        """There is nothing to compare it with."""
        state = plan(None, arm(1), strategy, environment="staging")

        assert (state.environment, state.weights, state.slots) == (
            "staging",
            {"blue": 100, "green": 0},
            {"blue": arm(1), "green": None},
        )

    def test_a_share_can_be_said(self) -> None:
        """And changed, while the arms stay where they are."""
        state = plan(plan(alone(1), arm(2), "canary", 5), arm(2), "canary", 25)

        assert (state.weights, state.slots) == ({"blue": 75, "green": 25}, {"blue": arm(1), "green": arm(2)})

    def test_a_canary_becomes_the_champion_without_a_restart(self) -> None:
        """Only roles and weights change; the old champion stays warm."""
        canary = plan(alone(1), arm(2), "canary")

        state = plan(canary, arm(2), "blue-green")

        assert state.slots == canary.slots
        assert (state.champion, state.warm, state.weights) == ("green", "blue", {"blue": 0, "green": 100})

    def test_a_third_one_takes_the_place_of_the_challenger(self) -> None:
        """The champion is not touched."""
        state = plan(plan(alone(1), arm(2), "canary"), arm(3), "ab")

        assert state.slots == {"blue": arm(1), "green": arm(3)}

    def test_a_comparison_ends_when_the_champion_is_named(self) -> None:
        """It answers alone again, and nobody is withdrawn."""
        state = plan(plan(alone(1), arm(2), "ab"), arm(1), "blue-green")

        assert (state.champion, state.challenger, state.warm, dict(state.withdrawn)) == ("blue", None, "green", {})

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_who_answers_alone_already_is_not_changed(self, strategy: Strategy) -> None:
        """Not even the name of the strategy."""
        assert plan(alone(1), arm(1), strategy) == alone(1)

    def test_naming_a_withdrawn_release_brings_it_back(self) -> None:
        """Whoever names it has read why."""
        state = replace(alone(1), withdrawn={"model-v2": "slow", "model-v3": "wrong"})

        assert plan(state, arm(2), "canary").withdrawn == {"model-v3": "wrong"}

    @pytest.mark.parametrize(
        ("strategy", "share", "message"),
        [
            ("canary", 0, "--share 0: is percent, 1 to 99\nfor none of the answers there is shadow"),
            ("ab", 100, "--share 100: is percent, 1 to 99\n"),
            ("shadow", 10, "--share: shadow has none; canary and ab have"),
            ("blue-green", 100, "--share: blue-green has none"),
        ],
    )
    def test_a_share_that_means_something_else_is_refused(self, strategy: Strategy, share: int, message: str) -> None:
        """With what to ask for instead."""
        with pytest.raises(RatchetError) as refused:
            plan(alone(1), arm(2), strategy, share)

        assert str(refused.value).startswith(message)

    def test_a_champion_cannot_challenge_itself(self) -> None:
        """While another one does."""
        with pytest.raises(
            RatchetError, match="model-v1: answers already in production, so it cannot challenge itself"
        ):
            plan(plan(alone(1), arm(2), "canary"), arm(1), "canary")

    def test_a_release_with_another_image_is_refused(self) -> None:
        """A release never changes."""
        other = Arm("model-v1", arm(1).model, arm(9).image)

        with pytest.raises(RatchetError, match="model-v1: runs in production with another model or image"):
            plan(alone(1), other, "blue-green")


class TestBack:
    """Going back."""

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_going_back_answers_as_before(self, strategy: Strategy) -> None:
        """The newcomer is withdrawn, and not even warm."""
        state = plan(alone(1), arm(2), strategy)

        found = back(state, alone(1), "errors")

        assert found == replace(alone(1), withdrawn={"model-v2": "errors"})

    def test_what_runs_stays_in_its_slot(self) -> None:
        """model-v2 is in green when model-v3 has taken blue, and answers from there again; model-v1 comes beside it."""
        second = plan(alone(1), arm(2), "blue-green")
        third = plan(second, arm(3), "blue-green")
        assert third.slots == {"blue": arm(3), "green": arm(2)}

        found = back(third, second, "errors")

        assert (found.champion, found.slots) == ("green", {"green": arm(2), "blue": arm(1)})

    def test_what_has_to_be_started_gets_the_slot_that_does_not_answer(self) -> None:
        """model-v1 stood in blue, where model-v3 answers now: it is not started in the place of what answers."""
        third = plan(plan(alone(1), arm(2), "all-at-once"), arm(3), "all-at-once")
        assert third.slots == {"blue": arm(3), "green": None}

        found = back(third, alone(1), "errors")

        assert (found.champion, found.slots) == ("green", {"green": arm(1), "blue": None})

    def test_all_that_took_part_since_is_withdrawn(self) -> None:
        """Going back by two releases takes both away."""
        state = plan(plan(alone(1), arm(2), "blue-green"), arm(3), "canary")

        assert back(state, alone(1), "wrong data").withdrawn == {"model-v2": "wrong data", "model-v3": "wrong data"}

    def test_a_withdrawn_release_does_not_come_back_this_way(self) -> None:
        """It says why it was withdrawn, and what brings it back."""
        second = plan(alone(1), arm(2), "blue-green")
        state = back(second, alone(1), "errors since ten")

        with pytest.raises(RatchetError) as refused:
            back(state, second, "a mistake")

        assert str(refused.value) == (
            "model-v2: was withdrawn from production: errors since ten\n"
            "going back never brings it back; `ratchet deploy promote --release model-v2` does"
        )

    def test_there_is_nothing_to_go_back_to_in_what_there_is(self) -> None:
        """Nobody is withdrawn by it."""
        with pytest.raises(RatchetError, match="is as it was then"):
            back(alone(1), alone(1), "why")


class TestTarget:
    """Which state to go back to."""

    def test_the_last_state_without_the_newcomer(self) -> None:
        """However many shares it had."""
        states = [alone(1)]
        states.append(plan(states[-1], arm(2), "shadow"))
        states.append(plan(states[-1], arm(2), "canary", 10))
        states.append(plan(states[-1], arm(2), "canary", 50))
        states.append(plan(states[-1], arm(2), "blue-green"))

        assert target(states[-1], moments(*states)).state == alone(1)

    def test_a_second_time_it_goes_further(self) -> None:
        """And never to what was withdrawn."""
        first = alone(1)
        second = plan(first, arm(2), "blue-green")
        third = plan(second, arm(3), "blue-green")
        fourth = back(third, second, "errors")

        assert target(fourth, moments(first, second, third, fourth)).state == first

    def test_after_a_rollback_to_the_first_there_is_nothing_left(self) -> None:
        """It says what brings the newcomer back."""
        first = alone(1)
        second = plan(first, arm(2), "blue-green")
        third = back(second, first, "errors")

        with pytest.raises(RatchetError) as refused:
            target(third, moments(first, second, third))

        assert str(refused.value) == (
            "production: nothing ran before model-v1 that is still good; withdrawn: model-v2\n"
            "a release that was withdrawn comes back by its name: `ratchet deploy promote --release TAG`"
        )

    def test_a_release_or_a_commit_can_be_named(self) -> None:
        """The newest state in which that release answered; a commit by its first digits."""
        first = alone(1)
        second = plan(first, arm(2), "blue-green")
        third = plan(second, arm(3), "canary")
        fourth = plan(third, arm(3), "blue-green")
        history = moments(first, second, third, fourth)

        assert target(fourth, history, "model-v1").state == first
        assert target(fourth, history, "model-v2").state == third
        assert target(fourth, history, f"{1:040x}").state == second

    @pytest.mark.parametrize("wanted", ["model-v9", "0000", "model-v3"])
    def test_what_never_answered_is_refused(self, wanted: str) -> None:
        """With the releases that did; few digits are no commit, and what answers now is no past."""
        states: Sequence[State] = [alone(1), plan(alone(1), arm(3), "all-at-once")]

        with pytest.raises(RatchetError) as refused:
            target(states[-1], moments(*states), wanted)

        assert str(refused.value).endswith("and no commit of then\nthese did: model-v1")


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """What people do one after the other: promotions of any of four releases by any strategy, and rollbacks."""
    shared = st.one_of(st.none(), st.integers(1, 99))
    promotion = st.tuples(st.just("promote"), st.tuples(st.integers(1, 4), st.sampled_from(STRATEGIES), shared))
    return draw(st.lists(st.one_of(promotion, st.tuples(st.just("rollback"), st.none())), max_size=12))


@settings(max_examples=300, deadline=None)
@given(stories())
def test_whatever_is_done_one_after_the_other(story: list[tuple[str, Any]]) -> None:
    """The weights are whole, the champion is there, what answers is not replaced, what was withdrawn stays away."""
    states = [alone(1)]
    for deed, what in story:
        before = states[-1]
        try:
            if deed == "promote":
                number, strategy, share = what
                after = plan(before, arm(number), strategy, share)
                assert arm(number).release not in after.withdrawn
                assert set(after.withdrawn) <= set(before.withdrawn)
            else:
                moment = target(before, moments(*states))
                after = back(before, moment.state, "why")
                assert shares(after) == shares(moment.state)
                assert before.newcomer.release in after.withdrawn
                assert not after.taking_part.keys() & before.withdrawn.keys()
        except RatchetError:
            continue
        assert sum(after.weights.values()) == 100
        if after.champion == before.champion:
            assert after.answering == before.answering
        assert not after.withdrawn.keys() & {arm.release for arm in after.arms.values()}
        assert parse(render(after)) == after
        states.append(after)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(STRATEGIES), st.sampled_from(STRATEGIES), st.integers(2, 3))
def test_going_back_undoes_any_newcomer(first: Strategy, second: Strategy, number: int) -> None:
    """Shares, copies and stickiness are those of before."""
    before = plan(alone(1), arm(2), first)
    after = plan(before, arm(number + 1), second)

    found = back(after, before, "why")

    assert shares(found) == shares(before)
    assert (found.sticky, found.mirror, found.share) == (before.sticky, before.mirror, before.share)

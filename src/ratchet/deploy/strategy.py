"""The next state of an environment: a newcomer that comes by a strategy, or going back.

    plan(state, arm, "canary", share=10)        the newcomer beside the champion, with a share
    plan(state, arm, "blue-green")              the newcomer answers; the champion stays warm
    back(state, earlier, "AUC fell")            as it was; the newcomer is withdrawn

A newcomer goes into the slot that is not the champion's, or stays in it. So nothing that answers is ever restarted, and
every step is a change of weights for the arms that are there already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ratchet.deploy.state import SLOTS, Arm, Environment, Moment, Slot, State, Strategy, other
from ratchet.errors import RatchetError

SHARES: dict[Strategy, int] = {"canary": 10, "ab": 50}
"""Percent of the requests for the challenger, unless somebody says otherwise."""
FEWEST = 7
"""Digits of a commit that name it, as git prints them."""


def plan(
    state: State | None,
    arm: Arm,
    strategy: Strategy,
    share: int | None = None,
    *,
    environment: Environment = "production",
) -> State:
    """The state in which `arm` takes part by a strategy; the same state when it does so already.

    Where nothing runs yet, it gets all requests whatever the strategy: there is nothing to be compared with.

    Args:
        state: The state now; None where nothing runs.
        arm: The newcomer. When it is the challenger already, only roles and weights change. It may have been withdrawn:
            it has been named, so it no longer is.
        strategy: How it comes.
        share: Percent of the requests it answers, 1 to 99; only for "canary" and "ab".
        environment: Which one it is where `state` is None.

    Raises:
        RatchetError: The strategy has no such share, or the champion is asked to challenge itself.
    """
    given = _share(strategy, share)
    if state is None:
        return State(environment, "all-at-once", {"blue": arm, "green": None}, champion="blue")
    _same_release(state, arm)
    found = _next(state, arm, strategy, given)
    return state if replace(found, strategy=state.strategy) == state else found


def back(state: State, earlier: State, reason: str) -> State:
    """The state in which the arms of an earlier one take part as they did then.

    What runs stays in its slot, and what has to be started gets the slot that does not answer now. Whatever took part
    and does not any more is withdrawn, with the reason; it is not even kept warm, for it must not answer.

    Raises:
        RatchetError: The earlier state rests on a release that was withdrawn since, or is what there is.
    """
    for release in earlier.taking_part:
        if release in state.withdrawn:
            raise RatchetError(
                f"{release}: was withdrawn from {state.environment}: {state.withdrawn[release]}\n"
                f"going back never brings it back; `ratchet deploy promote --release {release}` does"
            )
    gone = [release for release in state.taking_part if release not in earlier.taking_part]
    withdrawn = {**state.withdrawn, **dict.fromkeys(gone, reason)}
    champion = state.slot_of(earlier.answering.release) or state.spare
    rest = earlier.slots[earlier.spare]
    if rest is not None and rest.release in withdrawn:
        rest = None
    found = replace(
        earlier,
        environment=state.environment,
        slots=_seats(champion, earlier.answering, rest),
        champion=champion,
        challenger=None if earlier.challenger is None else other(champion),
        withdrawn=withdrawn,
    )
    if found == state:
        raise RatchetError(f"{state.environment}: is as it was then, so there is nothing to go back to")
    return found


def target(state: State, history: Iterable[Moment], wanted: str | None = None) -> Moment:
    """The moment to go back to.

    Args:
        state: The state now.
        history: The moments of the environment, newest first; those that equal `state` do not count.
        wanted: A release that answered then, or a commit of the branch (its first 7 digits do). By default the newest
            moment that the newcomer had no part in, and nothing that was withdrawn since.

    Raises:
        RatchetError: There is none.
    """
    past = (moment for moment in history if moment.state != state)
    if wanted is not None:
        return _named(state, past, wanted)
    for moment in past:
        parts = moment.state.taking_part
        if state.newcomer.release not in parts and not parts.keys() & state.withdrawn.keys():
            return moment
    taken = f"; withdrawn: {', '.join(sorted(state.withdrawn))}" if state.withdrawn else ""
    raise RatchetError(
        f"{state.environment}: nothing ran before {state.newcomer.release} that is still good{taken}\n"
        "a release that was withdrawn comes back by its name: `ratchet deploy promote --release TAG`"
    )


def _named(state: State, past: Iterable[Moment], wanted: str) -> Moment:
    answered: dict[str, None] = {}
    for moment in past:
        tag = moment.state.answering.release
        if tag == wanted or (len(wanted) >= FEWEST and moment.sha.startswith(wanted.lower())):
            return moment
        answered[tag] = None
    raise RatchetError(
        f"--to {wanted[:80]}: is no release that answered in {state.environment} before, and no commit of then\n"
        f"these did: {', '.join(answered) or 'none'}"
    )


def _next(state: State, arm: Arm, strategy: Strategy, share: int) -> State:
    withdrawn = {release: why for release, why in state.withdrawn.items() if release != arm.release}
    answers = arm == state.answering
    if strategy in {"all-at-once", "blue-green"}:
        champion = state.champion if answers else state.spare
        rest = None if strategy == "all-at-once" else state.slots[other(champion)]
        return State(state.environment, strategy, _seats(champion, arm, rest), champion, withdrawn=withdrawn)
    if answers and state.challenger is None:
        return state
    if answers:
        raise RatchetError(
            f"{arm.release}: answers already in {state.environment}, so it cannot challenge itself\n"
            f"all-at-once and blue-green let it answer alone, without {state.newcomer.release}"
        )
    return State(
        state.environment,
        strategy,
        _seats(state.champion, state.answering, arm),
        state.champion,
        challenger=state.spare,
        share=share,
        mirror=100 if strategy == "shadow" else 0,
        sticky=strategy == "ab",
        withdrawn=withdrawn,
    )


def _share(strategy: Strategy, share: int | None) -> int:
    if strategy not in SHARES:
        if share is not None:
            raise RatchetError(f"--share: {strategy} has none; canary and ab have")
        return 0
    if share is not None and not 1 <= share <= 99:
        raise RatchetError(
            f"--share {share}: is percent, 1 to 99\nfor none of the answers there is shadow, for all of them blue-green"
        )
    return SHARES[strategy] if share is None else share


def _same_release(state: State, arm: Arm) -> None:
    held = state.slot_of(arm.release)
    if held is not None and state.slots[held] != arm:
        raise RatchetError(
            f"{arm.release}: runs in {state.environment} with another model or image\n"
            "a release never changes: make a new one"
        )


def _seats(slot: Slot, arm: Arm, rest: Arm | None) -> dict[Slot, Arm | None]:
    return {name: arm if name == slot else rest for name in SLOTS}

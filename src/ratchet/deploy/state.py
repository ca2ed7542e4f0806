"""What runs in an environment, and who answers: the truth of the branch `deploy`, as a value.

    state = parse(text)
    state.weights          {"blue": 90, "green": 10}
    text = render(state)

There are two slots, and each may hold an arm. Roles are only a mapping: the champion is the slot that answers by
default, the challenger the other one when it takes part. So a promotion, and going back, is a change of weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple, get_args

from ratchet.errors import RatchetError

Slot = Literal["blue", "green"]
Environment = Literal["staging", "production"]
Strategy = Literal["all-at-once", "blue-green", "canary", "shadow", "ab"]

SLOTS: tuple[Slot, ...] = get_args(Slot)
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
VERSION = 1


@dataclass(frozen=True)
class Arm:
    """A release that runs.

    Attributes:
        release: Its tag, "model-v2".
        model: The model digest, 64 hex digits.
        image: "ghcr.io/ada/flights@sha256:…"; always by digest.
    """

    release: str
    model: str
    image: str


@dataclass(frozen=True)
class State:
    """What one environment runs. It checks itself: one that contradicts itself cannot be made.

    Attributes:
        environment: "staging" or "production".
        strategy: The strategy by which it came to this.
        slots: The arm in each slot; None where it is empty.
        champion: The slot that answers by default.
        challenger: The other slot when it takes part; None when it is empty, or only kept warm.
        share: Percent of the requests that the challenger answers.
        mirror: Percent of the requests of which the challenger is sent a copy.
        sticky: Whether who has been answered by one arm stays with it.
        withdrawn: Releases that were taken away, and why.
    """

    environment: Environment
    strategy: Strategy
    slots: Mapping[Slot, Arm | None]
    champion: Slot
    challenger: Slot | None = None
    share: int = 0
    mirror: int = 0
    sticky: bool = False
    withdrawn: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fault = next(_faults(self), None)
        if fault is not None:
            raise RatchetError(f"state of {self.environment}: {fault}")

    @property
    def arms(self) -> dict[Slot, Arm]:
        """The arms that are to run, by slot; the warm one, too."""
        return {slot: arm for slot in SLOTS if (arm := self.slots[slot]) is not None}

    @property
    def answering(self) -> Arm:
        """The arm that answers by default."""
        return self.arms[self.champion]

    @property
    def newcomer(self) -> Arm:
        """The arm that came last: the challenger when there is one, else the champion."""
        return self.arms[self.challenger or self.champion]

    @property
    def spare(self) -> Slot:
        """The slot that is not the champion's: a newcomer's place."""
        return other(self.champion)

    @property
    def warm(self) -> Slot | None:
        """The slot whose arm runs and takes no part; it answers when the champion cannot."""
        return self.spare if self.challenger is None and self.slots[self.spare] is not None else None

    @property
    def weights(self) -> dict[Slot, int]:
        """Percent of the requests that each slot answers while both are well; they sum to 100."""
        weights = dict.fromkeys(SLOTS, 0)
        weights[self.champion] = 100 - self.share
        weights[self.spare] = self.share
        return weights

    @property
    def taking_part(self) -> dict[str, Arm]:
        """The arms that answer or get copies, by their release; not the one that is only warm."""
        slots = [self.champion, *([self.challenger] if self.challenger else [])]
        return {self.arms[slot].release: self.arms[slot] for slot in slots}

    def slot_of(self, release: str) -> Slot | None:
        """Where a release is; None when it is nowhere."""
        return next((slot for slot, arm in self.arms.items() if arm.release == release), None)


class Moment(NamedTuple):
    """A state that an environment was in: the commit of the branch `deploy` that brought it, and when."""

    sha: str
    at: str
    state: State


def other(slot: Slot) -> Slot:
    """The other slot."""
    return "green" if slot == "blue" else "blue"


def parse(text: str | bytes, where: str = "state.json") -> State:
    """A state from its JSON.

    Args:
        text: What `render` gave.
        where: The file, for the message.

    Raises:
        RatchetError: It is no JSON, not in the shape of `state.schema.json`, or contradicts itself.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    try:
        found = json.loads(text)
    except ValueError as error:
        raise RatchetError(f"{where}: is not valid JSON: {error}") from error
    fault = best_match(Draft202012Validator(_schema()).iter_errors(found))
    if fault is not None:
        raise RatchetError(f"{where}: {fault.json_path}: {fault.message[:300]}")
    slots = {slot: None if arm is None else Arm(**arm) for slot, arm in found["slots"].items()}
    return State(**{name: value for name, value in found.items() if name != "version"} | {"slots": slots})


def render(state: State) -> str:
    """The JSON of a state; equal states give equal text."""
    written = {"version": VERSION, **asdict(state)}
    return json.dumps(written, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _faults(state: State) -> Iterator[str]:
    if set(state.slots) != set(SLOTS):
        yield f"names the slots {', '.join(sorted(state.slots))}; they are {' and '.join(SLOTS)}"
        return
    arms = state.arms
    if state.champion not in arms:
        yield f"the champion's slot {state.champion} is empty, so nothing would answer"
    if state.challenger is not None and (state.challenger == state.champion or state.challenger not in arms):
        yield f"the challenger's slot {state.challenger} is empty, or the champion's"
    if state.challenger is None and (state.share or state.mirror or state.sticky):
        yield "gives a challenger its share, and names none"
    if not (0 <= state.share <= 100 and 0 <= state.mirror <= 100):
        yield f"share {state.share} and mirror {state.mirror} are percent: 0 to 100"
    if len({arm.release for arm in arms.values()}) < len(arms):
        yield "the same release is in both slots"
    yield from (
        f"{arm.release} is withdrawn, and still there" for arm in arms.values() if arm.release in state.withdrawn
    )


@cache
def _schema() -> Mapping[str, Any]:
    text = resources.files("ratchet.deploy").joinpath("state.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))

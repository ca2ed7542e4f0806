"""The state of an environment: what it says, what it refuses to be, and its JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ratchet.deploy.state import State, parse, render
from ratchet.deploy.strategy import plan
from ratchet.errors import RatchetError
from state_example import alone, arm

CANARY = """{
  "challenger": "green",
  "champion": "blue",
  "environment": "production",
  "mirror": 0,
  "share": 10,
  "slots": {
    "blue": {
      "image": "ghcr.io/ada/flights@sha256:0000000000000000000000000000000000000000000000000000000000000001",
      "model": "0000000000000000000000000000000000000000000000000000000000000001",
      "release": "model-v1"
    },
    "green": {
      "image": "ghcr.io/ada/flights@sha256:0000000000000000000000000000000000000000000000000000000000000002",
      "model": "0000000000000000000000000000000000000000000000000000000000000002",
      "release": "model-v2"
    }
  },
  "sticky": false,
  "strategy": "canary",
  "version": 1,
  "withdrawn": {}
}
"""


def canary() -> State:
    """Two arms, one of them with a tenth of the requests."""
    return plan(alone(1), arm(2), "canary")


def edited(**changes: Any) -> str:
    """The canary's JSON with other fields."""
    return json.dumps({**json.loads(CANARY), **changes})


def test_the_json_is_the_same_for_the_same_state() -> None:
    """Down to the last byte, and back."""
    assert render(canary()) == CANARY
    assert parse(CANARY) == canary()


def test_the_roles_are_told() -> None:
    """Who answers, who came last, where a newcomer goes, and who is only warm."""
    state = canary()

    assert state.weights == {"blue": 90, "green": 10}
    assert (state.answering, state.newcomer, state.spare, state.warm) == (arm(1), arm(2), "green", None)
    assert set(state.taking_part) == {"model-v1", "model-v2"}
    assert state.slot_of("model-v2") == "green"
    assert state.slot_of("model-v3") is None


def test_an_arm_that_takes_no_part_is_warm() -> None:
    """After a change of champions the old one runs on."""
    state = plan(alone(1), arm(2), "blue-green")

    assert (state.warm, state.weights) == ("blue", {"blue": 0, "green": 100})
    assert set(state.taking_part) == {"model-v2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "deploy:x: is not valid JSON"),
        ("[]", "deploy:x: $: [] is not of type 'object'"),
        (edited(version=2), "$.version: 1 was expected"),
        (edited(mood="good"), "Additional properties are not allowed ('mood' was unexpected)"),
        (edited(environment="test"), "$.environment: 'test' is not one of ['staging', 'production']"),
        (edited(share=10.5), "$.share: 10.5 is not of type 'integer'"),
        (edited(share=101), "$.share: 101 is greater than the maximum of 100"),
        (edited(champion="red"), "$.champion: 'red' is not one of ['blue', 'green']"),
        (edited(withdrawn={"model v2": "why"}), "'model v2' does not match"),
        (edited(slots={"blue": None, "green": None}), "the champion's slot blue is empty, so nothing would answer"),
        (edited(challenger="blue"), "the challenger's slot blue is empty, or the champion's"),
        (edited(challenger=None), "gives a challenger its share, and names none"),
        (edited(withdrawn={"model-v2": "slow"}), "model-v2 is withdrawn, and still there"),
    ],
)
def test_what_is_no_state_is_refused(text: str, message: str) -> None:
    """By its shape, or because it contradicts itself; in one line that says where."""
    with pytest.raises(RatchetError) as refused:
        parse(text, "deploy:x")

    assert message in str(refused.value)


def test_the_same_release_is_not_in_both_slots() -> None:
    """It would be withdrawn in one of them and stay in the other."""
    with pytest.raises(RatchetError, match="the same release is in both slots"):
        State("production", "canary", {"blue": arm(1), "green": arm(1)}, "blue")


@pytest.mark.parametrize(
    "image",
    [
        "ghcr.io/ada/flights:latest",
        "ghcr.io/ada/flights@sha256:" + "1" * 63,
        "ghcr.io/ada/flights@sha256:" + "1" * 64 + "\n",
        "x\nGREEN_IMAGE=evil@sha256:" + "1" * 64,
        "-v@sha256:" + "1" * 64,
    ],
)
def test_an_image_is_named_by_its_digest_and_nothing_else(image: str) -> None:
    """A tag could come to mean something else, and a line break would be a setting of its own."""
    slots = json.loads(CANARY)["slots"]
    slots["green"]["image"] = image

    with pytest.raises(RatchetError, match=r"\$\.slots\.green"):
        parse(edited(slots=slots))

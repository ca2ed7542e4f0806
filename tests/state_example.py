"""Arms and states, as tests of what runs where need them."""

from __future__ import annotations

from typing import Any

from ratchet import ledger
from ratchet.deploy.state import Arm, State
from ratchet.deploy.strategy import plan
from ratchet.forge import Forge

REPOSITORY = "ghcr.io/ada/flights"


def arm(number: int) -> Arm:
    """The arm of model-v<number>."""
    return Arm(f"model-v{number}", f"{number:064x}", f"{REPOSITORY}@sha256:{number:064x}")


def alone(number: int = 1, **fields: Any) -> State:
    """A release that answers everything in production."""
    return plan(None, arm(number), "all-at-once", **fields)


def released(forge: Forge, *numbers: int, image: bool = True) -> None:
    """Records of releases model-v<number>."""
    for number in numbers:
        one = arm(number)
        entry = ledger.record(
            "release",
            f"2026-11-{number:02}T12:00:00Z",
            tag=one.release,
            sha="0" * 40,
            run=number,
            model_digest=one.model,
            lock_digest="f" * 64,
            pull_request=None,
            verdict=None,
            image=one.image if image else None,
        )
        ledger.Ledger(forge).append(entry)

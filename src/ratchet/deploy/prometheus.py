"""The arms of a state as what Prometheus is to scrape: an empty slot is no fault, a missing arm is one.

text = arms(state, "{}:3000".format)        <environment>/arms.json on the branch `deploy`
"""

from __future__ import annotations

import json
from collections.abc import Callable

from ratchet.deploy.state import Slot, State


def arms(state: State, address: Callable[[Slot], str]) -> str:
    """Targets for Prometheus' `file_sd_configs`, each with the label `slot`.

    Args:
        state: What is to run; a warm arm, too.
        address: Where Prometheus reaches a slot, "blue:3000".
    """
    targets = [{"targets": [address(slot)], "labels": {"slot": slot}} for slot in state.arms]
    return json.dumps(targets, indent=2) + "\n"

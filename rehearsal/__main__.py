"""`make rehearse EVENT=pull_request`: plays an event with the workflows of the working tree, and tells what ran.

Ends with 1 when a run failed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from contextlib import suppress

from ratchet.errors import told_to_the_user
from rehearsal.runner import play


def main(words: list[str] | None = None) -> int:
    """Play the event that was asked for; 1 when a run failed."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description=__doc__)
    parser.add_argument("event", help="push, pull_request, dispatch:WORKFLOW, schedule:WORKFLOW, or a JSON file")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", help="of a dispatch")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="what changes in params.yaml")
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS")
    parser.add_argument("--stay", action="store_true", help="keep the pages open until Ctrl-C")
    asked = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whoever stops us stops what we have started
    inputs = {name: str(value) for name, value in play.pairs(asked.input).items()}
    given = play.script(asked.event, inputs, play.pairs(asked.set))
    with play.desk() as desk:
        runs = play.play(desk, given, asked.timeout)
        if not runs:
            print("No workflow listens to this.")
        if asked.stay:
            print(f"Look at {desk.forge.url}/{play.NAME}; Ctrl-C ends it.", flush=True)
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
    return int(any(run.conclusion not in ("success", "skipped") for run in runs))


if __name__ == "__main__":
    with told_to_the_user():
        sys.exit(main())

"""What a reader of the demo sees while it plays."""

from __future__ import annotations

from datetime import datetime

from rehearsal.desk import Desk
from rehearsal.forge import Run


class Teller:
    """Tells each run once."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._told: set[int] = set()

    def tell(self) -> None:
        """The runs since the last time that had something to do: how long each took, and which failed."""
        for run in sorted(self.desk.forge.state.runs, key=lambda run: run.id):
            if run.id not in self._told and run.conclusion != "skipped" and not run.is_held:
                self._told.add(run.id)
                print(f"  {_seconds(run):6.1f} s  {run.name:<8} {run.event:<12} {run.conclusion}", flush=True)


def say(text: str) -> None:
    """A paragraph of the story."""
    print(f"\n{text}", flush=True)


def _seconds(run: Run) -> float:
    if run.started_at is None or run.completed_at is None:
        return 0.0
    return (datetime.fromisoformat(run.completed_at) - datetime.fromisoformat(run.started_at)).total_seconds()

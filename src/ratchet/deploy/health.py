"""Whether an arm is well: what it says of itself over HTTP, and how many of its answers were errors.

look("http://127.0.0.1:32768", arm)     None, or what is wrong with it, in a few words
guard = Guard(); guard.see("blue", arm.image, counted("http://…"), time.monotonic())
guard.out(time.monotonic())             {"blue": "6 of 40 answers were errors"}
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from ratchet.deploy.state import Arm, Slot

TIMEOUT = 2.0
"""Seconds for an answer to a probe; an arm that takes longer is as good as gone."""

_ANSWERS = re.compile(r"^ratchet_requests_total\{([^}]*)\} (\S+)", re.MULTILINE)
_PREDICTIONS = re.compile(r'\broute="/predict(_batch)?"')
_FAULTS = re.compile(r'\bcode="5\d\d"')


class Counted(NamedTuple):
    """Answers of an arm since it started: how many, and how many of them were errors of its own (5xx)."""

    requests: int
    errors: int


def look(url: str, arm: Arm) -> str | None:
    """Ask an arm whether it is ready, and which model it has loaded.

    Args:
        url: Where it listens.
        arm: What it has to be.

    Returns:
        None when it may answer, else what is wrong.
    """
    try:
        ready = httpx.get(f"{url}/readyz", timeout=TIMEOUT)
        if ready.status_code != httpx.codes.OK:
            return f"is not ready: /readyz says {ready.status_code}"
        model = httpx.get(f"{url}/info", timeout=TIMEOUT).raise_for_status().json()["model"]
    except (httpx.HTTPError, OSError) as error:
        return f"does not answer: {str(error) or type(error).__name__}"
    except (ValueError, KeyError, TypeError):
        return "/info does not say which model it is"
    return None if model == arm.model else f"has the model {str(model)[:12]}, not {arm.model[:12]} of {arm.release}"


def counted(url: str) -> Counted | None:
    """An arm's own count of its answers to predictions, from /metrics; None when it does not tell."""
    try:
        text = httpx.get(f"{url}/metrics", timeout=TIMEOUT).raise_for_status().text
    except (httpx.HTTPError, OSError):
        return None
    return count(text)


def count(text: str) -> Counted:
    """The same, from the text of the metrics."""
    found = [(labels, int(float(value))) for labels, value in _ANSWERS.findall(text) if _PREDICTIONS.search(labels)]
    return Counted(sum(n for _, n in found), sum(n for labels, n in found if _FAULTS.search(labels)))


@dataclass
class _Seen:
    """What is known of one arm in one slot."""

    image: str
    rest: float
    counts: deque[Counted]
    until: float = 0.0
    reason: str = ""


@dataclass
class Guard:
    """Takes an arm out whose answers are errors, and lets it try again after a rest.

    Out of traffic it answers nothing, so that its count says nothing: the rest is what it has to wait, and twice as
    long each time that it fails again.

    Attributes:
        bound: Share of errors above which an arm is sick.
        least: Answers below which a share means nothing.
        window: How many looks back the count begins.
        rest: Seconds out of traffic, the first time.
        longest: Seconds out of traffic at most.
    """

    bound: float = 0.05
    least: int = 20
    window: int = 5
    rest: float = 60.0
    longest: float = 960.0
    _seen: dict[Slot, _Seen] = field(default_factory=dict)

    def see(self, slot: Slot, image: str, counts: Counted | None, now: float) -> None:
        """Take in a look at an arm.

        Args:
            slot: Where it is; another image than the last time is another arm, of which nothing is known.
            image: Which one it is.
            counts: Of its answers since it started; None when it did not tell.
            now: Seconds of a clock that never goes back.
        """
        seen = self._seen.get(slot)
        if seen is None or seen.image != image:
            seen = self._seen[slot] = _Seen(image, self.rest, deque(maxlen=self.window + 1))
        if counts is None:
            return
        if seen.counts and counts.requests < seen.counts[-1].requests:  # it was started again, and counts anew
            seen.counts.clear()
        seen.counts.append(counts)
        self._judge(seen, now)

    def out(self, now: float) -> Mapping[Slot, str]:
        """The slots that are to get no traffic now, and why."""
        return {slot: seen.reason for slot, seen in self._seen.items() if now < seen.until}

    def _judge(self, seen: _Seen, now: float) -> None:
        first, last = seen.counts[0], seen.counts[-1]
        requests, errors = last.requests - first.requests, last.errors - first.errors
        if requests < self.least or now < seen.until:
            return
        if errors <= self.bound * requests:
            seen.rest = self.rest
            return
        seen.reason = f"{errors} of {requests} answers were errors"
        seen.until = now + seen.rest
        seen.rest = min(2 * seen.rest, self.longest)
        seen.counts.clear()

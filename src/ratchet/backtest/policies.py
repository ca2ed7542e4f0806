"""Policies of retraining: what is known when a period ends, to whether a pull request is opened.

Pure. A policy is handed the evidence and nothing else, so none can see the future; the one that does, the oracle, is no
policy and stands in `ratchet.backtest.replay`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ratchet import policy
from ratchet.backtest.evidence import Evidence
from ratchet.policy import Proof


@dataclass(frozen=True)
class Policy:
    """One way to decide.

    Attributes:
        name: Short, readable in a table.
        sentence: When it opens a pull request.
        opens: The decision.
        blind: What it trains holds the newest period, too, so that nothing is left to prove it on.
    """

    name: str
    sentence: str
    opens: Callable[[Evidence], bool]
    blind: bool = False


def _never(_: Evidence) -> bool:
    return False


def _always(_: Evidence) -> bool:
    return True


def _default_drift(seen: Evidence) -> bool:
    return seen.findings.default_moved


def _drift(seen: Evidence) -> bool:
    return seen.findings.inputs_moved


def _fall(seen: Evidence) -> bool:
    return seen.findings.performance == "fell"


def _proven(seen: Evidence) -> bool:
    """As `ratchet.policy` decides: a proof is asked for when the data are healthy, and only a promotion is proposed."""
    if policy.decide(seen.findings, proof=None).action != "prove":
        return False
    proof = Proof(seen.verdict.word, "the gate's word on a challenger")
    return policy.decide(seen.findings, proof=proof).action == "open pull request"


def _safe(seen: Evidence) -> bool:
    """Promoted, or held because no gain is proven although harm is ruled out."""
    return not seen.findings.broken and (seen.verdict.word == "promote" or seen.verdict.hold == "safe")


# From the simplest to the least simple: of those that are not distinguishably worse, the first is the one to have.
NEVER = Policy("never", "never: the first model stays", _never)
MONTHLY = Policy("every month", "a month has ended, whatever the challenger is worth", _always)
BLIND = Policy(
    "every month, unproven",
    "a month has ended; it is trained on that month, too, so nothing is left to judge it on",
    _always,
    blind=True,
)
DEFAULT_DRIFT = Policy(
    "drift by Evidently", "half of the inputs have drifted by Evidently's default tests, or more", _default_drift
)
FALL = Policy("fall", "the champion is proven to do worse than on its judged holdout", _fall)
DRIFT = Policy("calibrated drift", "an input moved by more than the reference's own days explain", _drift)
SAFE = Policy("no harm", "harm is ruled out: the gate promotes the month's challenger, or holds it as safe", _safe)
PROVEN = Policy("prove-it", "gain is proven: the gate promotes the month's challenger", _proven)

POLICIES = (NEVER, MONTHLY, BLIND, DEFAULT_DRIFT, FALL, DRIFT, SAFE, PROVEN)

"""Policies are functions of the evidence alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ratchet.backtest import policies
from ratchet.backtest.evidence import Verdict
from ratchet.backtest.policies import POLICIES, Policy
from ratchet.drift import Check, Diagnosis, Findings


def findings(*fired: str, performance: str = "holds", default: int = 0) -> Findings:
    """Findings of which the named checks fire; Evidently would call so many of four inputs drifted."""
    kinds = {"quality:rows": "quality", "input:a": "input", "input:b": "input", "input:c": "input", "input:d": "input"}
    checks = [
        Check(name, kind, 0.0, None, name in fired, "", default_fires=place <= default if place else None)
        for place, (name, kind) in enumerate(kinds.items())
    ]
    return Findings("", "", 1, 1, 1, 1, tuple(checks), performance, Diagnosis("healthy", ""))


HOLD, PROMOTE, SAFE, BLOCK = (
    Verdict("hold", "cannot tell"),
    Verdict("promote"),
    Verdict("hold", "safe"),
    Verdict("block"),
)


@dataclass
class Seen:
    """Evidence as it is given."""

    findings: Findings
    verdict: Verdict = HOLD


class Unproven:
    """Evidence whose verdict nobody has asked for."""

    findings = findings()

    @property
    def verdict(self) -> Verdict:
        """A training."""
        raise AssertionError("a challenger was trained")


@pytest.mark.parametrize(
    ("seen", "opening"),
    [
        (Seen(findings()), {"every month", "every month, unproven"}),
        (Seen(findings("input:a")), {"every month", "every month, unproven", "calibrated drift"}),
        (Seen(findings(default=1)), {"every month", "every month, unproven"}),
        (Seen(findings(default=2)), {"every month", "every month, unproven", "drift by Evidently"}),
        (Seen(findings(performance="fell")), {"every month", "every month, unproven", "fall"}),
        (Seen(findings(), PROMOTE), {"every month", "every month, unproven", "no harm", "prove-it"}),
        (Seen(findings(), SAFE), {"every month", "every month, unproven", "no harm"}),
        (Seen(findings("input:a"), BLOCK), {"every month", "every month, unproven", "calibrated drift"}),
        (Seen(findings("quality:rows"), PROMOTE), {"every month", "every month, unproven"}),
    ],
)
def test_who_opens_a_pull_request(seen: Seen, opening: set[str]) -> None:
    """Drift, a fall, a proof, a proof of no harm; broken data are never proven on."""
    assert {policy.name for policy in POLICIES if policy.opens(seen)} == opening


@pytest.mark.parametrize("policy", [p for p in POLICIES if p not in (policies.PROVEN, policies.SAFE)])
def test_only_a_proof_costs_a_training(policy: Policy) -> None:
    """All others decide without a verdict."""
    policy.opens(Unproven())


def test_names_and_sentences_are_distinct() -> None:
    """A table names a policy by them."""
    assert len({policy.name for policy in POLICIES}) == len({policy.sentence for policy in POLICIES}) == len(POLICIES)

"""The policy: what follows from a check of one period, and from a proof once there is one.

*Prove it.* Drift is neither needed for a retraining nor enough: inputs move with every season, and a challenger may be
better although nothing moved. A retraining costs seconds, so with each period that is whole and whose labels have come
one is made and judged like any other change; what drifted is what a person reads beside it. Only `promote` opens a
pull request. A champion that fell and that retraining does not repair is an issue for people. Broken data teach
nothing: they are an issue, and nothing is retrained while it is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ratchet.drift.findings import Findings

State = Literal["healthy", "watch", "retrain", "broken", "failed"]
Action = Literal["none", "prove", "open pull request", "open issue"]
Verdict = Literal["promote", "hold", "block", "void", "failed"]


@dataclass(frozen=True)
class Proof:
    """The verdict on a challenger that was trained on the new periods: word and sentence of `verdict.json`.

    The word "failed" is none of the gate: the pipeline made no challenger, and the sentence says why.
    """

    verdict: Verdict
    sentence: str


@dataclass(frozen=True)
class Decision:
    """What is to be done about a period.

    Attributes:
        state: Of the model in production.
        action: What comes next.
        sentence: The decision, for people.
        why: What it rests on: the diagnosis, and the proof's own sentence.
    """

    state: State
    action: Action
    sentence: str
    why: str


def decide(findings: Findings, *, proof: Proof | None, blocked_by: str | None = None) -> Decision:
    """Decide.

    Args:
        findings: What the check of the period found.
        proof: The verdict on a challenger; None before one was trained.
        blocked_by: An open issue about broken data, as a person would cite it; nothing is retrained until it is closed.
    """
    why = findings.diagnosis.sentence
    if findings.broken:
        sentence = "The data are broken upstream: no retraining until they are repaired and the issue is closed."
        return Decision("broken", "open issue", sentence, why)
    if blocked_by is not None:
        sentence = f"{blocked_by} says that data are broken; nothing is retrained until it is closed."
        return Decision("broken", "none", sentence, why)
    if findings.performance == "unknown":
        sentence = "Whether retraining helps cannot be proven before the labels suffice."
        return Decision(_state(findings), "none", sentence, why)
    if proof is None:
        sentence = "The labels have come: train a challenger on them and have it judged."
        return Decision(_state(findings), "prove", sentence, why)
    return _proven(findings, proof, f"{why} {proof.sentence}")


def _proven(findings: Findings, proof: Proof, why: str) -> Decision:
    if proof.verdict == "promote":
        sentence = "Retraining is proven to help: a pull request carries it."
        return Decision("retrain", "open pull request", sentence, why)
    if proof.verdict == "failed":
        sentence = f"No challenger can be trained, so nothing is proven: it needs a person. {proof.sentence}"
        return Decision("failed", "open issue", sentence, why)
    if findings.performance == "fell":
        sentence = f"The champion fell, and retraining is not proven to help ({proof.verdict}): it needs a person."
        return Decision("watch", "open issue", sentence, why)
    sentence = f"Retraining is not proven to help ({proof.verdict}): the champion stays."
    return Decision(_state(findings), "none", sentence, why)


def _state(findings: Findings) -> Literal["healthy", "watch"]:
    return "watch" if findings.fired else "healthy"

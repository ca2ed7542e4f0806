"""The policy: proof before a pull request, quiet without need, people where retraining cannot help."""

from __future__ import annotations

import pytest

from ratchet.drift import Check, Diagnosis, Findings
from ratchet.policy import Proof, decide

QUALITY = Check("quality:rows", "quality", 0.0, "0.5 to 2", fires=True, sentence="The period holds no rows.")
INPUT = Check("input:temp", "input", 0.5, "at most 0.1", fires=True, sentence="temp has moved.")


def findings(performance: str = "holds", *fired: Check) -> Findings:
    return Findings(
        "2021-03-01", "2021-03-31", 100, 31, 100, 100, fired, performance, Diagnosis("healthy", "So it is.")
    )


@pytest.mark.parametrize(
    ("found", "verdict", "state", "action"),
    [
        (findings(), None, "healthy", "prove"),
        (findings("holds", INPUT), None, "watch", "prove"),
        (findings("fell"), None, "healthy", "prove"),
        (findings(), "promote", "retrain", "open pull request"),
        (findings("fell", INPUT), "promote", "retrain", "open pull request"),
        (findings(), "hold", "healthy", "none"),
        (findings("holds", INPUT), "hold", "watch", "none"),
        (findings("holds", INPUT), "block", "watch", "none"),
        (findings(), "void", "healthy", "none"),
        (findings("fell"), "hold", "watch", "open issue"),
        (findings("fell"), "block", "watch", "open issue"),
        (findings("fell"), "void", "watch", "open issue"),
        (findings(), "failed", "failed", "open issue"),
        (findings("fell"), "failed", "failed", "open issue"),
        (findings("unknown"), None, "healthy", "none"),
        (findings("unknown", INPUT), None, "watch", "none"),
        (findings("unknown", INPUT), "promote", "watch", "none"),
        (findings("holds", QUALITY), None, "broken", "open issue"),
        (findings("fell", QUALITY), "promote", "broken", "open issue"),
    ],
)
def test_what_follows(found, verdict, state, action):
    """Only a promotion of whole, labelled data opens a pull request; only a fall without remedy calls for people."""
    decision = decide(found, proof=Proof(verdict, "It says why.") if verdict else None)

    assert (decision.state, decision.action) == (state, action)
    assert "So it is." in decision.why


def test_an_open_issue_about_broken_data_blocks():
    """Whatever a proof says."""
    decision = decide(findings("fell"), proof=Proof("promote", "Better."), blocked_by="Issue 7")

    assert (decision.state, decision.action) == ("broken", "none")
    assert decision.sentence.startswith("Issue 7 says that data are broken")


def test_broken_data_are_reported_also_while_an_issue_is_open():
    """The new period has a fault of its own."""
    assert decide(findings("holds", QUALITY), proof=None, blocked_by="Issue 7").action == "open issue"


def test_why_nothing_could_be_trained_is_said():
    """In the decision itself: it is what a person has to look at."""
    assert decide(findings(), proof=Proof("failed", "The stage train fails.")).sentence.endswith(
        "The stage train fails."
    )


def test_the_proof_is_part_of_the_reason():
    assert decide(findings(), proof=Proof("hold", "It says why.")).why == "So it is. It says why."

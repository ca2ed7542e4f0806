"""A check that has found that retraining helps."""

from __future__ import annotations

from typing import Any

from ratchet.retraining.inquiry import Inquiry

RUN = "https://github.com/ada/flights/actions/runs/7"


def finding(name: str, kind: str, *, fires: bool, **more: Any) -> dict[str, Any]:
    """A check."""
    return {
        "name": name,
        "kind": kind,
        "value": 0.123456,
        "bound": "at most 0.1",
        "fires": fires,
        "estimated": False,
        "sentence": f"{name} is as it is.",
        **more,
    }


PROOF = {"model_digest": "a" * 64, "verdict": "promote", "sentence": "Promote: log loss falls by 0.05."}
FOUND = Inquiry(
    period="2013-06",
    sha="b" * 40,
    inputs="c" * 64,
    champion={"tag": "model-v1", "digest": "d" * 64},
    state="retrain",
    diagnosis="inputs moved, performance holds",
    sentence="Retraining is proven to help: a pull request carries it.",
    diagnosed="Two inputs moved; performance holds.",
    labelled=True,
    findings=[
        finding("input:temp", "input", fires=False),
        finding("input:dewp", "input", fires=True),
        finding("performance:log_loss", "performance", fires=False),
    ],
    action="pull request",
    periods=["2013-01", "2013-02", "2013-05", "2013-06"],
    added=["2013-05", "2013-06"],
    proof=PROOF,
)

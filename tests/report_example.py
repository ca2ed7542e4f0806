"""A realistic verdict with everything a report can show, from made-up but plausible figures."""

from __future__ import annotations

import copy
from typing import Any

CHAMPION = "a1" * 32
CHALLENGER = "c4" * 32
REPOSITORY = "https://github.com/ada/flights"

_METRICS = [
    ("log_loss", "Log loss", "lower", "nats", 0.4312, 0.4268, 0.0044, 0.0018, 0.0070),
    ("roc_auc", "ROC AUC", "higher", "", 0.7241, 0.7338, 0.0097, 0.0031, 0.0163),
    ("average_precision", "Average precision", "higher", "", 0.4127, 0.4201, 0.0074, -0.0009, 0.0157),
    ("brier", "Brier score", "lower", "", 0.1372, 0.1358, 0.0014, 0.0005, 0.0023),
    ("calibration_slope", "Calibration slope", "target", "", 0.912, 0.946, 0.034, -0.021, 0.089),
    ("calibration_intercept", "Calibration intercept", "target", "logits", -0.121, -0.163, -0.042, -0.081, -0.003),
    ("precision", "Precision", "higher", "", 0.3921, 0.3998, 0.0077, -0.0042, 0.0196),
    ("recall", "Recall", "higher", "", 0.5563, 0.5611, 0.0048, -0.0113, 0.0209),
    ("f1", "F1", "higher", "", 0.46, 0.4669, 0.0069, -0.0021, 0.0159),
]

_SLICES = [
    ("carrier", "HA", 31, 0.412, 0.431, -0.019, -0.052, 0.014),
    ("carrier", "F9", 57, 0.601, 0.612, -0.011, -0.041, 0.019),
    ("origin", "LGA", 9001, 0.4231, 0.4219, 0.0012, -0.0013, 0.0037),
    ("carrier", "UA", 4893, 0.3977, 0.3953, 0.0024, -0.0007, 0.0055),
    ("origin", "JFK", 9018, 0.4102, 0.4061, 0.0041, 0.0012, 0.007),
    ("hour", "evening", 8044, 0.5283, 0.5227, 0.0056, 0.0016, 0.0096),
    ("origin", "EWR", 9645, 0.4587, 0.4511, 0.0076, 0.0031, 0.0121),
    ("carrier", "EV", 4458, 0.5031, 0.4922, 0.0109, 0.0044, 0.0174),
]


def verdict() -> dict[str, Any]:
    """A promotion."""
    names = ("name", "title", "direction", "unit", "champion", "challenger", "improvement", "low", "high")
    metrics = [dict(zip(names, row, strict=True)) for row in _METRICS]
    primary = {**metrics[0], "metric": "log_loss", "level": 0.03, "delta": 0.001, "margin": 0.005, "detectable": 0.0031}
    del primary["name"]
    columns = ("slice", "value", "rows", "champion", "challenger", "improvement", "low", "high")
    slices = [
        {**dict(zip(columns, row, strict=True)), "clusters": 30, "judged": row[2] >= 500, "harmed": False}
        for row in _SLICES
    ]
    return {
        "version": 1,
        "verdict": "promote",
        "hold": None,
        "sentence": "Log loss improves by 0.0044 (0.0018 to 0.0070), more than the 0.001 that is worth shipping, and "
        "no guardrail objects.",
        "primary": primary,
        "metrics": metrics,
        "rules": [
            rule("same_rows", "pass", 27664, "equal", "Both models scored the same 27,664 rows."),
            rule(
                "primary", "pass", 0.0018, "> 0.001", "The improvement is at least 0.0018, more than is worth shipping."
            ),
            rule("slices", "pass", -0.019, f"> {-0.02}", "No slice is provably worse by more than 0.02."),
            rule("calibration", "info", 0.946, "0.7 to 1.4", "The slope of the challenger lies within the bounds."),
            rule("bundle_size", "pass", 0.31, "<= 50 MB", "The bundle has 0.31 MB."),
        ],
        "slices": slices,
        "look": {"number": 1, "level": 0.03, "budget": 0.05},
        "holdout": {"rows": 27664, "clusters": 30, "first": "2013-04-01", "last": "2013-04-30", "keys": "ab" * 32},
        "champion": {"digest": CHAMPION, "trained_on": ["2013-01", "2013-02"]},
        "challenger": {"digest": CHALLENGER, "trained_on": ["2013-01", "2013-02", "2013-03"]},
    }


def rule(name: str, outcome: str, value: float | None, bound: str | None, sentence: str) -> dict[str, Any]:
    """One rule of a verdict."""
    return {"name": name, "outcome": outcome, "value": value, "bound": bound, "sentence": sentence}


def void() -> dict[str, Any]:
    """A verdict where nothing could be computed."""
    found = verdict()
    nothing = dict.fromkeys(("champion", "challenger", "improvement", "low", "high", "detectable"))
    return {
        **found,
        "verdict": "void",
        "sentence": "The comparison is void: the champion was trained on 2013-04, which is in the holdout.",
        "primary": {**found["primary"], **nothing},
        "metrics": [],
        "rules": [rule("unseen", "void", 1, "0 periods", "The champion was trained on 2013-04.")],
        "slices": [],
    }


def evaluation(shift: float = 0.0, task: str = "binary") -> dict[str, Any]:
    """An evaluation of one model; `shift` makes another one."""
    binary = task == "binary"
    names = [(row[0], row[1], row[2], row[3], row[5] + shift) for row in _METRICS]
    if not binary:
        names = [("mae", "Mean absolute error", "lower", "target", 17.3), ("r2", "R²", "higher", "", 0.21)]
    keys = ("name", "title", "direction", "unit", "value")
    metrics = [{**dict(zip(keys, row, strict=True)), "low": row[4] - 0.012, "high": row[4] + 0.012} for row in names]
    bases = [("logistic", 0.013), ("rate", 0.024)]
    predicted = [0.05, 0.08, 0.11, 0.14, 0.17, 0.21, 0.25, 0.31, 0.39, 0.56]
    return {
        "task": task,
        "model_digest": CHALLENGER,
        "rows": 27664,
        "clusters": 30,
        "threshold": 0.29 if binary else None,
        "label_mean": 0.2231,
        "metrics": metrics,
        "baselines": {n: [{**m, "value": m["value"] + worse} for m in metrics] for n, worse in bases},
        "slices": [
            {"slice": s, "value": v, "rows": n, "label_mean": 0.21, "metrics": {names[0][0]: b}}
            for s, v, n, _, b, *_ in _SLICES
        ],
        "calibration": [{"predicted": p, "observed": 0.96 * p + 0.012 + shift * p, "rows": 2766} for p in predicted],
        "pr_curve": [
            {
                "recall": i / 40,
                "precision": max(0.22, 0.83 - 0.9 * (i / 40) ** 0.55 * 0.7 - shift),
                "threshold": 1 - i / 40,
            }
            for i in range(1, 41)
        ]
        if binary
        else [],
        "behaviour": [
            {
                "name": "storm",
                "kind": "direction",
                "sentence": "A storm at the origin makes delays more likely.",
                "rows": 27664,
                "value": 0.0871,
                "bound": "rises by more than 0.02",
                "passed": True,
            },
            {
                "name": "tail number",
                "kind": "invariance",
                "sentence": "The tail number does not matter.",
                "rows": 27664,
                "value": 0.0,
                "bound": "moves by at most 0",
                "passed": True,
            },
        ],
    }


def dataset(*train: str) -> dict[str, Any]:
    """A dataset that was trained on the given periods and tested on April."""
    return {
        "task": "binary",
        "target": "late",
        "train": {name: period(name) for name in train},
        "test": {"2013-04": period("2013-04")},
    }


def period(name: str) -> dict[str, Any]:
    """Figures of one period."""
    rows = 26000 + 7 * int(name[-2:])
    return {
        "rows": rows,
        "labelled": rows - 400,
        "positives": 5900,
        "quarantined": 3,
        "sha256": name.encode().hex() * 4,
    }


def judgement(found: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """What the judge hands over about pull request 12, judged with `found` at the third look."""
    found = found or verdict()
    looks = [{**found, "look": {**found["look"], "number": number}} for number in (3, 4, 5)]
    empty = dict.fromkeys(("evaluation", "dataset", "training", "bundle_bytes"))
    sides = {
        "champion": {**empty, "evaluation": evaluation(-0.02), "bundle_bytes": 310_000},
        "challenger": {
            "evaluation": evaluation(),
            "dataset": dataset("2013-01", "2013-02", "2013-03"),
            "training": {"rows": 75123, "threshold": 0.29},
            "bundle_bytes": 1_332_000,
        },
    }
    return {
        "version": 1,
        "pull_request": 12,
        "head": {"sha": "5eed" * 10, "repository": "ada/flights", "branch": "deeper", "is_fork": False},
        "base_sha": "ba5e" * 10,
        "run": {"id": 77, "attempt": 1, "url": f"{REPOSITORY}/actions/runs/77"},
        "artifact": {"id": 5, "digest": "sha256:" + "d1" * 32},
        "outcome": "judged",
        "reason": "",
        "log": "",
        "judge_changed": [],
        "model_digest": CHALLENGER,
        "lock_digest": "10c" + "4" * 61,
        "lock": None,
        "holdout": "4ead" * 16,
        "verdicts": looks,
        "first_look": 3,
        "champion": {"tag": "model-v1", "digest": CHAMPION},
        "sides": sides,
        "params": [["model.learning_rate", 0.05, 0.1], ["data.periods", ["2013-01"], ["2013-01", "2013-02"]]],
        "stages": [{"name": "train", "seconds": 4.1}, {"name": "evaluate", "seconds": 71.6}],
        "seconds": 192.3,
        "links": {"report": f"{REPOSITORY}/actions/runs/78/artifacts/8", "card": None},
        **more,
    }


def unjudged(outcome: str, reason: str = "", log: str = "", **more: Any) -> dict[str, Any]:
    """What the judge hands over when no models were compared."""
    nothing = {"verdicts": [], "first_look": 1, "champion": None, "holdout": None, "artifact": None, "lock": None}
    empty = dict.fromkeys(("evaluation", "dataset", "training", "bundle_bytes"))
    sides = {"champion": empty, "challenger": empty}
    return {**judgement(), **nothing, "sides": sides, "outcome": outcome, "reason": reason, "log": log, **more}


def record(sha: str, sentence: str, at: str, verdict: str = "hold", **more: Any) -> dict[str, Any]:
    """A verdict record of the ledger."""
    return {
        "version": 1,
        "kind": "verdict",
        "at": at,
        "pull_request": 12,
        "head_sha": sha,
        "verdict": verdict,
        "sentence": sentence,
        "look": 1,
        **more,
    }


def hostile(value: Any, text: str) -> Any:
    """A copy in which every text that may come from data is `text`, in keys that are names as well as in values."""
    fixed = {"verdict", "hold", "outcome", "direction", "task", "kind"}
    if isinstance(value, dict):
        return {key: found if key in fixed else hostile(found, text) for key, found in value.items()}
    if isinstance(value, list):
        return [hostile(found, text) for found in value]
    return text if isinstance(value, str) else copy.deepcopy(value)

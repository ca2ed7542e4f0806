"""Performance while labels are missing, estimated from calibrated scores. An estimate, and marked as one.

If the calibrated score of a row is its chance to be a 1, then each row is that much of a 1 and the rest of a 0, and any
metric of the weighted rows is the one to be expected (confidence-based performance estimation, CBPE: NannyML; Guillory
et al. 2021, Predicting with Confidence on Unseen Distributions, ICCV). It sees inputs that have moved to where the
model is less sure. It cannot see that the same inputs have come to mean something else: for that, labels are needed.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ratchet import metrics
from ratchet.drift import performance
from ratchet.drift.findings import Check
from ratchet.drift.options import DriftOptions, Judged
from ratchet.drift.performance import called
from ratchet.drift.summary import Floats
from ratchet.metrics import Metric
from ratchet.report.document import number


def calibrated(judged: pd.DataFrame, scores: Floats) -> Floats:
    """Scores as the shares of ones that they stood for in the judged holdout: isotonic regression, shape (n,)."""
    from sklearn.isotonic import IsotonicRegression

    shape = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    shape.fit(judged["score"].to_numpy(np.float64), judged["label"].to_numpy(np.float64))
    return np.asarray(shape.predict(scores), dtype=np.float64)


def expected(metric: Metric, chances: Floats, scores: Floats) -> float:
    """The value of a metric to be expected when row i is a 1 with chance `chances[i]`; shapes (n,)."""
    labels = np.repeat([1.0, 0.0], len(scores))
    return metric.value(labels, np.tile(scores, 2), np.concatenate([chances, 1 - chances]))


def check(scores: Floats, judged: Judged, options: DriftOptions) -> Check:
    """The primary metric of a binary task, estimated; it fires when the estimate itself is a fall.

    Args:
        scores: Of the period's rows, shape (n,).
        judged: The champion's judged holdout, which calibrates the scores.
        options: The bounds.
    """
    metric = metrics.get(options.metric, "binary", judged.threshold)
    chances = calibrated(judged.table, scores)
    constant = expected(metric, chances, np.full(len(scores), chances.mean()))
    now = float(metric.improvement(constant, expected(metric, chances, scores)))
    before = performance.gain(metric, judged.table).value
    fires = before - now > options.fall
    sentence = (
        f"Estimated without labels: the champion adds {number(now, signed=True)} to a constant in {called(metric)}, "
        f"after {number(before, signed=True)} on its judged holdout. That holds while the same inputs mean the same."
    )
    bound = f"at most {number(options.fall)}"
    value = metrics.rounded(before - now)
    return Check(f"estimate:{metric.name}", "performance", value, bound, fires, sentence, estimated=True)

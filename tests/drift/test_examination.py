"""A check of one period: what is said of good data, moved data, broken data and missing labels."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drift_example import COINS, DELAYS, OPTIONS, examined, judged, reference, scores, throws

from ratchet import drift
from ratchet.drift import Check, Judged, Operations, Quality
from ratchet.errors import RatchetError

NOW = throws(28, seed=5)


def names(findings: drift.Findings) -> list[str]:
    return [check.name for check in findings.fired]


def test_a_period_like_the_reference_is_healthy():
    found = examined(NOW)

    assert (found.diagnosis.name, found.performance) == ("healthy", "holds")
    assert (found.broken, found.inputs_moved, found.score_moved, names(found)) == (False, False, False, [])
    assert (found.first, found.last, found.rows, found.labelled) == ("2021-03-01", "2021-03-28", 2800, 2800)
    assert found.metrics["roc_auc"] == pytest.approx(0.83, abs=0.03)


def test_inputs_that_moved_while_the_champion_serves():
    """The force halves; the champion knows what that means."""
    force = NOW["force"] / 2
    calm = throws(28, seed=5).assign(
        force=force, head=(np.random.default_rng(0).random(2800) < scores(NOW.assign(force=force))).astype(float)
    )
    old = Judged(judged().table.assign(score=0.5))  # it was no better than a constant before

    found = examined(calm, judged=old)

    assert found.diagnosis.name == "inputs moved, performance holds"
    assert names(found) == ["input:force", "prediction:score"]


def test_labels_that_turned_are_concept_drift():
    found = examined(NOW.assign(head=1 - NOW["head"]))

    assert found.diagnosis.name == "performance fell with stable inputs"
    assert "concept drift" in found.diagnosis.sentence
    assert not found.inputs_moved


def test_both_at_once():
    found = examined(NOW.assign(head=1 - NOW["head"], metal="tin"))
    assert found.diagnosis.name == "inputs moved and performance fell"
    assert "input:metal" in names(found)


def test_missing_labels_leave_an_estimate():
    """Performance is unknown, what there is is marked."""
    for frame in (NOW.assign(head=np.nan), NOW.drop(columns="head")):
        found = examined(frame)
        assert (found.diagnosis.name, found.performance, found.labelled) == ("too few labels", "unknown", 0)
        assert [check.name for check in found.checks if check.estimated] == ["estimate:log_loss"]
        assert "Estimated without labels" in found.diagnosis.sentence


def test_one_class_only_tells_nothing():
    found = examined(NOW.assign(head=1.0))
    assert (found.diagnosis.name, found.performance) == ("too few labels", "unknown")
    assert "All 2,800 labels are 1: of one class nothing can be told." in found.diagnosis.sentence


def test_without_champion_there_is_no_performance():
    assert examined(NOW, judged=None).performance == "unknown"
    found = examined(NOW, scores=None)
    assert (found.performance, found.metrics) == ("unknown", {})
    assert "prediction:score" not in [check.name for check in found.checks]


@pytest.mark.parametrize(
    ("frame", "quality", "name", "said"),
    [
        (NOW.iloc[:0], None, "quality:rows", "The period holds no rows."),
        (NOW.drop(columns="metal"), None, "quality:schema", "metal is gone"),
        (NOW.drop(columns="day"), None, "quality:schema", "day is gone"),
        (NOW.assign(turns="three"), None, "quality:schema", "turns holds texts, not numbers"),
        (NOW.iloc[::4], None, "quality:rows", "0.25 of the reference's 100 a cluster"),
        (NOW.assign(metal=NOW["metal"].where(NOW["throw"] % 2 == 0)), None, "quality:nulls", "metal is missing in"),
        (NOW, Quality(quarantined=0.02), "quality:quarantined", "2.0 % of the rows are quarantined"),
        (NOW, Quality(duplicated=0.01), "quality:duplicated", "1.0 % of the rows are duplicated"),
        (NOW, Quality(missing_clusters=3), "quality:freshness", "3 days are missing"),
        (NOW.iloc[:0], Quality(fault="2021-03: the batch is empty"), "quality:batch", "the batch is empty"),
    ],
)
def test_broken_data_are_a_finding_and_no_error(frame, quality, name, said):
    """Whatever else fires: nothing is to be learnt from them."""
    found = examined(frame, quality=quality)

    assert found.broken
    assert name in names(found)
    assert found.diagnosis.name == "broken upstream"
    assert said in found.diagnosis.sentence


def test_an_empty_partition_among_others_is_nothing():
    found = drift.examine(
        COINS, reference(), [NOW.iloc[:0], NOW], [np.array([]), scores(NOW)], judged=judged(), options=OPTIONS
    )
    assert found == examined(NOW)


def test_scores_that_move_alone_are_no_input():
    """Something between the inputs and the scores is not as it was."""
    found = examined(NOW, scores=[scores(NOW) / 2])

    assert (found.inputs_moved, found.score_moved) == (False, True)
    assert "The scores have moved." in found.diagnosis.sentence


def test_a_new_category_moves_the_input_and_is_named():
    metals = NOW["metal"].where(NOW["throw"] % 4 != 0, "lead")
    found = examined(NOW.assign(metal=metals))
    check = next(check for check in found.checks if check.name == "input:metal")

    assert check.fires
    assert "of the rows hold a value it has never seen, such as lead." in check.sentence


def test_a_private_value_is_never_named(monkeypatch):
    """The record and the report are public."""
    monkeypatch.setitem(COINS.schema.columns["metal"].metadata, "private", True)
    found = examined(NOW.assign(metal="secret"), reference=reference())

    check = next(check for check in found.fired if check.name == "input:metal")
    assert "its largest bin went from" in check.sentence
    assert "secret" not in json.dumps(found.records()) + str(found)
    assert "gold" not in str(found)


def test_operations_are_checked_when_they_are_known():
    given = Operations(requests=1000, p99_milliseconds=400.0, error_rate=0.002)
    found = examined(NOW, operations=given)

    assert names(found) == ["operations:p99"]
    assert examined(NOW, operations=Operations(requests=0)).fired == ()


def test_many_rows_are_sampled_where_ranks_are_needed():
    """And the findings say how many."""
    found = examined(NOW, options=replace(OPTIONS, sample=1000))

    assert (found.rows, found.labelled, found.sampled) == (2800, 2800, 1000)
    assert found.performance == "holds"


def test_a_regression_is_checked_in_its_own_metric():
    """No calibration and no estimate, but the fall and the slices."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "day": np.repeat(pd.date_range("2021-01-01", periods=20).strftime("%Y-%m-%d"), 100).astype("str"),
            "train": np.tile(np.arange(100), 20),
            "line": pd.Series(rng.choice(["north", "south"], 2000), dtype="str"),
            "distance": rng.uniform(1, 50, 2000),
            "wind": rng.uniform(0, 30, 2000),
        }
    )
    predicted = (frame["distance"] / 5).to_numpy()
    frame["delay"] = predicted + rng.normal(size=2000)
    known = frame.assign(cluster=frame["day"], label=frame["delay"], score=predicted)[["cluster", "label", "score"]]
    options = replace(OPTIONS, metric="mae")
    of = drift.reference.build(DELAYS, [frame], [predicted])

    good = drift.examine(DELAYS, of, [frame], [predicted], judged=Judged(known), options=options)
    worse = frame.assign(delay=frame["delay"] + 5)
    bad = drift.examine(DELAYS, of, [worse], [predicted], judged=Judged(known), options=options)
    late = drift.examine(DELAYS, of, [frame.assign(delay=np.nan)], [predicted], judged=Judged(known), options=options)

    assert (good.performance, bad.performance, late.performance) == ("holds", "fell", "unknown")
    assert not any(check.estimated for check in late.checks)


def test_scores_that_do_not_fit_are_an_error():
    with pytest.raises(RatchetError, match="one per row would be"):
        examined(NOW, scores=[scores(NOW)[1:]])


def test_the_record_is_plain_and_begins_with_what_fired():
    """JSON without NaN."""
    found = examined(NOW.assign(metal="tin"))
    held = json.loads(json.dumps(found.records(), allow_nan=False))

    assert [check["name"] for check in held if check["fires"]] == [held[0]["name"]] == ["input:metal"]
    assert {check["name"]: check["value"] for check in held}["quality:rows"] == 1.0
    assert len(held) == len(found.checks)


def test_the_record_of_a_wide_table_is_what_the_ledger_takes():
    """Texts are clipped, and of very many checks those stay that fire."""
    long = Check(f"input:{'x' * 300}", "input", 0.5, "at most 0.1", fires=True, sentence="so far " * 2000)
    found = replace(examined(NOW), checks=(*[replace(long, fires=False)] * 600, long))
    held = found.records()

    assert len(held) == 500
    assert [check["fires"] for check in held] == [True] + [False] * 499
    assert (len(held[0]["name"]), len(held[0]["sentence"])) == (200, 600)


def test_scores_that_are_too_good_on_training_rows_are_no_drift():
    """Only the holdout's are compared, and scores that did move are still found."""
    older, newer = (throws(days, first=first, seed=1) for days, first in ((40, "2021-01-01"), (12, "2021-02-10")))
    odds = scores(older) / (1 - scores(older))
    known = [odds**2 / (1 + odds**2), scores(newer)]
    whole = drift.reference.build(COINS, [older, newer], known)
    judged_alone = drift.reference.build(COINS, [older, newer], known, "2021-02-10")

    told = {}
    for name, of in {"whole": whole, "alone": judged_alone}.items():
        told[name] = {check.name: check for check in examined(NOW, reference=of).checks}["prediction:score"]

    assert told["alone"].value < 0.1
    assert (told["whole"].fires, told["alone"].fires) == (True, False)
    assert "prediction:score" in names(examined(NOW, reference=judged_alone, scores=[scores(NOW) / 4]))


def test_half_of_the_labels_prove_nothing_whatever_they_are():
    """They come in some order: those that are there may be of one class, and are a sample of nothing."""
    early = NOW.assign(head=NOW["head"].where((NOW["head"] == 1) | (NOW["throw"] % 2 == 0)))
    found = examined(early)

    assert (found.diagnosis.name, found.performance, found.broken) == ("too few labels", "unknown", False)
    assert "90.0 % are needed" in found.diagnosis.sentence

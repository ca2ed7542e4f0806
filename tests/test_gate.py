"""The gate: three regions, guardrails, looks, and the words of a verdict."""

import json
import math
from dataclasses import replace
from importlib.resources import files

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from ratchet import gate, schemas
from ratchet.errors import RatchetError
from ratchet.params import Gate

POLICY = Gate(
    metric="mae",
    delta=1.0,
    margin=5.0,
    level=0.05,
    slice_margin=2.0,
    slice_rows=20,
    calibration_slope=(0.7, 1.4),
    bundle_megabytes=50,
)
HOLDOUT = {"2013-04": "d4"}
SCHEMA = {"properties": {"hour": {"type": "integer"}}, "required": ["hour"], "additionalProperties": False}
UNEVEN = np.array([1.0, -1.0] * 14)  # symmetric and uncorrelated: its interval is Student's t
REACH = 0.443344  # of that interval at the first look


def side(scores, task="regression", **changes):
    """A model whose daily error is its score, for the label is 0 every day; 28 days of one row."""
    scores = np.asarray(scores, float)
    days = pd.DataFrame({"row": range(len(scores)), "cluster": [f"day-{d:02d}" for d in range(len(scores))]})
    manifest = {"task": task, "target": "delay", "threshold": None, "trained_on": {"2013-02": "d2", "2013-01": "d1"}}
    known = gate.Side(days.assign(label=0.0, score=scores), {"behaviour": []}, manifest, SCHEMA, 400_000, "c" * 64)
    return replace(known, **changes)


def judged(improvement, look=1, policy=POLICY, judge_changed=False, **challenger):
    """The verdict when each day improves by so much on an error of 20."""
    improvement = np.asarray(improvement) + np.zeros(28)
    found = gate.verdict(
        side(np.full(28, 20.0), digest="a" * 64),
        side(20 - improvement, **challenger),
        HOLDOUT,
        policy,
        look,
        judge_changed=judge_changed,
    )
    json.dumps(found, allow_nan=False)
    return found


def outcome(found, name):
    (rule,) = [rule for rule in found["rules"] if rule["name"] == name]
    return rule["outcome"], rule["value"], rule["sentence"]


@pytest.mark.parametrize(
    ("improvement", "expected"),
    [
        (1.01, ("promote", None)),
        (1.0, ("hold", "safe")),
        (-4.99, ("hold", "safe")),
        (-5.0, ("hold", "cannot tell")),
        (-5.01, ("block", None)),
        (1.45 + UNEVEN, ("promote", None)),
        (1.44 + UNEVEN, ("hold", "safe")),
        (-4.55 + UNEVEN, ("hold", "safe")),
        (-4.56 + UNEVEN, ("hold", "cannot tell")),
        (-5.44 + UNEVEN, ("hold", "cannot tell")),
        (-5.45 + UNEVEN, ("block", None)),
    ],
)
def test_regions_lie_where_the_interval_passes_delta_and_margin(improvement, expected):
    """Promote above delta, block below -margin, in between safe when -margin is excluded."""
    found = judged(improvement)
    assert (found["verdict"], found["hold"]) == expected
    primary = found["primary"]
    centre, reach = np.mean(improvement), REACH * np.ptp(improvement) / 2
    assert primary["improvement"] == pytest.approx(centre)
    assert (primary["low"], primary["high"]) == pytest.approx((centre - reach, centre + reach), abs=1e-5)


def test_promotion_says_what_a_newcomer_wants_to_know():
    """How much, from what to what, how sure, on what."""
    found = judged(3.1 + UNEVEN)
    assert found["sentence"] == (
        "Promote: mean absolute error falls by 3.1 (20.0 → 16.9), at least 2.7 with 97 % confidence, "
        "on 28 rows over 28 clusters."
    )
    assert outcome(found, "primary")[0] == "pass"
    assert outcome(found, "primary")[2] == "Mean absolute error improves by more than 1 for sure."


def test_block_says_how_much_is_lost():
    """And that it is more than the margin."""
    found = judged(-7.0 + UNEVEN)
    assert found["sentence"] == (
        "Block: mean absolute error rises by 7.0 (20.0 → 27.0), at least 6.6 with 97 % confidence and so more than the "
        "margin of 5, on 28 rows over 28 clusters."
    )
    assert outcome(found, "primary")[0] == "block"


def test_safe_hold_says_what_is_ruled_out():
    """A gain is not proven, a loss is excluded."""
    found = judged(0.3 + UNEVEN)
    assert found["sentence"] == (
        "Hold, safe: mean absolute error falls by 0.30 (20.00 → 19.70); a gain of more than 1 is not proven, but a "
        "loss of more than 5 is ruled out with 97 % confidence, on 28 rows over 28 clusters."
    )


def test_hold_that_cannot_tell_says_what_could_be_seen():
    """The interval, and the gain this holdout would find 8 times in 10."""
    found = judged(18 * UNEVEN + 2)
    assert found["primary"]["detectable"] == pytest.approx(12.2, abs=0.1)
    assert found["sentence"] == (
        "Hold, cannot tell: mean absolute error falls by 2.0 (20.0 → 18.0), but an improvement anywhere from -6.0 to "
        "10.0 is possible (each end with 97 % confidence), on 28 rows over 28 clusters; a gain smaller than 12 can "
        "hardly be seen there."
    )


def test_an_equal_model_is_held_as_safe():
    """Nothing changes, for sure."""
    assert judged(0.0)["sentence"].startswith(
        "Hold, safe: mean absolute error stays as it is (20); a gain of more than"
    )


def test_too_few_clusters_cannot_tell():
    """Two days have no interval, and nothing is promoted without."""
    found = gate.verdict(side([20, 20]), side([1, 1]), HOLDOUT, POLICY, 1)
    assert (found["verdict"], found["hold"]) == ("hold", "cannot tell")
    assert found["primary"]["low"] is None
    assert found["primary"]["detectable"] is None
    assert found["sentence"] == (
        "Hold, cannot tell: mean absolute error has no interval on 2 rows over 2 clusters; it takes 3 clusters, each "
        "dispensable."
    )
    assert outcome(found, "primary") == ("hold", None, "The interval of mean absolute error cannot be computed.")


@pytest.mark.parametrize(
    ("metric", "improvement", "words"),
    [
        ("bias", 2.5, "bias (predicted minus actual) moves nearer to 0 by 2.5 (20.0 → 17.5), at least"),
        ("bias", -9.0, "bias (predicted minus actual) moves away from 0 by 9.0 (20.0 → 29.0), at least"),
        ("rmse", 1.5, "root mean squared error falls by 1.5 (20.0 → 18.5), at least"),
    ],
)
def test_any_metric_may_be_the_primary_one(metric, improvement, words):
    """The words follow its direction."""
    assert words in judged(improvement, policy=POLICY.model_copy(update={"metric": metric}))["sentence"]


def test_a_higher_metric_rises():
    """R² of labels that vary."""
    labels = np.arange(28) * 11.0 % 28
    champion = side(np.zeros(28))
    tables = [champion.scores.assign(label=labels, score=labels + error) for error in (4 * UNEVEN, UNEVEN)]
    policy = POLICY.model_copy(update={"metric": "r2", "delta": 0.01})
    found = gate.verdict(*[replace(champion, scores=table) for table in tables], HOLDOUT, policy, 1)
    assert found["verdict"] == "promote"
    assert found["sentence"].startswith("Promote: R² rises by 0.23 (0.75 → 0.98), at least 0.1")


# Looks.


def test_level_is_spent_over_the_looks():
    """The first look uses 3.04 % of 5 %, and all looks together 5 %."""
    assert gate.spend(0.05, 1) == pytest.approx(0.0303964, abs=1e-7)
    assert gate.spend(0.05, 2) == pytest.approx(0.0303964 / 4, abs=1e-7)
    assert sum(gate.spend(0.05, look) for look in range(1, 100_000)) == pytest.approx(0.05, abs=1e-5)


def test_a_worn_holdout_asks_for_more():
    """What the first look promotes, the fifth does not."""
    first, fifth = judged(1.9 + UNEVEN), judged(1.9 + UNEVEN, look=5)
    assert (first["verdict"], fifth["verdict"]) == ("promote", "hold")
    assert first["look"] == {"number": 1, "level": 0.0303964, "budget": 0.05}
    assert fifth["look"] == {"number": 5, "level": 0.00121585, "budget": 0.05}
    assert fifth["primary"]["low"] < first["primary"]["low"]


def test_there_is_no_look_before_the_first():
    """A caller that counts from zero is told."""
    with pytest.raises(RatchetError, match="look 0 cannot be"):
        judged(1.0, look=0)


# Void.


def test_a_void_comparison_has_a_reason_and_no_figures():
    """A model that has seen the holdout proves nothing."""
    found = judged(3.0, manifest={**side([0]).manifest, "trained_on": {"2013-04": "d4"}})
    assert (found["verdict"], found["hold"]) == ("void", None)
    assert found["sentence"].startswith("Void: The challenger was trained on 2013-04, of which the holdout is made")
    assert outcome(found, "unseen")[:2] == ("void", 1)
    assert found["metrics"] == found["slices"] == []
    assert found["holdout"] == {"rows": None, "clusters": None, "first": None, "last": None, "keys": None}
    assert found["primary"] == {
        "metric": "mae",
        "title": "Mean absolute error",
        "direction": "lower",
        "unit": "target",
        "champion": None,
        "challenger": None,
        "improvement": None,
        "low": None,
        "high": None,
        "level": 0.0303964,
        "delta": 1.0,
        "margin": 5.0,
        "detectable": None,
    }


def test_models_that_answer_different_questions_are_not_compared():
    """Another target or another task."""
    found = judged(3.0, manifest={**side([0]).manifest, "target": "cancelled"})
    assert found["verdict"] == "void"
    assert found["sentence"] == (
        "Void: The champion predicts delay (regression), the challenger cancelled (regression); two answers to "
        "different questions cannot be compared."
    )


def test_a_void_comparison_stays_void_when_the_judge_changed():
    """There is nothing to decide."""
    found = judged(3.0, judge_changed=True, manifest={**side([0]).manifest, "trained_on": {"x": "d4"}})
    assert found["verdict"] == "void"


# Guardrails.


def test_a_promotion_passes_every_rule():
    """Each has its outcome, number, bound and sentence."""
    found = judged(3.0)
    assert [(rule["name"], rule["outcome"]) for rule in found["rules"]] == [
        ("unseen", "pass"),
        ("usable", "pass"),
        ("same_rows", "pass"),
        ("same_labels", "pass"),
        ("primary", "pass"),
        ("slices", "info"),
        ("calibration", "info"),
        ("behaviour", "info"),
        ("schema", "pass"),
        ("bundle_size", "pass"),
        ("judge", "pass"),
    ]


def with_slices(improvement, size=28):
    """Two slices of `size` days: `a`, then `b`."""
    champion = side(np.full(2 * size, 20.0))
    segments = ["a"] * size + ["b"] * size
    scores = champion.scores.assign(**{"slice:side": segments})
    return replace(champion, scores=scores), replace(champion, scores=scores.assign(score=20 - improvement))


def test_a_proven_harm_to_a_slice_blocks_a_better_model():
    """Over all it improves by 5, but one slice gets worse by 3."""
    improvement = np.concatenate([13 + UNEVEN, -3 + UNEVEN])
    found = gate.verdict(*with_slices(improvement), HOLDOUT, POLICY, 1)
    assert found["verdict"] == "block"
    assert [(s["value"], s["rows"], s["judged"], s["harmed"]) for s in found["slices"]] == [
        ("a", 28, True, False),
        ("b", 28, True, True),
    ]
    assert outcome(found, "slices") == (
        "block",
        1,
        "Provably worse by more than 2 with 95 % confidence: side b (at least 2.5).",
    )
    assert found["sentence"].startswith(
        "Block: Provably worse by more than 2 with 95 % confidence: side b (at least 2.5). Over all, mean absolute "
        "error falls by 5.0 (20.0 → 15.0)"
    )


def test_a_slice_that_may_be_harmed_does_not_block():
    """Worse by 2.1, which is not provably more than 2."""
    found = gate.verdict(*with_slices(np.concatenate([13 + UNEVEN, -2.1 + UNEVEN])), HOLDOUT, POLICY, 1)
    assert found["verdict"] != "block"
    assert outcome(found, "slices") == (
        "pass",
        0,
        "None of 2 slices with at least 20 rows is provably worse by more than 2 (95 % confidence over all of them).",
    )


def test_small_slices_are_reported_and_not_judged():
    """Nineteen rows are too few for this policy, whatever they say."""
    found = gate.verdict(*with_slices(np.repeat([13.0, -9.0], 19), size=19), HOLDOUT, POLICY, 1)
    assert [(s["improvement"], s["judged"], s["harmed"]) for s in found["slices"]] == [
        (13.0, False, False),
        (-9.0, False, False),
    ]
    assert outcome(found, "slices") == ("info", None, "No slice has the 20 rows it takes to judge it.")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-4, 1), min_size=1, max_size=6))
def test_slices_are_tested_by_holms_procedure(centres):
    """The same slices as by sorted p-values, which are the levels at which the interval just excludes the margin."""
    days = np.concatenate([centre + UNEVEN for centre in centres])
    champion = side(np.full(len(days), 20.0))
    scores = champion.scores.assign(**{"slice:part": np.repeat([f"{i}" for i in range(len(centres))], 28)})
    # Each slice has the same days; a day of all of them is a cluster.
    scores["cluster"] = [f"day-{d:02d}" for d in list(range(28)) * len(centres)]
    sides = [replace(champion, scores=scores), replace(champion, scores=scores.assign(score=20 - days))]
    found = gate.verdict(*sides, HOLDOUT, POLICY, 1)

    def p_value(centre):
        def excess(level):
            return centre + gate.metrics.interval(0.0, -UNEVEN / 27, level)[1] + POLICY.slice_margin

        return 0.5 if excess(0.4999) >= 0 else optimize.brentq(excess, 1e-12, 0.4999, xtol=1e-14)

    order = sorted(range(len(centres)), key=lambda i: p_value(centres[i]))
    harmed = set()
    for rank, i in enumerate(order):
        if p_value(centres[i]) > POLICY.level / (len(centres) - rank):
            break
        harmed.add(str(i))
    assert {s["value"] for s in found["slices"] if s["harmed"]} == harmed


def probabilities(sharpness, shift=0.0, noise=0.0, size=6_000, positive=True):
    """A binary model whose logits are the true ones, stretched."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, size)
    labels = (rng.random(size) < 1 / (1 + np.exp(-truth))).astype(float) * positive
    logits = sharpness * truth + shift + noise * rng.normal(size=size)
    scores = pd.DataFrame(
        {
            "row": range(size),
            "cluster": [f"day-{i % 30:02d}" for i in range(size)],
            "label": labels,
            "score": 1 / (1 + np.exp(-logits)),
        }
    )
    manifest = {"task": "binary", "target": "late", "threshold": 0.5, "trained_on": {"2013-01": "d1"}}
    return gate.Side(scores, {"behaviour": []}, manifest, SCHEMA, 1, "b" * 64)


BINARY = POLICY.model_copy(update={"metric": "roc_auc", "delta": 0.001, "margin": 0.02, "slice_rows": 500})


def test_calibration_that_is_provably_off_and_worse_blocks():
    """Twice too extreme: the AUC does not see it, slope and Brier score do."""
    found = gate.verdict(probabilities(1.0), probabilities(2.5), HOLDOUT, BINARY, 1)
    result, value, sentence = outcome(found, "calibration")
    assert (found["verdict"], result) == ("block", "block")
    assert value == pytest.approx(0.4, abs=0.03)
    assert sentence.startswith("The calibration slope is 0.397, ")
    assert "provably outside 0.7 to 1.4 and further from 1 than the champion's 0.992" in sentence
    assert sentence.endswith("and the Brier score is provably worse.")


def test_timid_predictions_are_miscalibrated_too():
    """A slope above the range."""
    found = gate.verdict(probabilities(1.0), probabilities(0.3), HOLDOUT, BINARY, 1)
    assert outcome(found, "calibration")[0] == "block"


def test_calibration_that_was_worse_before_does_not_block():
    """The champion is further off."""
    found = gate.verdict(probabilities(4.0), probabilities(2.5), HOLDOUT, BINARY, 1)
    assert outcome(found, "calibration")[0] == "pass"
    assert outcome(found, "calibration")[2].endswith(
        "provably outside 0.7 to 1.4, but calibration did not provably get worse."
    )


def test_calibration_within_the_range_passes():
    """Neither too extreme nor too timid."""
    found = gate.verdict(probabilities(1.0), probabilities(1.1), HOLDOUT, BINARY, 1)
    assert outcome(found, "calibration")[0] == "pass"
    assert outcome(found, "calibration")[2].endswith("not provably outside 0.7 to 1.4.")


def test_calibration_of_one_class_is_not_judged():
    """There is no slope without both."""
    policy = BINARY.model_copy(update={"metric": "log_loss"})
    found = gate.verdict(probabilities(1.0, positive=False), probabilities(1.1, positive=False), HOLDOUT, policy, 1)
    assert outcome(found, "calibration") == (
        "info",
        None,
        "The calibration slope or its interval cannot be computed here.",
    )


def test_a_regression_skips_the_calibration_of_probabilities():
    """The rule says so."""
    assert outcome(judged(3.0), "calibration") == (
        "info",
        None,
        "Calibration is judged by slope and Brier score: binary tasks only.",
    )


def case(name, passed):
    return {
        "name": name,
        "kind": "minimum",
        "sentence": "…",
        "rows": 9,
        "value": 0.1,
        "bound": "0 to 1",
        "passed": passed,
    }


def test_a_failing_behavioural_case_blocks():
    """And is named."""
    found = judged(3.0, evaluation={"behaviour": [case("storm", False), case("tail", True)]})
    assert found["verdict"] == "block"
    assert outcome(found, "behaviour") == ("block", 1, "1 of 2 behavioural expectations fail: storm.")


def test_many_failing_cases_are_counted_after_the_fifth():
    """A sentence stays a sentence."""
    found = judged(3.0, evaluation={"behaviour": [case(f"case {i}", False) for i in range(7)]})
    assert outcome(found, "behaviour")[2].endswith("fail: case 0, case 1, case 2, case 3, case 4 and 2 more.")


def test_behaviour_that_holds_passes():
    """All of it."""
    found = judged(3.0, evaluation={"behaviour": [case("storm", True)]})
    assert outcome(found, "behaviour") == ("pass", 0, "All 1 behavioural expectations hold.")


def test_a_bundle_that_is_too_large_blocks():
    """At the bound it passes."""
    assert outcome(judged(3.0, size=50_000_000), "bundle_size") == ("pass", 50.0, "The bundle has 50 MB.")
    found = judged(3.0, size=51_000_000)
    assert found["verdict"] == "block"
    assert outcome(found, "bundle_size")[2] == "The bundle has 51 MB, more than the 50 MB it may have."


def test_a_narrower_row_schema_blocks():
    """Callers would be refused."""
    narrower = {**SCHEMA, "properties": {"hour": {"type": "integer", "minimum": 5}}}
    found = judged(3.0, schema=narrower)
    assert found["verdict"] == "block"
    assert outcome(found, "schema")[2] == (
        "The challenger refuses rows that the champion accepts: hour has a higher minimum."
    )


def columns(required=(), closed=True, **properties):
    return {"properties": properties, "required": list(required), "additionalProperties": not closed}


INTEGER, NUMBER, TEXT = {"type": "integer"}, {"type": "number"}, {"type": "string"}


@pytest.mark.parametrize(
    ("champion", "challenger", "expected"),
    [
        (columns(a=INTEGER), columns(a=INTEGER), []),
        (columns(a=INTEGER, b=TEXT), columns(a=INTEGER), ["b is refused"]),
        (columns(a=INTEGER, b=TEXT), columns(a=INTEGER, closed=False), []),
        (columns(a=INTEGER), columns(a=INTEGER, b=TEXT), []),
        (columns(a=INTEGER), columns(a=INTEGER, b=TEXT, required=["b"]), ["b is required"]),
        (columns(a=INTEGER), columns(a=INTEGER, required=["a"]), ["a is required"]),
        (columns(a=INTEGER, required=["a"]), columns(a=INTEGER), []),
        (columns(a=INTEGER), columns(a=NUMBER), []),
        (columns(a=NUMBER), columns(a=INTEGER), ["a may no longer be number"]),
        (columns(a={"type": ["integer", "null"]}), columns(a=INTEGER), ["a may no longer be null"]),
        (columns(a=INTEGER), columns(a={"type": ["integer", "null"]}), []),
        (columns(a=INTEGER), columns(a={}), []),
        (columns(a={"enum": [1, 2]}), columns(a={"enum": [1, 2, 3]}), []),
        (columns(a={"enum": [1, 2]}), columns(a={"enum": [1]}), ["a has fewer allowed values"]),
        (columns(a={}), columns(a={"enum": [1]}), ["a has fewer allowed values"]),
        (columns(a={"minimum": 1}), columns(a={"minimum": 0}), []),
        (columns(a={"minimum": 1}), columns(a={"exclusiveMinimum": 0}), []),
        (columns(a={"minimum": 1}), columns(a={"exclusiveMinimum": 1}), ["a has a higher minimum"]),
        (columns(a={}), columns(a={"minimum": 1}), ["a has a higher minimum"]),
        (columns(a={"maximum": 9}), columns(a={"maximum": 10}), []),
        (columns(a={"maximum": 9}), columns(a={"maximum": 8}), ["a has a lower maximum"]),
        (columns(a={"exclusiveMaximum": 9}), columns(a={"maximum": 9}), []),
        (columns(a={"minLength": 1}), columns(a={"minLength": 2}), ["a has a higher minimum length"]),
        (columns(a={}), columns(a={"maxLength": 4}), ["a has a lower maximum length"]),
        (columns(a={"pattern": "^a"}), columns(a={"pattern": "^a"}), []),
        (columns(a={"pattern": "^a"}), columns(a={}), []),
        (columns(a={}), columns(a={"pattern": "^a"}), ["a must match ^a"]),
        (columns(a=INTEGER, b=INTEGER), columns(b=TEXT, c=TEXT, required=["c"]), None),
    ],
)
def test_a_schema_is_narrower_when_it_refuses_what_was_accepted(champion, challenger, expected):
    """Wider is fine: more values, optional columns, no bounds."""
    if expected is None:
        expected = ["a is refused", "c is required", "b may no longer be integer"]
    assert gate.narrowed(champion, challenger) == expected


# A changed judge.


@pytest.mark.parametrize(("improvement", "verdict"), [(3.0, "hold"), (0.0, "hold"), (-9.0, "block")])
def test_a_proposal_that_changes_the_judge_is_held_at_best(improvement, verdict):
    """A person decides; what is proven to be worse is blocked all the same."""
    found = judged(improvement, judge_changed=True)
    assert found["verdict"] == verdict
    assert found["hold"] == ("judge changed" if verdict == "hold" else None)
    assert outcome(found, "judge")[0] == "hold"


def test_a_changed_judge_is_told_with_the_figures():
    """By the judge on main."""
    assert judged(3.1, judge_changed=True)["sentence"] == (
        "Hold, judge changed: The proposal changes what judges it, so a person has to decide. By the judge on main, "
        "mean absolute error falls by 3.1 (20.0 → 16.9), at least 3.1 with 97 % confidence, on 28 rows over 28 "
        "clusters."
    )


# The record.


def test_two_reasons_to_block_are_both_told():
    """Nothing is left for a second round."""
    sentence = judged(-9.0, size=51_000_000, evaluation={"behaviour": [case("storm", False)]})["sentence"]
    assert sentence.startswith("Block: mean absolute error rises by 9.0")
    assert sentence.endswith(
        "1 of 1 behavioural expectations fail: storm. The bundle has 51 MB, more than the 50 MB it may have."
    )


def test_a_baseline_is_beaten_by_the_same_rules():
    """Its scores stand beside the model's."""
    model = side(np.full(28, 10.0))
    model = replace(model, scores=model.scores.assign(**{"baseline:mean": 20.0}))
    found = gate.verdict(model.baseline("mean"), model, HOLDOUT, POLICY, 1)
    assert found["verdict"] == "promote"
    assert found["champion"] == {"digest": "baseline:mean", "trained_on": ["2013-01", "2013-02"]}
    assert found["challenger"]["digest"] == "c" * 64


def test_metrics_stand_beside_the_primary_one():
    """All of the task, the primary among them with the same figures."""
    found = judged(3.0 + UNEVEN)
    assert [metric["name"] for metric in found["metrics"]] == ["mae", "mse", "rmse", "r2", "bias"]
    same = ("champion", "challenger", "improvement", "low", "high")
    assert [found["metrics"][0][key] for key in same] == [found["primary"][key] for key in same]
    assert found["metrics"][3]["champion"] is None  # labels do not vary


def test_a_record_of_another_shape_is_refused():
    """The schema is strict: unknown keys and values are errors that name their place."""
    schema = json.loads(files("ratchet").joinpath("verdict.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    good = judged(3.0)
    assert schemas.validated("verdict", good) is good
    for path, bad in (
        ("$", {**good, "extra": 1}),
        ("$.verdict", {**good, "verdict": "maybe"}),
        ("$.hold", {**good, "hold": "safe"}),
        ("$.look.number", {**good, "look": {**good["look"], "number": 0}}),
        ("$.primary.low", {**good, "primary": {**good["primary"], "low": "0.1"}}),
    ):
        with pytest.raises(RatchetError) as caught:
            schemas.validated("verdict", bad)
        assert str(caught.value).startswith(f"verdict: {path}: ")


def test_verdict_is_the_same_every_time():
    """No clock, no chance."""
    assert judged(2 + UNEVEN) == judged(2 + UNEVEN)
    assert math.isclose(judged(2 + UNEVEN)["primary"]["low"], 2 - REACH, abs_tol=1e-5)

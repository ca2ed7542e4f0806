"""The gate: a comparison and a policy to a verdict, which is the only source of everything that is said about it.

    L, U   the interval of the improvement in the primary metric, each end missed with the level of this look
    promote when L > delta; block when U < -margin; else hold: safe when L > -margin, else cannot tell

Guardrails block whatever the primary metric says, when harm is proven: a slice, the calibration, the behaviour, the row
schema, the size of the bundle. A verdict is plain data in the shape of `verdict.schema.json`, every figure rounded, and
decided on the rounded figures, so that the file alone proves it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ratchet import compare, metrics, schemas
from ratchet.compare import Check, Comparison, Difference, Scored, Segment
from ratchet.errors import RatchetError
from ratchet.metrics import rounded

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.params import Gate

Record = dict[str, Any]
Outcome = Literal["pass", "hold", "block", "void", "info"]
Region = Literal["promote", "block", "safe", "cannot tell"]

VERSION = 1
MEGABYTE = 1_000_000
PROPER_NAMES = ("Brier",)


@dataclass(frozen=True)
class Side:
    """One of the two models, as read from its folder of outputs.

    Attributes:
        scores: `evaluation/scores.parquet`.
        evaluation: `evaluation/evaluation.json`; its `behaviour` is judged.
        manifest: `bundle/manifest.json`: task, target, threshold, trained_on.
        schema: `bundle/schema.json`: JSON Schema of one raw row.
        size: Bytes of the bundle.
        digest: The model digest.
    """

    scores: pd.DataFrame
    evaluation: Mapping[str, Any]
    manifest: Mapping[str, Any]
    schema: Mapping[str, Any]
    size: int
    digest: str

    def baseline(self, name: str) -> Side:
        """The baseline that was trained and scored beside this model, as the side to beat.

        Raises:
            RatchetError: There is no such baseline.
        """
        return replace(self, scores=compare.baseline(self.scores, name), digest=f"baseline:{name}")


@dataclass(frozen=True)
class Rule:
    """One rule of a verdict: what came out, the number, its bound, one plain sentence."""

    name: str
    outcome: Outcome
    value: float | None
    bound: str | None
    sentence: str


def verdict(  # each is a fact of its own
    champion: Side,
    challenger: Side,
    holdout: Mapping[str, str],
    policy: Gate,
    look: int,
    *,
    judge_changed: bool = False,
) -> Record:
    """Judge a challenger against the champion.

    Args:
        champion: The model in production, or a baseline.
        challenger: The proposed model.
        holdout: Period to the SHA-256 of its rows, of the rows both were scored on.
        policy: The `gate:` section of main's `params.yaml`.
        look: How many distinct models this holdout has judged, with this one.
        judge_changed: The proposal touches what judges it.

    Raises:
        RatchetError: The policy names no metric of the task, or the look is not a positive number.
    """
    return verdicts(champion, challenger, holdout, policy, [look], judge_changed=judge_changed)[0]


def verdicts(  # each is a fact of its own
    champion: Side,
    challenger: Side,
    holdout: Mapping[str, str],
    policy: Gate,
    looks: Sequence[int],
    *,
    judge_changed: bool = False,
) -> list[Record]:
    """The verdict at each of several looks, from one comparison: which look it is, is known when it is recorded."""
    found = comparison(champion, challenger, holdout, policy)
    return [judge(found, champion, challenger, policy, look, judge_changed=judge_changed) for look in looks]


def judge(  # each is a fact of its own
    comparison: Comparison, champion: Side, challenger: Side, policy: Gate, look: int, *, judge_changed: bool = False
) -> Record:
    """The verdict on a comparison that was already made; see `verdict`."""
    level = spend(policy.level, look)
    primary = _primary(comparison, policy, level)
    segments = _slices(comparison.segments, policy)
    rules = [_of_check(check) for check in comparison.checks]
    if comparison.is_void:
        word, hold = "void", None
        headline = next(rule.sentence for rule in rules if rule.outcome == "void")
    else:
        region = _region(primary)
        rules += [
            _primary_rule(comparison, primary, region),
            _slice_rule(segments, policy),
            _calibration_rule(comparison, policy),
            _behaviour_rule(challenger.evaluation),
            _schema_rule(champion.schema, challenger.schema),
            _size_rule(challenger.size, policy),
            _judge_rule(changed=judge_changed),
        ]
        word, hold = _decide(rules, region)
        headline = _headline(hold or word, rules, _story(comparison, primary, region))
    return schemas.validated(
        "verdict",
        {
            "version": VERSION,
            "verdict": word,
            "hold": hold,
            "sentence": f"{f'Hold, {hold}' if hold else word.capitalize()}: {headline}",
            "primary": primary,
            "metrics": [_figures(difference, level) for difference in comparison.differences],
            "rules": [asdict(rule) for rule in rules],
            "slices": segments,
            "look": {"number": look, "level": rounded(level), "budget": rounded(policy.level)},
            "holdout": asdict(comparison.holdout) if comparison.holdout else dict.fromkeys(_HOLDOUT),
            "champion": _identity(champion),
            "challenger": _identity(challenger),
        },
    )


def best_baseline(side: Side, policy: Gate) -> Side:
    """The side to beat while there is no champion: the model's baseline that is best in the primary metric.

    Raises:
        RatchetError: No baseline was scored beside the model.
    """
    metric = metrics.get(policy.metric, side.manifest["task"], side.manifest["threshold"])
    values = {
        name: record["value"]
        for name, records in side.evaluation["baselines"].items()
        for record in records
        if record["name"] == metric.name and record["value"] is not None
    }
    if not values:
        raise RatchetError("no baseline was scored beside the model, and there is no champion to compare it with")
    return side.baseline(max(sorted(values), key=lambda name: float(metric.improvement(0.0, values[name]))))


def spend(level: float, look: int) -> float:
    """The part of `level` that the look-th distinct model may use: level * 6 / (pi * look)^2, which sums to `level`.

    By the union bound, any sequence of proposals holds one promoted without merit with probability at most `level`
    (alpha-spending: Tian and Ramdas 2021, Online control of the familywise error rate, Stat. Methods in Medical Res.).

    Raises:
        RatchetError: The look is not 1 or more.
    """
    if look < 1:
        raise RatchetError(f"look {look} cannot be: the first model judged on a holdout is look 1")
    return level * 6 / (math.pi * look) ** 2


def narrowed(champion: Mapping[str, Any], challenger: Mapping[str, Any]) -> list[str]:
    """What rows the champion's row schema accepts and the challenger's refuses, one clause for each column and reason.

    Both are JSON Schemas of an object, as `ratchet.schema.row_schema` makes them. A pattern that changed may refuse
    something, so it counts.
    """
    before, after = champion["properties"], challenger["properties"]
    closed = challenger.get("additionalProperties", True) is False
    removed = [f"{name} is refused" for name in sorted(set(before) - set(after)) if closed]
    required = sorted(set(challenger.get("required", ())) - set(champion.get("required", ())))
    tighter = [
        f"{name} {reason}"
        for name in sorted(set(before) & set(after))
        for reason in _tighter(before[name], after[name])
    ]
    return removed + [f"{name} is required" for name in required] + tighter


def _tighter(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    lost = _types(before) - _types(after)
    if lost:
        yield f"may no longer be {' or '.join(sorted(lost))}"
    if "enum" in after and not ("enum" in before and set(before["enum"]) <= set(after["enum"])):
        yield "has fewer allowed values"
    if _bound(after, "minimum", "exclusiveMinimum", 1) > _bound(before, "minimum", "exclusiveMinimum", 1):
        yield "has a higher minimum"
    if _bound(after, "maximum", "exclusiveMaximum", -1) > _bound(before, "maximum", "exclusiveMaximum", -1):
        yield "has a lower maximum"
    if after.get("minLength", 0) > before.get("minLength", 0):
        yield "has a higher minimum length"
    if after.get("maxLength", math.inf) < before.get("maxLength", math.inf):
        yield "has a lower maximum length"
    if "pattern" in after and after["pattern"] != before.get("pattern"):
        yield f"must match {after['pattern']}"


def _types(rules: Mapping[str, Any]) -> set[str]:
    found = rules.get("type", _ALL_TYPES)
    names = {found} if isinstance(found, str) else set(found)
    return names | {"integer"} if "number" in names else names


_ALL_TYPES = ("null", "boolean", "number", "string", "array", "object")


def _bound(rules: Mapping[str, Any], inclusive: str, exclusive: str, sign: int) -> tuple[float, bool]:
    """A bound as something that grows as it gets tighter; an exclusive one is tighter than the same inclusive one."""
    bounds = [(sign * rules[name], name == exclusive) for name in (inclusive, exclusive) if name in rules]
    return max(bounds, default=(-math.inf, False))


def comparison(champion: Side, challenger: Side, holdout: Mapping[str, str], policy: Gate) -> Comparison:
    """The comparison, void from the start when the two models answer different questions."""
    task = champion.manifest["task"]
    asked, answered = ((side.manifest["task"], side.manifest["target"]) for side in (champion, challenger))
    if asked != answered:
        sentence = (
            f"The champion predicts {asked[1]} ({asked[0]}), the challenger {answered[1]} ({answered[0]}); "
            "two answers to different questions cannot be compared."
        )
        check = Check("same_question", passed=False, value=1, bound="0 differences", sentence=sentence)
        return Comparison(task, metrics.get(policy.metric, task, champion.manifest["threshold"]), (check,))
    return compare.compare(_scored(champion), _scored(challenger), task, policy.metric, holdout)


def _scored(side: Side) -> Scored:
    return Scored(side.scores, side.manifest["trained_on"], side.manifest["threshold"])


def _identity(side: Side) -> Record:
    return {"digest": side.digest, "trained_on": sorted(side.manifest["trained_on"])}


_HOLDOUT = ("rows", "clusters", "first", "last", "keys")


def _figures(difference: Difference, level: float) -> Record:
    metric, (low, high) = difference.metric, difference.interval(level)
    return {
        "name": metric.name,
        "title": metric.title,
        "direction": metric.direction,
        "unit": metric.unit,
        "champion": rounded(difference.champion.value),
        "challenger": rounded(difference.challenger.value),
        "improvement": rounded(difference.improvement.value),
        "low": rounded(low),
        "high": rounded(high),
    }


def _primary(comparison: Comparison, policy: Gate, level: float) -> Record:
    metric = comparison.primary
    known = {"metric": metric.name, "title": metric.title, "direction": metric.direction, "unit": metric.unit}
    bounds = {"level": rounded(level), "delta": rounded(policy.delta), "margin": rounded(policy.margin)}
    figures = dict.fromkeys(("champion", "challenger", "improvement", "low", "high", "detectable"))
    if not comparison.is_void:
        difference = comparison.difference(metric.name)
        found = _figures(difference, level)
        least = rounded(metrics.detectable(difference.improvement.without, level, policy.delta))
        figures = {name: found[name] for name in figures if name != "detectable"} | {"detectable": least}
    return known | figures | bounds


def _region(primary: Record) -> Region:
    low, high = primary["low"], primary["high"]
    if low is None:
        return "cannot tell"
    if low > primary["delta"]:
        return "promote"
    if high < -primary["margin"]:
        return "block"
    return "safe" if low > -primary["margin"] else "cannot tell"


def _decide(rules: Sequence[Rule], region: Region) -> tuple[str, str | None]:
    outcomes = {rule.name: rule.outcome for rule in rules}
    if "block" in outcomes.values():
        return "block", None
    if outcomes["judge"] == "hold":
        return "hold", "judge changed"
    return ("promote", None) if region == "promote" else ("hold", region)


def _headline(decided: str, rules: Sequence[Rule], story: str) -> str:
    if decided == "judge changed":
        return f"{_rule(rules, 'judge').sentence} By the judge on main, {story}"
    harms = " ".join(rule.sentence for rule in rules if rule.outcome == "block" and rule.name != "primary")
    if not harms:
        return story
    return f"{story} {harms}" if _rule(rules, "primary").outcome == "block" else f"{harms} Over all, {story}"


def _rule(rules: Sequence[Rule], name: str) -> Rule:
    return next(rule for rule in rules if rule.name == name)


# Rules, in the order a reader meets them.


def _of_check(check: Check) -> Rule:
    return Rule(check.name, "pass" if check.passed else "void", check.value, check.bound, check.sentence)


def _primary_rule(comparison: Comparison, primary: Record, region: Region) -> Rule:
    title, delta, margin = comparison.primary.title, primary["delta"], primary["margin"]
    low, high = primary["low"], primary["high"]
    if low is None:
        return Rule("primary", "hold", None, f"> {delta:g}", f"The interval of {_lower(title)} cannot be computed.")
    if region == "promote":
        return Rule("primary", "pass", low, f"> {delta:g}", f"{title} improves by more than {delta:g} for sure.")
    if region == "block":
        return Rule(
            "primary", "block", high, f">= {-margin:g}", f"{title} gets worse by more than {margin:g} for sure."
        )
    if region == "safe":
        sentence = f"{title} does not get worse by more than {margin:g}, but no gain above {delta:g} is proven."
    else:
        sentence = f"{title} may improve or get worse by more than {margin:g}: the interval holds both."
    return Rule("primary", "hold", low, f"> {delta:g}", sentence)


def _slices(segments: Sequence[Segment], policy: Gate) -> list[Record]:
    """Every slice; harm is tested on the large ones, by Holm's procedure on the intervals.

    Holm (1979, A simple sequentially rejective multiple test procedure): with m slices left, each at level / m; those
    found harmed leave, and the rest is tested again. The whole level is used at each look, because a guardrail that
    wears out with the number of looks would let harm through. Slices that are not judged show their interval at
    `level`.
    """
    intervals = [segment.difference.interval(policy.level) for segment in segments]
    judged = {
        place
        for place, (segment, (low, _)) in enumerate(zip(segments, intervals, strict=True))
        if segment.rows >= policy.slice_rows and math.isfinite(low)
    }
    harmed: set[int] = set()
    untested, found = set(judged), set(judged)
    while untested and found:
        for place in untested:
            intervals[place] = segments[place].difference.interval(policy.level / len(untested))
        found = {place for place in untested if intervals[place][1] < -policy.slice_margin}
        harmed, untested = harmed | found, untested - found
    return [
        {
            "slice": segment.slice,
            "value": segment.value,
            "rows": segment.rows,
            "clusters": segment.clusters,
            "champion": rounded(segment.difference.champion.value),
            "challenger": rounded(segment.difference.challenger.value),
            "improvement": rounded(segment.difference.improvement.value),
            "low": rounded(intervals[place][0]),
            "high": rounded(intervals[place][1]),
            "judged": place in judged,
            "harmed": place in harmed,
        }
        for place, segment in enumerate(segments)
    ]


def _slice_rule(records: Sequence[Record], policy: Gate) -> Rule:
    judged = [record for record in records if record["judged"]]
    if not judged:
        return Rule("slices", "info", None, None, f"No slice has the {policy.slice_rows:,} rows it takes to judge it.")
    harmed = [f"{r['slice']} {r['value']} (at least {-r['high']:.2g})" for r in judged if r["harmed"]]
    sure = _confidence(policy.level)
    if not harmed:
        sentence = (
            f"None of {len(judged)} slices with at least {policy.slice_rows:,} rows is provably worse by more than "
            f"{policy.slice_margin:g} ({sure} % confidence over all of them)."
        )
        return Rule("slices", "pass", 0, "0 harmed", sentence)
    sentence = f"Provably worse by more than {policy.slice_margin:g} with {sure} % confidence: {_listed(harmed)}."
    return Rule("slices", "block", len(harmed), "0 harmed", sentence)


def _calibration_rule(comparison: Comparison, policy: Gate) -> Rule:
    lowest, highest = policy.calibration_slope
    bound = f"{lowest:g} to {highest:g}"
    if comparison.task != "binary":
        return Rule(
            "calibration", "info", None, None, "Calibration is judged by slope and Brier score: binary tasks only."
        )
    slope, brier = comparison.difference("calibration_slope"), comparison.difference("brier")
    low, high = metrics.interval(slope.challenger.value, slope.challenger.without, policy.level)
    value = rounded(slope.challenger.value)
    if value is None or not math.isfinite(low):
        return Rule(
            "calibration", "info", value, bound, "The calibration slope or its interval cannot be computed here."
        )
    is_outside = high < lowest or low > highest
    is_worse = slope.improvement.value < 0 and brier.interval(policy.level)[1] < 0
    if is_outside and is_worse:
        sentence = (
            f"The calibration slope is {value:.3g}, provably outside {bound} and further from 1 than the champion's "
            f"{slope.champion.value:.3g}, and the Brier score is provably worse."
        )
        return Rule("calibration", "block", value, bound, sentence)
    where = "provably outside" if is_outside else "not provably outside"
    consolation = ", but calibration did not provably get worse" if is_outside else ""
    return Rule(
        "calibration", "pass", value, bound, f"The calibration slope is {value:.3g}, {where} {bound}{consolation}."
    )


def _behaviour_rule(evaluation: Mapping[str, Any]) -> Rule:
    cases = evaluation["behaviour"]
    if not cases:
        return Rule("behaviour", "info", None, None, "The problem declares no behavioural expectations.")
    failed = [case for case in cases if not case["passed"]]
    if not failed:
        return Rule("behaviour", "pass", 0, "0 failing", f"All {len(cases)} behavioural expectations hold.")
    sentence = f"{len(failed)} of {len(cases)} behavioural expectations fail: {_listed([c['name'] for c in failed])}."
    return Rule("behaviour", "block", len(failed), "0 failing", sentence)


def _schema_rule(champion: Mapping[str, Any], challenger: Mapping[str, Any]) -> Rule:
    found = narrowed(champion, challenger)
    if not found:
        return Rule("schema", "pass", 0, "0 narrowed", "Every row the champion accepts, the challenger accepts too.")
    sentence = f"The challenger refuses rows that the champion accepts: {_listed(found)}."
    return Rule("schema", "block", len(found), "0 narrowed", sentence)


def _size_rule(size: int, policy: Gate) -> Rule:
    megabytes, bound = size / MEGABYTE, f"<= {policy.bundle_megabytes:g} MB"
    is_small = megabytes <= policy.bundle_megabytes
    more = "" if is_small else f", more than the {policy.bundle_megabytes:g} MB it may have"
    sentence = f"The bundle has {megabytes:.3g} MB{more}."
    return Rule("bundle_size", "pass" if is_small else "block", rounded(megabytes), bound, sentence)


def _judge_rule(*, changed: bool) -> Rule:
    if changed:
        return Rule("judge", "hold", 1, "0 changes", "The proposal changes what judges it, so a person has to decide.")
    return Rule("judge", "pass", 0, "0 changes", "The proposal does not change what judges it.")


# Words.


def _story(comparison: Comparison, primary: Record, region: Region) -> str:
    """What happened to the primary metric, as the rest of a sentence that a newcomer understands."""
    holdout = comparison.holdout
    where = f"on {holdout.rows:,} rows over {holdout.clusters:,} clusters" if holdout else ""
    low, high, sure = primary["low"], primary["high"], _confidence(primary["level"])
    if low is None:
        return f"{_lower(comparison.primary.title)} has no interval {where}; it takes 3 clusters, each dispensable."
    places = _places(primary["improvement"], low if region == "promote" else high)
    change = _change(comparison, primary, places)
    if region == "promote":
        return f"{change}, at least {low:,.{places}f} with {sure} % confidence, {where}."
    if region == "block":
        return (
            f"{change}, at least {-high:,.{places}f} with {sure} % confidence and so more than the margin of "
            f"{primary['margin']:g}, {where}."
        )
    if region == "safe":
        return (
            f"{change}; a gain of more than {primary['delta']:g} is not proven, but a loss of more than "
            f"{primary['margin']:g} is ruled out with {sure} % confidence, {where}."
        )
    return (
        f"{change}, but an improvement anywhere from {low:z,.{places}f} to {high:z,.{places}f} is possible (each end "
        f"with {sure} % confidence), {where}; a gain smaller than {primary['detectable']:.2g} can hardly be seen there."
    )


def _change(comparison: Comparison, primary: Record, places: int) -> str:
    metric, champion, challenger = comparison.primary, primary["champion"], primary["challenger"]
    size = f"{abs(primary['improvement']):,.{places}f} ({champion:,.{places}f} → {challenger:,.{places}f})"
    if primary["improvement"] == 0:
        return f"{_lower(metric.title)} stays as it is ({challenger:.4g})"
    if metric.direction == "target":
        where = "nearer to" if primary["improvement"] > 0 else "away from"
        return f"{_lower(metric.title)} moves {where} {metric.target:g} by {size}"
    return f"{_lower(metric.title)} {'rises' if challenger > champion else 'falls'} by {size}"


def _places(improvement: float, end: float) -> int:
    """Decimal places that show two digits of the improvement and one of the end, but at most three of the larger."""

    def showing(digits: int, figure: float) -> int:
        return digits - 1 - math.floor(math.log10(abs(figure))) if figure else 0

    largest = max(abs(improvement), abs(end))
    return max(min(max(showing(2, improvement), showing(1, end)), showing(3, largest)), 0)


def _confidence(level: float) -> str:
    """100 % minus the level, the level to two digits: 0.0304 is 97, 0.0076 is 99.24."""
    return f"{100 - float(f'{100 * level:.2g}'):g}"


def _lower(title: str) -> str:
    """A title inside a sentence; abbreviations and names keep their capitals."""
    if title.startswith(PROPER_NAMES) or not title[1:2].islower():
        return title
    return title[0].lower() + title[1:]


def _listed(items: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(str(item)[:80] for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"

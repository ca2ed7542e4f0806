"""The sections of a report, most important first: each a function of the inputs, empty when its input is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ratchet.report.document import (
    DASH,
    MINUS,
    NAME,
    Banner,
    Block,
    Code,
    Column,
    Commands,
    Curves,
    Document,
    Forest,
    Interval,
    Mark,
    Paragraph,
    Reliability,
    Section,
    Series,
    Strong,
    Table,
    Text,
    Tone,
    between,
    count,
    document,
    duration,
    finite,
    number,
    percent,
    plain,
    size,
)

Record = Mapping[str, Any]

MOST_ROWS = 40
MOST_SLICES = 10
MOST_INTERVALS = 7
MOST_BASELINES = 4

TONES: dict[str, Tone] = {"promote": "good", "block": "bad", "hold": "wait", "void": "none"}
_OUTCOMES = {"pass": "✓ pass", "hold": "Ⅱ hold", "block": "✕ block", "void": "○ void", "info": "· info"}


@dataclass(frozen=True)
class Side:
    """What is known of the champion or the challenger; any of it may be missing.

    Attributes:
        evaluation: Its `evaluation.json`.
        dataset: Its `dataset.json`.
        training: Its `training.json`.
        bundle_bytes: Size of its bundle.
    """

    evaluation: Record | None = None
    dataset: Record | None = None
    training: Record | None = None
    bundle_bytes: int | None = None


@dataclass(frozen=True)
class Inputs:
    """Everything a report is made from.

    Attributes:
        verdict: `verdict.json`.
        champion: The model in production.
        challenger: The model that is proposed.
        params: Dotted keys of the parameters that differ, with the value before the change and after it.
        commands: Lines that reproduce the verdict on a laptop.
        stages: What each stage of the pipeline took that ran: `{"name": "train", "seconds": 4.1}`.
        seconds: What the whole run took.
    """

    verdict: Record
    champion: Side = field(default_factory=Side)
    challenger: Side = field(default_factory=Side)
    params: Sequence[tuple[str, object, object]] = ()
    commands: Sequence[str] = ()
    stages: Sequence[Record] = ()
    seconds: float | None = None


def report(inputs: Inputs) -> Document:
    """The report of one verdict."""
    return document("Challenger against champion", [section(inputs) for section in SECTIONS])


def headline(inputs: Inputs) -> Section:
    """The verdict in one word and one sentence, and on what it rests."""
    verdict = inputs.verdict
    word = str(verdict["verdict"])
    reason = f": {verdict['hold']}" if verdict.get("hold") else ""
    banner = Banner(TONES.get(word, "none"), f"{word.capitalize()}{reason}", str(verdict["sentence"]))
    return Section("", (banner, *judged_on(verdict)))


def primary(inputs: Inputs) -> tuple[Block, ...]:
    """The metric that decides, of both models."""
    record = inputs.verdict.get("primary") or {}
    if finite(record.get("improvement")) is None:
        return ()
    return table(_METRICS, [_compared(record, bold=True)])


def metrics(inputs: Inputs) -> Section:
    """Every metric of both models, how much better the challenger is, and how sure that is."""
    found = _records(inputs.verdict, "metrics")
    if not found:
        return Section("Metrics")
    decides = (inputs.verdict.get("primary") or {}).get("metric")
    rows = [_compared(record, bold=record.get("name", record.get("metric")) == decides) for record in found]
    figures = table(_METRICS, rows)
    intervals = _intervals(((_title(record), record) for record in found), figures=False)
    picture = Forest(
        "Improvement of each metric, on a scale of its own; the line is no difference.", intervals, shared=False
    )
    note = Paragraph(
        "Positive is better, whatever the metric. Intervals are by cluster; the primary metric is in bold."
    )
    return Section("Metrics", (*figures, note, *([picture] if intervals else [])))


def evidence(inputs: Inputs) -> Section:
    """Where the interval of the primary metric lies between the margin and the smallest gain worth shipping."""
    primary = inputs.verdict.get("primary") or {}
    worst = [record for record in _worst(inputs) if record.get("judged", True)][: MOST_INTERVALS - 1]
    named = [("all rows", primary), *((_slice(record), record) for record in worst)]
    intervals = _intervals(named, figures=True)
    if finite(primary.get("improvement")) is None or not intervals:
        return Section("Evidence")
    margin, delta = finite(primary.get("margin")), finite(primary.get("delta"))
    marks = [Mark("0", 0.0)]
    if margin:
        marks.append(Mark(f"{MINUS}margin", -margin))
    if delta:
        marks.append(Mark("gain", delta))
    where = "on all rows, and on the slices where it is smallest" if worst else "on all rows"
    title = f"{plain(_title(primary), NAME)}: improvement {where}"
    sentences = ["To the right of zero the challenger is better."]
    if delta:
        sentences.append(f"A gain worth shipping is {number(delta)}.")
    if margin:
        sentences.append(f"A loss within the margin of {number(margin)} still counts as safe.")
    if finite(primary.get("detectable")) is not None:
        sentences.append(
            f"Gains smaller than {number(primary['detectable'])} would probably go unseen on this holdout."
        )
    return Section("Evidence", (Forest(title, intervals, tuple(marks)), Paragraph(" ".join(sentences))))


def rules(inputs: Inputs) -> Section:
    """Every rule that was applied, with its number and its bound."""
    rows = [
        (
            _OUTCOMES.get(str(rule.get("outcome")), str(rule.get("outcome"))),
            Code(str(rule.get("name"))),
            _value(rule.get("value")),
            _value(rule.get("bound")),
            str(rule.get("sentence", "")),
        )
        for rule in _records(inputs.verdict, "rules")
    ]
    return Section("Rules", table(("Outcome", "Rule", numeric("Number"), "Bound", "In words"), rows))


def params(inputs: Inputs) -> Section:
    """Parameters that differ."""
    rows = [(Code(str(key)), *_changed(old, new)) for key, old, new in inputs.params]
    return Section("Parameters that differ", table(("Parameter", "Before", "After"), rows))


def data(inputs: Inputs) -> Section:
    """Periods each model was trained and tested on, where the two differ, and what the data look like."""
    old, new = _periods(inputs.champion), _periods(inputs.challenger)
    names = sorted({*old, *new})
    if old:
        rows = [(*_period(name, old.get(name), new.get(name)), _news(old.get(name), new.get(name))) for name in names]
    else:
        # A champion that came without its data set is known by the periods that trained it alone.
        trained_on = _trained_on(inputs.verdict)
        rows = [_period(name, ("train", {}) if name in trained_on else None, new.get(name)) for name in names]
    figures = [numeric(title) for title in ("Rows", "Mean label", "Quarantined")]
    columns = ("Period", "Champion", "Challenger", *figures, *(("Data",) if old else ()))
    summary = _training_rows(inputs) if names else ()
    return Section("Data", (*summary, *table(columns, rows), *_nulls(old, new)), folded=True)


def slices(inputs: Inputs) -> Section:
    """The slices where the challenger gains least or loses most."""
    worst = _worst(inputs)[:MOST_SLICES]
    rows = [
        (
            Strong(_slice(record)) if record.get("harmed") else _slice(record),
            count(record.get("rows")),
            number(record.get("champion")),
            number(record.get("challenger")),
            number(record.get("improvement"), signed=True),
            between(record.get("low"), record.get("high"), signed=True),
            "✕ harmed" if record.get("harmed") else "" if record.get("judged", True) else "too small to judge",
        )
        for record in worst
    ]
    columns = (
        "Slice",
        numeric("Rows"),
        numeric("Champion"),
        numeric("Challenger"),
        numeric("Improvement"),
        numeric("Interval"),
        "Proven",
    )
    known = len(_records(inputs.verdict, "slices"))
    note = Paragraph(f"The {len(rows)} worst of {known} slices, in the primary metric.")
    return Section("Worst slices", (*table(columns, rows), note) if rows else (), folded=True)


def behaviour(inputs: Inputs) -> Section:
    """What the challenger must do whatever its metrics say."""
    before = {str(case.get("name")): case for case in _records(inputs.champion.evaluation, "behaviour")}
    cases = sorted(_records(inputs.challenger.evaluation, "behaviour"), key=lambda case: bool(case.get("passed")))
    rows = [
        (
            _passed(case),
            str(case.get("sentence")),
            count(case.get("rows")),
            number(case.get("value"), signed=case.get("kind") == "direction"),
            str(case.get("bound")),
            _passed(before.get(str(case.get("name")))),
        )
        for case in cases
    ]
    columns = ("Challenger", "Expectation", numeric("Rows"), numeric("Value"), "Bound", "Champion")
    failed = any(not case.get("passed") for case in cases)
    return Section("Behaviour", table(columns, rows), folded=not failed)


def curves(inputs: Inputs) -> Section:
    """Calibration and, for a binary task, precision against recall, of both models."""
    sides = (("champion", inputs.champion.evaluation), ("challenger", inputs.challenger.evaluation))
    return Section("Calibration and curves", charts(sides), folded=True)


def baselines(inputs: Inputs) -> Section:
    """What the challenger adds over models so simple that it must beat them."""
    return Section("What the model adds", baseline_table(inputs.challenger.evaluation, "Challenger"), folded=True)


def models(inputs: Inputs) -> Section:
    """Who is compared: identity, training data, size."""
    pairs = [(inputs.verdict.get(name) or {}, side) for name, side in _sides(inputs)]
    rows: list[tuple[Text, ...]] = [
        ("Digest", *(_digest(model.get("digest")) for model, _ in pairs)),
        ("Trained on", *(_span(model.get("trained_on")) for model, _ in pairs)),
        ("Training rows", *(count((side.training or {}).get("rows")) for _, side in pairs)),
        ("Operating threshold", *(number((side.training or {}).get("threshold")) for _, side in pairs)),
        ("Bundle", *(size(side.bundle_bytes) for _, side in pairs)),
    ]
    known = [row for row in rows if any(cell != DASH for cell in row[1:])]
    return Section("Models", table(("", numeric("Champion"), numeric("Challenger")), known), folded=True)


def cost(inputs: Inputs) -> Section:
    """What the run took, stage by stage, and how large the bundle is."""
    rows: list[tuple[Text, ...]] = [
        (Code(str(stage.get("name"))), duration(stage.get("seconds")))
        for stage in inputs.stages
        if isinstance(stage, Mapping)
    ]
    whole = [] if not inputs.seconds else [Paragraph(("The run took ", Strong(duration(inputs.seconds)), "."))]
    old, new = inputs.champion.bundle_bytes, inputs.challenger.bundle_bytes
    beside = f", the champion's {size(old)}" if old is not None else ""
    bundle = [] if new is None else [Paragraph(f"The bundle has {size(new)}{beside}.")]
    if not rows and not whole:
        return Section("Time and size")
    return Section("Time and size", (*whole, *table(("Stage", numeric("Time")), rows), *bundle), folded=True)


def look(inputs: Inputs) -> Section:
    """How much of the holdout's credit this verdict spent."""
    spent, primary = inputs.verdict.get("look") or {}, inputs.verdict.get("primary") or {}
    if not spent:
        return Section("Looks at this holdout")
    sentence = (
        f"This is look {count(spent.get('number'))} at this holdout. It may promote by chance with probability "
        f"{_share(spent.get('level'))}, out of {_share(spent.get('budget'))} for all looks together."
    )
    detectable = finite(primary.get("detectable"))
    more = "" if detectable is None else f" At this level a true gain of {number(detectable)} is likely to be seen."
    return Section("Looks at this holdout", (Paragraph(sentence + more),), folded=True)


def reproduce(inputs: Inputs) -> Section:
    """Lines to type."""
    return Section("How to reproduce", (Commands(tuple(inputs.commands)),) if inputs.commands else (), folded=True)


SECTIONS: tuple[Callable[[Inputs], Section], ...] = (
    headline,
    metrics,
    evidence,
    rules,
    params,
    behaviour,
    slices,
    data,
    models,
    baselines,
    curves,
    cost,
    look,
    reproduce,
)


def charts(sides: Sequence[tuple[str, Record | None]]) -> tuple[Block, ...]:
    """Calibration and precision-recall charts of named evaluations; the last one is drawn as the one that matters."""
    known = [(name, evaluation) for name, evaluation in sides if evaluation]
    if not known:
        return ()
    binary = all(evaluation.get("task") == "binary" for _, evaluation in known)
    reliability = _series(known, "calibration", "predicted", "observed")
    curve = _series(known, "pr_curve", "recall", "precision") if binary else ()
    x, y = ("mean predicted probability", "observed share") if binary else ("mean prediction", "mean label")
    return (
        *([Reliability("Calibration", x, y, reliability)] if reliability else []),
        *([Curves("Precision and recall", "recall", "precision", curve)] if curve else []),
    )


def baseline_table(evaluation: Record | None, model: str) -> tuple[Block, ...]:
    """Each metric of a model beside its baselines, with the model's interval."""
    found = _records(evaluation, "metrics")
    baselines = _mapping(evaluation, "baselines")
    simple = sorted(baselines)[:MOST_BASELINES]
    if not found:
        return ()
    values = [{str(one.get("name")): one.get("value") for one in _records(baselines, name)} for name in simple]
    rows = [
        (
            _title(record),
            number(record.get("value")),
            between(record.get("low"), record.get("high")),
            *(number(baseline.get(str(record.get("name")))) for baseline in values),
        )
        for record in found
    ]
    return table(("Metric", numeric(model), numeric("95 % interval"), *map(numeric, simple)), rows)


def numeric(title: str) -> Column:
    """A column of numbers."""
    return Column(title, numeric=True)


def table(titles: Sequence[str | Column], rows: Sequence[tuple[Text, ...]], most: int = MOST_ROWS) -> tuple[Block, ...]:
    """A table, nothing when it has no rows; one of more than `most` rows is cut, and says so."""
    columns = tuple(Column(title) if isinstance(title, str) else title for title in titles)
    more = len(rows) - most
    cut = [Paragraph(f"… and {more} more.")] if more > 0 else []
    return (Table(columns, tuple(rows[:most])), *cut) if rows else ()


def _compared(record: Record, *, bold: bool) -> tuple[Text, ...]:
    return (
        Strong(_title(record)) if bold else _title(record),
        number(record.get("champion")),
        number(record.get("challenger")),
        number(record.get("improvement"), signed=True),
        between(record.get("low"), record.get("high"), signed=True),
    )


_METRICS: tuple[str | Column, ...] = (
    "Metric",
    *(Column(title, numeric=True) for title in ("Champion", "Challenger", "Improvement", "Interval")),
)


def judged_on(verdict: Record) -> list[Block]:
    """The rows that judged, and which look at them this was."""
    holdout, spent = verdict.get("holdout") or {}, verdict.get("look") or {}
    if finite(holdout.get("rows")) is None:
        return []
    return [
        Paragraph(
            (
                "Judged on ",
                Strong(f"{count(holdout['rows'])} rows"),
                f" in {count(holdout.get('clusters'))} clusters, ",
                f"{_text(holdout.get('first'))} to {_text(holdout.get('last'))}",
                f"; look {count(spent['number'])} at this holdout." if spent.get("number") else ".",
            )
        )
    ]


def _records(holder: Record | None, name: str) -> list[Record]:
    found = (holder or {}).get(name)
    return [record for record in found if isinstance(record, Mapping)] if isinstance(found, list | tuple) else []


def _mapping(holder: Record | None, name: str) -> Record:
    found = (holder or {}).get(name)
    return found if isinstance(found, Mapping) else {}


def _sides(inputs: Inputs) -> tuple[tuple[str, Side], ...]:
    return (("champion", inputs.champion), ("challenger", inputs.challenger))


def _title(record: Record) -> str:
    return str(record.get("title") or record.get("name") or record.get("metric"))


def _slice(record: Record) -> str:
    return f"{plain(record.get('slice'), NAME)} = {plain(record.get('value'), NAME)}"


def _text(value: object) -> str:
    return DASH if value is None else plain(value, NAME)


def _value(value: object) -> str:
    if value is None:
        return DASH
    if finite(value) is None:
        return str(value)
    return count(value) if isinstance(value, int) else number(value)


def _changed(old: object, new: object) -> tuple[Text, Text]:
    short = _short(old), _short(new)
    return (_set(short[0]), _set(short[1])) if short[0] != short[1] else (_set(old), _set(new))


def _short(value: object) -> object:
    """A long list by its ends."""
    if not isinstance(value, list | tuple) or len(value) <= _WHOLE_LIST:
        return value
    return f"{plain(value[0], 24)} … {plain(value[-1], 24)} ({len(value)} of them)"


_WHOLE_LIST = 3


def _set(value: object) -> Text:
    if isinstance(value, list | tuple):
        return Code(", ".join(map(str, value)) or "[]")
    return DASH if value is None else Code(str(value))


def _digest(value: object) -> Text:
    return DASH if value is None else Code(str(value)[:12])


def _share(value: object) -> str:
    figure = finite(value)
    return DASH if figure is None else f"{100 * figure:.2g} %"


def _passed(case: Record | None) -> str:
    return DASH if case is None else "✓ holds" if case.get("passed") else "✕ broken"


def _span(periods: object) -> str:
    if not isinstance(periods, list | tuple) or not periods:
        return DASH
    first, last = plain(periods[0], NAME), plain(periods[-1], NAME)
    return first if len(periods) == 1 else f"{first} to {last} ({len(periods)} periods)"


def _intervals(named: Iterable[tuple[str, Record]], *, figures: bool) -> tuple[Interval, ...]:
    found = []
    for label, record in named:
        value, low, high = (finite(record.get(key)) for key in ("improvement", "low", "high"))
        if value is None or low is None or high is None:
            continue
        tone: Tone = "good" if low > 0 else "bad" if high < 0 else "none"
        shown = number(value, signed=True) if figures else ""
        found.append(Interval(plain(label, NAME), value, low, high, shown, tone))
    return tuple(found)


def _worst(inputs: Inputs) -> list[Record]:
    known = [record for record in _records(inputs.verdict, "slices") if finite(record.get("improvement")) is not None]
    return sorted(known, key=lambda record: (not record.get("harmed"), record["improvement"], _slice(record)))


def _series(known: Sequence[tuple[str, Record]], name: str, x: str, y: str) -> tuple[Series, ...]:
    found = []
    for side, evaluation in known:
        pairs = [(finite(record.get(x)), finite(record.get(y))) for record in _records(evaluation, name)]
        points = tuple((a, b) for a, b in pairs if a is not None and b is not None)
        if points:
            found.append(Series(side, points))
    return tuple(found)


def _periods(side: Side) -> dict[str, tuple[str, Record]]:
    """Period to its use (`train`, `test`) and its figures."""
    return {
        str(name): (use, figures)
        for use in ("train", "test")
        for name, figures in _mapping(side.dataset, use).items()
        if isinstance(figures, Mapping)
    }


def _period(name: str, old: tuple[str, Record] | None, new: tuple[str, Record] | None) -> tuple[Text, ...]:
    _, figures = new or old or ("", {})
    return (
        name,
        old[0] if old else DASH,
        new[0] if new else DASH,
        count(figures.get("rows")),
        label_mean(figures),
        count(figures.get("quarantined")),
    )


def _news(old: tuple[str, Record] | None, new: tuple[str, Record] | None) -> str:
    if old is None:
        return "new"
    if new is None:
        return "only the champion's"
    return "revised" if old[1].get("sha256") != new[1].get("sha256") else "same"


def _trained_on(verdict: Record) -> set[str]:
    return {str(period) for period in (verdict.get("champion") or {}).get("trained_on") or ()}


def _training_rows(inputs: Inputs) -> tuple[Block, ...]:
    """How many rows train each model, and how often their label is positive, or how large it is."""
    told = []
    for name, side in _sides(inputs):
        batches = [figures for use, figures in _periods(side).values() if use == "train"]
        rows = sum(finite(batch.get("rows")) or 0.0 for batch in batches)
        if batches:
            told.append(
                f"the {name} is trained on {count(rows)} rows of {len(batches)} "
                f"{'period' if len(batches) == 1 else 'periods'}, mean label {number(_mean_label(batches))}"
            )
    sentence = "; ".join(told)
    return (Paragraph(f"{sentence[:1].upper()}{sentence[1:]}."),) if told else ()


def _mean_label(batches: Sequence[Record]) -> float | None:
    known = [(finite(batch.get("labelled")), _label(batch)) for batch in batches]
    weighed = [(weight, mean) for weight, mean in known if weight and mean is not None]
    labelled = sum(weight for weight, _ in weighed)
    return sum(weight * mean for weight, mean in weighed) / labelled if labelled else None


def _label(figures: Record) -> float | None:
    positives, labelled = finite(figures.get("positives")), finite(figures.get("labelled"))
    return positives / labelled if positives is not None and labelled else finite(figures.get("label_mean"))


def label_mean(figures: Record) -> str:
    """The share of positives of a period, or the mean label where labels are numbers."""
    positives, labelled = finite(figures.get("positives")), finite(figures.get("labelled"))
    if positives is not None and labelled:
        return percent(positives / labelled)
    return number(figures.get("label_mean"))


def _nulls(old: Mapping[str, tuple[str, Record]], new: Mapping[str, tuple[str, Record]]) -> tuple[Block, ...]:
    """Columns whose share of nulls moved most between the champion's periods and the challenger's."""
    before, after = _share_of_nulls(old), _share_of_nulls(new)
    moved = [(column, before[column], after[column]) for column in sorted({*before} & {*after})]
    moved = [row for row in moved if abs(row[1] - row[2]) >= 0.005]
    moved.sort(key=lambda row: -abs(row[1] - row[2]))
    rows = [(Code(column), percent(was), percent(now)) for column, was, now in moved]
    return table(("Nulls in", numeric("Champion's periods"), numeric("Challenger's periods")), rows)


def _share_of_nulls(periods: Mapping[str, tuple[str, Record]]) -> dict[str, float]:
    shares: dict[str, float] = {}
    rows = sum(finite(figures.get("rows")) or 0.0 for _, figures in periods.values())
    for _, figures in periods.values():
        for column, share in _mapping(figures, "nulls").items():
            part = (finite(share) or 0.0) * (finite(figures.get("rows")) or 0.0)
            shares[str(column)] = shares.get(str(column), 0.0) + part
    return {column: total / rows for column, total in shares.items()} if rows else {}

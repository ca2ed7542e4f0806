"""The model card: what a model is for, what it was made from, how good it is, and where it must not be trusted.

Sections follow Mitchell et al. 2019 (Model Cards for Model Reporting) under the headings of Hugging Face's template.
What only a person knows stands beside the problem's folders, in `src/<problem>/card.yaml`; everything else is read from
the outputs of the pipeline, of which the card is one: it holds no date, no commit and no name of a machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ratchet import yaml12
from ratchet.errors import RatchetError
from ratchet.params import flattened
from ratchet.report.document import (
    DASH,
    Block,
    Code,
    Document,
    Items,
    Paragraph,
    Section,
    Strong,
    Text,
    count,
    document,
    finite,
    number,
)
from ratchet.report.sections import baseline_table, charts, label_mean, numeric, table

Record = Mapping[str, Any]

UNSAID = "Not stated: the problem's card.yaml does not say."
Said = Annotated[str, Field(min_length=1, max_length=20_000)]


class Texts(BaseModel):
    """What only a person knows; paragraphs are separated by empty lines, lines that begin with `- ` are a list.

    Attributes:
        intended_use: For whom and for which decisions, and for which not.
        limits: Where it must not be trusted, and why.
        data: Where the rows come from and what was left out.
        licence: Of data and model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    intended_use: Said = UNSAID
    limits: Said = UNSAID
    data: Said = UNSAID
    licence: Said = UNSAID


def texts(path: Path) -> Texts:
    """What a `card.yaml` says; nothing where there is none.

    Raises:
        RatchetError: As `parse`.
    """
    return parse(path.read_bytes(), str(path)) if path.exists() else Texts()


def parse(content: bytes, name: str) -> Texts:
    """The texts in the content of a `card.yaml`, which is data: nothing in it is run. `name` stands in errors.

    Raises:
        RatchetError: It is not YAML, has a key that is none of the four, or a value that is not a text.
    """
    found = yaml12.read(content, name)
    try:
        return Texts.model_validate({} if found is None else found)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors()[:3])
        raise RatchetError(
            f"{name}: {wrong}\nits keys are {', '.join(Texts.model_fields)}, and each is text"
        ) from error


def card(texts: Texts, manifest: Record, dataset: Record, evaluation: Record, training: Record) -> Document:
    """The card of one bundle.

    Args:
        texts: What the problem says of itself.
        manifest: `bundle/manifest.json`.
        dataset: `data/dataset.json`.
        evaluation: `evaluation/evaluation.json`.
        training: `model/training.json`.
    """
    return document(
        f"Model card: {manifest['problem']}",
        [
            _details(manifest, evaluation, training),
            Section("Uses", prose(texts.intended_use)),
            Section("Bias, risks and limitations", prose(texts.limits)),
            _data(texts.data, dataset),
            _metrics(evaluation),
            _slices(evaluation),
            _behaviour(evaluation),
            Section("Calibration and curves", charts([("model", evaluation)]), folded=True),
            _lineage(manifest, evaluation),
            Section("Licence", prose(texts.licence)),
        ],
    )


def prose(text: str) -> tuple[Block, ...]:
    """Paragraphs and lists of a plain text."""
    blocks: list[Block] = []
    for part in text.strip().split("\n\n"):
        lines = [line.strip() for line in part.splitlines() if line.strip()]
        if lines and lines[0].startswith("- "):
            items = re.split(r"\n- ", "\n".join(lines).removeprefix("- "))
            blocks.append(Items(tuple(" ".join(item.split()) for item in items)))
        elif lines:
            blocks.append(Paragraph(" ".join(lines)))
    return tuple(blocks)


def _details(manifest: Record, evaluation: Record, training: Record) -> Section:
    task = {"binary": "probability that", "regression": "value of"}[str(manifest["task"])]
    threshold = finite(manifest.get("threshold"))
    rows: list[tuple[Text, ...]] = [
        ("Predicts", f"{task} {manifest['target']}"),
        ("Task", str(manifest["task"])),
        ("Form", str(manifest["kind"])),
        ("Model digest", Code(str(evaluation["model_digest"]))),
        ("Trained on", f"{count(training.get('rows'))} labelled rows of {', '.join(sorted(manifest['trained_on']))}"),
    ]
    if threshold is not None:
        ratio = finite(training.get("cost_ratio"))
        why = f", where a miss costs {ratio:g} false alarms" if ratio is not None else ""
        rows.append(("Operating threshold", f"{number(threshold)}{why}"))
    return Section("Model details", table(("", ""), rows))


def _data(text: str, dataset: Record) -> Section:
    rows: list[tuple[Text, ...]] = [
        (
            name,
            use,
            count(figures.get("rows")),
            count(figures.get("labelled")),
            label_mean(figures),
            count(figures.get("quarantined")),
            Code(str(figures.get("sha256"))[:16]),
        )
        for use in ("train", "test")
        for name, figures in sorted((dataset.get(use) or {}).items())
    ]
    figures = [numeric(title) for title in ("Rows", "Labelled", "Mean label", "Quarantined")]
    found = table(("Period", "Use", *figures, "SHA-256 of the rows"), rows, most=len(rows))
    return Section("Data", (*prose(text), *found))


def _metrics(evaluation: Record) -> Section:
    found = baseline_table(evaluation, "Model")
    on = Paragraph(
        (
            "On ",
            Strong(f"{count(evaluation['rows'])} rows"),
            f" in {count(evaluation['clusters'])} clusters that it was not trained on, beside the baselines that it "
            "must beat. Intervals by cluster.",
        )
    )
    return Section("Evaluation", (on, *found) if found else ())


def _slices(evaluation: Record) -> Section:
    found = evaluation.get("slices") or []
    names = [metric["name"] for metric in evaluation["metrics"]][:3]
    titles = {metric["name"]: metric["title"] for metric in evaluation["metrics"]}
    rows: list[tuple[Text, ...]] = [
        (
            f"{one['slice']} = {one['value']}",
            count(one["rows"]),
            number(one["label_mean"]),
            *(number(one["metrics"].get(name)) for name in names),
        )
        for one in found
    ]
    figures = [numeric(title) for title in ("Rows", "Mean label", *(titles[name] for name in names))]
    return Section("Evaluation by slice", table(("Slice", *figures), rows, most=len(rows)), folded=True)


def _behaviour(evaluation: Record) -> Section:
    rows: list[tuple[Text, ...]] = [
        (
            "✓ holds" if case["passed"] else "✕ broken",
            case["sentence"],
            count(case["rows"]),
            number(case["value"]),
            case["bound"],
        )
        for case in evaluation.get("behaviour") or []
    ]
    return Section("Behaviour", table(("", "Expectation", numeric("Rows"), numeric("Value"), "Bound"), rows))


def _lineage(manifest: Record, evaluation: Record) -> Section:
    made_from = manifest.get("made_from") or {}
    params = flattened(made_from.get("params") or {})
    rows: list[tuple[Text, ...]] = [
        ("Model digest (SHA-256 of the bundle's manifest)", Code(str(evaluation["model_digest"]))),
        ("Code", Code(str(made_from["code"])) if made_from.get("code") else DASH),
        ("Python", Code(str(manifest["python"])) if manifest.get("python") else DASH),
        *((f"Rows of {name}", Code(str(digest))) for name, digest in sorted(manifest["trained_on"].items())),
        *((f"Parameter {key}", Code(json.dumps(value))) for key, value in sorted(params.items())),
    ]
    return Section("Lineage", table(("Made from", "Value"), rows, most=len(rows)))

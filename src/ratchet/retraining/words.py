"""What people are told of a check: titles and texts of the pull request and of the issues. Pure.

Every text that comes from data goes through a `ratchet.report.Document`, whose renderer escapes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from ratchet.report import Section, document, markdown
from ratchet.report.document import Code, Column, Commands, Headline, Link, Paragraph, Table, Tone

if TYPE_CHECKING:
    from ratchet.report.document import Block, Text
    from ratchet.retraining.inquiry import Inquiry, Record

BROKEN, DRIFT, FAILED = "<!-- ratchet: broken data", "<!-- ratchet: drift", "<!-- ratchet: training failed"
"""With what the issues of a kind begin."""
PROPOSES = "retrain/"
"""Beginning of the branches that propose a retraining."""
LABELS = {"retrain": "retraining", "watch": "drift", "broken": "broken data", "failed": "retraining"}
"""Of the pull request or the issue, by the state that a check came to."""
PARAMS, LOCK = "params.yaml", "dvc.lock"
MOST = 12
"""Checks that are shown."""


def mark(kind: str, period: str) -> str:
    """With what the issue of a kind about a period begins."""
    return f"{kind} {period} -->"


def period_of(body: str) -> str:
    """The period that an issue is about whose text begins with a mark."""
    return re.sub(f"^({BROKEN}|{DRIFT}|{FAILED})", "", body.lstrip()).partition("-->")[0].strip()


def kind_of(found: Inquiry) -> str:
    """The kind of the issue that a check ends in."""
    return {"broken": BROKEN, "failed": FAILED}.get(found.state, DRIFT)


def branch(period: str) -> str:
    """The branch that proposes a retraining with a period."""
    return f"{PROPOSES}{period}"


def title(found: Inquiry) -> str:
    """Of the pull request or the issue."""
    if found.action == "pull request":
        return f"Retrain with {listed(found.added)}"
    return {
        BROKEN: f"The data of {found.period} are broken",
        FAILED: f"No challenger can be trained with {found.period}",
        DRIFT: f"Drift in {found.period}: retraining is not proven to help",
    }[kind_of(found)]


def listed(names: Sequence[str]) -> str:
    """Periods in a sentence: "2013-05", "2013-05 and 2013-06", "2013-05 to 2013-07 and 2013-09"."""
    runs: list[list[str]] = []
    for name in names:
        if runs and _place(runs[-1][-1]) + 1 == _place(name):
            runs[-1].append(name)
        else:
            runs.append([name])
    said = [part for run in runs for part in (run if len(run) < 3 else [f"{run[0]} to {run[-1]}"])]
    return " and ".join([*filter(None, [", ".join(said[:-1])]), *said[-1:]])


def _place(period: str) -> float:
    """Which one it is of all periods of its length; NaN, which no other follows, when its name is another kind of name.

    The job that writes has no pandas, which would know.
    """
    if not re.fullmatch(r"\d{4}(Q\d|(-\d\d){1,2})?", period):
        return math.nan
    year, *rest = map(int, re.split("[-Q]", period))
    if len(rest) == 2:
        return date(year, *rest).toordinal()
    return year if not rest else (4 if "Q" in period else 12) * year + rest[0]


def proposal(found: Inquiry, run: str) -> str:
    """The text of the pull request: why, the evidence, what it holds, how to get it again."""
    proof, tag = found.proof or {}, found.champion["tag"]
    holds: tuple[Text, ...] = (
        (Code(PARAMS), f" gets {listed(found.added)}, which {tag} has never seen; the last of them tests."),
        (Code(LOCK), f" is what drift.yml has made of it: model {proof['model_digest'][:12]}."),
        "Both gates are set by the same workflows as for any other proposal. Nothing need be trained again.",
    )
    more = (Link("The run that checked", run), " has the whole report, and Evidently's page, as its artifact.")
    again = (
        f"ratchet drift check --period {found.period}",
        f"dvc exp run -S 'data.periods=[{','.join(found.periods)}]'",
    )
    sections = (
        Section("", (Headline("good", f"Retraining helps. {proof['sentence']}"), Paragraph(found.diagnosed))),
        _evidence(found),
        Section("What this pull request holds", (*map(Paragraph, holds), Paragraph(more))),
        Section("How to get it again", (Commands(again),)),
    )
    return markdown.render(document("", sections))


def issue(found: Inquiry, run: str) -> str:
    """The text of the issue: what was found, what to try; it begins with the mark by which it is found again."""
    kind = kind_of(found)
    tone: Tone = "wait" if kind == DRIFT else "bad"
    tried = (Paragraph(found.proof["sentence"]),) if found.proof else ()
    sections = (
        Section("", (Headline(tone, found.sentence), Paragraph(found.diagnosed), *tried)),
        _evidence(found),
        Section(
            "What to do",
            (*map(Paragraph, _ADVICE[kind]), Paragraph((Link("The run that checked", run), " says more."))),
        ),
    )
    return f"{mark(kind, found.period)}\n{markdown.render(document('', sections))}"


_MEND = (
    "Nothing is retrained, with this period or a later one, until this issue is closed: a model would learn the fault.",
    "Mend the source, or say in data.checks of params.yaml that this is how the data are from now on; then dispatch "
    "drift.yml with the period. It closes this issue when the data are well. Closing it by hand lets later periods "
    "pass; this one is left out of what they are retrained with.",
)
_TRY = (
    "That more of the same makes a better model is not proven, so something else may have to change: a feature that "
    "sees what has moved, other parameters (ratchet tune), fewer old periods in params.yaml. Or the champion is as "
    "good as it gets.",
    "Close this issue when you have decided; the next period is checked in any case. It closes by itself when the "
    "champion holds on the labels of this period or a later one, or when a retraining with them is proven to help.",
)
_REPAIR = (
    "A stage of the pipeline fails with the new periods. To see its whole log, add them to data.periods of params.yaml "
    "at a desk, and run dvc repro.",
    "Each new commit of main is another try. This issue closes by itself when a challenger can be trained with this "
    "period or a later one.",
)
_ADVICE = {BROKEN: _MEND, DRIFT: _TRY, FAILED: _REPAIR}


def superseded(found: Inquiry, number: int) -> str:
    """What the proposal of an earlier period is told."""
    return f"Superseded by #{number}, a retraining with {listed(found.added)}."


def withdrawn(found: Inquiry, run: str) -> str:
    """What the period's own proposal is told when its newest check promotes it no more."""
    why = Paragraph(f"Withdrawn: {found.period} was checked again. {found.sentence}")
    more = Paragraph((Link("The run that checked", run), " says more."))
    return markdown.render(document("", (Section("", (why, more)),)))


def _evidence(found: Inquiry) -> Section:
    ordered = sorted(found.findings, key=lambda check: not check["fires"])
    shown = [check for check in ordered if check["fires"] or check["kind"] == "performance"][:MOST]
    rows = tuple((Code(check["name"]), *_figures(check), _said(check)) for check in shown)
    fired = sum(check["fires"] for check in found.findings)
    lead: Text = f"{fired} of {len(found.findings)} checks fire: {found.diagnosis}."
    table: tuple[Block, ...] = ()
    if rows:
        table = (Table((Column("Check"), Column("Value", numeric=True), Column("Bound"), Column("In words")), rows),)
    return Section(f"What was found in {found.period}", (Paragraph(lead), *table))


def _figures(check: Record) -> tuple[Text, Text]:
    return ("" if check["value"] is None else f"{check['value']:.4g}", check["bound"] or "")


def _said(check: Record) -> Text:
    return f"{check['sentence']}{' (an estimate: labels have not come)' if check['estimated'] else ''}"

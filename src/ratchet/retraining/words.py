"""What people are told of a check: titles and texts of the pull request and of the issues. Pure.

Every text that comes from data goes through a `ratchet.report.Document`, whose renderer escapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ratchet.report import Section, document, markdown
from ratchet.report.document import Code, Column, Commands, Headline, Link, Paragraph, Table, Tone

if TYPE_CHECKING:
    from ratchet.report.document import Block, Text
    from ratchet.retraining.inquiry import Inquiry, Record

BROKEN, DRIFT = "<!-- ratchet: broken data", "<!-- ratchet: drift"
PROPOSES = "retrain/"
"""Beginning of the branches that propose a retraining."""
LABELS = {"pull request": "retraining", "issue": "drift", "broken": "broken data"}
PARAMS, LOCK = "params.yaml", "dvc.lock"
MOST = 12
"""Checks that are shown."""


def broken(period: str) -> str:
    """With what the issue about a period's broken data begins."""
    return f"{BROKEN} {period} -->"


def period_of(body: str) -> str:
    """The period that an issue is about whose text begins with one of these marks."""
    return body.lstrip().removeprefix(BROKEN).removeprefix(DRIFT).partition("-->")[0].strip()


def drifted(period: str) -> str:
    """With what the issue about a period's drift begins."""
    return f"{DRIFT} {period} -->"


def branch(period: str) -> str:
    """The branch that proposes a retraining with a period."""
    return f"{PROPOSES}{period}"


def title(found: Inquiry) -> str:
    """Of the pull request or the issue."""
    if found.action == "pull request":
        return f"Retrain with {listed(found.added)}"
    if found.state == "broken":
        return f"The data of {found.period} are broken"
    return f"Drift in {found.period}: retraining is not proven to help"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "2013-05", "2013-05 and 2013-06", "2013-05 to 2013-07"."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{names[0]} to {names[-1]}"


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
    mark, advice = (broken(found.period), _MEND) if found.state == "broken" else (drifted(found.period), _TRY)
    tone: Tone = "bad" if found.state == "broken" else "wait"
    tried = (Paragraph(found.proof["sentence"]),) if found.proof else ()
    sections = (
        Section("", (Headline(tone, found.sentence), Paragraph(found.diagnosed), *tried)),
        _evidence(found),
        Section("What to do", (*map(Paragraph, advice), Paragraph((Link("The run that checked", run), " says more.")))),
    )
    return f"{mark}\n{markdown.render(document('', sections))}"


_MEND = (
    "Nothing is retrained, with this period or a later one, until this issue is closed: a model would learn the fault.",
    "Mend the source, or say in data.checks of params.yaml that this is how the data are from now on; then dispatch "
    "drift.yml with the period. It closes this issue when the data are well. Closing it by hand lets later ones pass.",
)
_TRY = (
    "That more of the same makes a better model is not proven, so something else may have to change: a feature that "
    "sees what has moved, other parameters (ratchet tune), fewer old periods in params.yaml. Or the champion is as "
    "good as it gets.",
    "Close this issue when you have decided; the next period is checked in any case. It closes by itself when the "
    "champion holds on the labels of this period or a later one, or when a retraining with them is proven to help.",
)


def superseded(found: Inquiry, number: int) -> str:
    """What the proposal of an earlier period is told."""
    return f"Superseded by #{number}, a retraining with {listed(found.added)}."


def withdrawn(found: Inquiry, run: str) -> str:
    """What the period's own proposal is told when its newest check promotes it no more."""
    why = Paragraph(f"Withdrawn: {found.period} was checked again. {found.sentence}")
    more = Paragraph((Link("The run that checked", run), " says more. When it is proven anew, it is proposed anew."))
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

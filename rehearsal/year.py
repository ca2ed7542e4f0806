"""The year of the README: months pass, and a model is retrained when that is proven to help, and at no other time.

    make year

Each month its flights are asked of the service that runs, which logs what it answers; then their labels come, and
drift.yml looks at the month. Where it opens a pull request, that is merged, released and promoted. Everything happens
on a forge of its own under build/year, with copies of the repository; the working tree is only read.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from ratchet import files, metrics, outcomes, params
from ratchet.errors import RatchetError, told_to_the_user
from ratchet.problem import Problem
from ratchet.report import Section, document, page
from ratchet.report.document import Code, Column, Forest, Interval, Mark, Paragraph, Table, Tone, between, number
from ratchet.retraining import words
from rehearsal import delivery, pages, project
from rehearsal.demo import shown
from rehearsal.desk import Desk
from rehearsal.host import Host
from rehearsal.teller import Teller, say

STAGE = project.ROOT / "build" / "year"
LOG = STAGE / "predictions"
KNOWN = ("2013-01", "2013-02", "2013-03")
MONTHS = tuple(f"2013-{month:02}" for month in range(4, 13))
BATCH = 1000
"""Rows of a question: the most that the service takes."""
FLUSHED = 3.0
"""Seconds until the service has written its log."""


@dataclass(frozen=True)
class Month:
    """What a month came to.

    Attributes:
        period: Its name.
        release: What answered.
        served: Flights that were asked and have landed.
        loss: Log loss of what was answered.
        check: The record of the check.
        proof: The record of the retraining that was tried, if one was.
    """

    period: str
    release: str
    served: int
    loss: float
    check: Mapping[str, Any]
    proof: Mapping[str, Any] | None


def main(arguments: list[str] | None = None) -> None:
    """Play the year, and leave its picture and its pages."""
    parser = argparse.ArgumentParser(prog="make year", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--until", choices=MONTHS, default=MONTHS[-1], help="the last month")
    given = parser.parse_args(arguments)
    # What is built is the same; a Bento runs as a process that may write its log where drift.yml finds it.
    os.environ["REHEARSAL_BUILDER"] = "bento"
    began = time.monotonic()
    shutil.rmtree(STAGE, ignore_errors=True)
    LOG.mkdir(parents=True)
    with Desk(STAGE / "forge") as desk:
        teller = Teller(desk)
        _found(desk, teller)
        with Host(desk, "production", STAGE / "host", {"RATCHET_LOG": str(LOG)}) as host:
            delivery.follow(host)
            months = [_pass(desk, teller, host, month) for month in MONTHS if month <= given.until]
        pages.export(desk.forge, STAGE / "pages")
    files.write_text(STAGE / "year.html", picture(months))
    say(f"That was the year, in {time.monotonic() - began:.0f} s.")
    print(f"Its picture: {shown(STAGE / 'year.html')}\nIts pages: {shown(STAGE / 'pages' / 'index.html')}")


def _found(desk: Desk, teller: Teller) -> None:
    say(f"A new repository knows {words.listed(KNOWN)}. Its first model goes to production.")
    source = STAGE / "project"
    project.template(source, without=["tests/"], but=project.FEW_TESTS)
    params.edit(source / "params.yaml", {"data.periods": list(KNOWN), "drift.log": str(LOG)})
    desk.found(source)
    desk.wait()
    teller.tell()
    desk.protect()
    delivery.promote(desk, teller, "all-at-once", reason="The first one")


def _pass(desk: Desk, teller: Teller, host: Host, period: str) -> Month:
    """A month passes: it is served, its labels come, it is checked, and what the check proposes is done."""
    desk.forge.quota.pass_hour()
    problem = Problem(project.PROBLEM.name, project.FROZEN)
    release = delivery.production(desk).answering.release
    asked = _serve(host, period)
    time.sleep(FLUSHED)
    served, loss = _landed(problem, period, delivery.production(desk).answering.model)
    say(f"{period}: {release} answered for {asked:,} flights; {served:,} have landed, log loss {loss:.4f}.")
    answer = desk.dispatch("drift.yml", period=period)
    if answer.is_error:
        raise RatchetError(f"drift.yml cannot be dispatched: {answer.text[:200]}")
    desk.wait()
    teller.tell()
    records = desk.records()
    check = next((one for one in records.values() if one["kind"] == "check" and one["period"] == period), None)
    if check is None:
        raise RatchetError(f"{period}: drift.yml left no record; its log: {desk.url}/actions")
    proof = records[check["proof"]] if check["proof"] else None
    print(f"  {check['state']}: {check['diagnosis']}. {(proof or check)['sentence']}")
    if check["answer"]["action"] == "pull request":
        _take(desk, teller, host, check["answer"]["number"])
    return Month(period, release, served, loss, check, proof)


def _serve(host: Host, period: str) -> int:
    """Ask every flight of the month; how many there were."""
    rows = delivery.flights(period, step=1)
    with httpx.Client(base_url=host.url, timeout=60) as client:
        for start in range(0, len(rows), BATCH):
            client.post("/predict_batch", json={"rows": rows[start : start + BATCH]}).raise_for_status()
    return len(rows)


def _landed(problem: Problem, period: str, model: str) -> tuple[int, float]:
    """Answers whose labels have come, and their log loss."""
    found = outcomes.join(outcomes.read(str(LOG), problem), outcomes.known([period], problem), problem).joined
    mine = found[found["model"] == model]
    labels, scores = mine["label"].to_numpy(dtype="float64"), mine["score"].to_numpy(dtype="float64")
    return len(mine), metrics.get("log_loss", problem.task).value(labels, scores, mine["score"].to_numpy() * 0 + 1)


def _take(desk: Desk, teller: Teller, host: Host, pull: int) -> None:
    """Merge a retraining whose gates are green; its release answers from then on."""
    gates = {context: state for context, (state, _) in desk.statuses(desk.pull(pull)["head"]["sha"]).items()}
    say(f"Pull request {pull}: {desk.pull(pull)['title']}; {', '.join(f'{k} {v}' for k, v in sorted(gates.items()))}.")
    merged = desk.merge(pull, how="squash")
    if merged.is_error:
        raise RatchetError(f"pull request {pull} cannot be merged: {merged.json()['message']}")
    desk.wait()
    delivery.promote(desk, teller, "all-at-once", reason="Retraining is proven to help")
    delivery.follow(host)


def picture(months: Sequence[Month]) -> str:
    """The year as a page: what each month's retraining would have gained, and what was done about it."""
    tried = [month for month in months if month.proof and month.proof["improvement"]["low"] is not None]
    forest = Forest("Gain in log loss of a model retrained on all that came before, on the month itself", tuple(
        _interval(month) for month in tried
    ), (Mark("0", 0.0),))  # fmt: skip
    titles = ("Month", "Release", "Flights", "Log loss", "Gain", "Checks that fire", "What followed")
    columns = tuple(Column(title, numeric=title in {"Flights", "Log loss", "Gain"}) for title in titles)
    rows = tuple(_row(month) for month in months)
    opened = [month.period for month in months if month.check["answer"]["action"] == "pull request"]
    lead = f"{len(opened)} of {len(months)} months ended in a retraining: {', '.join(opened) or 'none'}."
    sections = [
        Section("What happened", (Paragraph(lead), Table(columns, rows))),
        Section("What retraining would have gained", (forest,) if tried else ()),
    ]
    return page.render(document("A year of flights", sections))


def _interval(month: Month) -> Interval:
    gain = (month.proof or {})["improvement"]
    tone: Tone = "good" if (month.proof or {})["verdict"] == "promote" else "none"
    return Interval(month.period, gain["value"], gain["low"], gain["high"], number(gain["value"], signed=True), tone)


def _row(month: Month) -> tuple[Any, ...]:
    gain = month.proof["improvement"] if month.proof else {"low": None, "high": None}
    fired = sum(bool(one["fires"]) for one in month.check["findings"])
    answered = month.check["answer"]
    followed = answered["action"] + (f" {answered['number']}" if answered["number"] else "")
    return (
        Code(month.period),
        month.release,
        f"{month.served:,}",
        number(month.loss),
        between(gain["low"], gain["high"], signed=True),
        f"{fired} of {len(month.check['findings'])}",
        followed,
    )


if __name__ == "__main__":
    with told_to_the_user():
        main()

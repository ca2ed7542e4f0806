"""What a backtest found, for people and for programs: tables between the markers of a page, a file, a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ratchet import files
from ratchet.backtest import plot
from ratchet.backtest import results as results_of
from ratchet.backtest.policies import BLIND, MONTHLY, NEVER, POLICIES, PROVEN
from ratchet.backtest.rates import Rate
from ratchet.backtest.replay import GROWING
from ratchet.backtest.results import ORACLE, Figure, Result
from ratchet.backtest.shifts import Shift
from ratchet.errors import RatchetError
from ratchet.metrics import Metric, rounded
from ratchet.report.document import DASH, MINUS

SHOWN = (NEVER.name, MONTHLY.name, PROVEN.name, BLIND.name)
"""Policies whose way through the year is drawn."""


@dataclass(frozen=True)
class Backtest:
    """All that was found.

    Attributes:
        results: Of the year, by window and policy.
        rates: Of stationary and of shifted replays.
        metrics: The primary one and the other one.
        shifts: What was injected.
    """

    results: Sequence[Result]
    rates: Sequence[Rate]
    metrics: tuple[Metric, Metric]
    shifts: Sequence[Shift] = ()

    def tables(self) -> dict[str, str]:
        """Markdown by the name of its place in the page."""
        return {
            "summary": _summary(self.results),
            "policies": _policies(),
            "year": _year(self.results, self.metrics),
            "pull requests": _opened(self.results),
            "false alarms": _false_alarms(self.rates),
            "detections": _detections(self.rates, self.shifts),
        }

    def plain(self) -> dict[str, Any]:
        """All figures, JSON-able."""
        return {
            "results": [_plain(result) for result in self.results],
            "rates": [_plain(rate) for rate in self.rates],
            "shifts": {shift.name: shift.sentence for shift in self.shifts},
        }

    def picture(self) -> str:
        """The year with a growing window, as SVG."""
        growing = [result for result in self.results if result.window == GROWING]
        return plot.picture(growing, SHOWN, self.metrics[0])

    def write(self, folder: Path) -> None:
        """Write `backtest.json` and `backtest.svg`, and the tables into `policies.md`, where that is.

        Raises:
            RatchetError: The page has no place for a table.
        """
        page = folder / "policies.md"
        if page.exists():
            files.write_text(page, inserted(page, self.tables()))
        files.write_json(folder / "backtest.json", self.plain(), sort_keys=False)
        files.write_text(folder / "backtest.svg", self.picture())


def inserted(page: Path, tables: Mapping[str, str]) -> str:
    """The text of a page with each table between its markers, `<!-- name -->` and `<!-- end of name -->`.

    Raises:
        RatchetError: The page has not exactly one place for a table.
    """
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text, found = pattern.subn(partial(_between, table), text)
        if found != 1:
            raise RatchetError(f"{page}: has {found} places for the table {name!r}; it must have one")
    return text


def _between(table: str, markers: re.Match[str]) -> str:
    return f"{markers[1]}{table}\n{markers[2]}"


def _summary(results: Sequence[Result]) -> str:
    """Which of the policies the year cannot tell from the best."""
    best, found = results_of.best(results), results_of.candidates(results)
    listed = ", ".join(f"*{_named(one)}* ({_count(one)})" for one in found if one is not best)
    return (
        f"The best policy whose models are judged before they serve is *{_named(best)}* "
        f"({_count(best)}). Not distinguishably worse: {listed or 'none'}. All others are."
    )


def _count(found: Result) -> str:
    return f"{len(found.opened)} pull request{'' if len(found.opened) == 1 else 's'}"


def _policies() -> str:
    return _table(("policy", "opens a pull request when"), [(found.name, found.sentence) for found in POLICIES])


def _year(results: Sequence[Result], measured: tuple[Metric, Metric]) -> str:
    heads = (
        "window",
        "policy",
        "opened",
        "helped / unclear / harmed",
        *(metric.title for metric in measured),
        "behind the oracle",
        "behind the best",
        "models trained",
        "seconds",
    )
    rows = [
        (
            _window(found),
            found.policy,
            str(len(found.opened)),
            " / ".join(str(found.count(effect)) for effect in ("helped", "unclear", "harmed")),
            _figure(found.primary),
            _figure(found.second),
            DASH if found.policy == ORACLE else _figure(found.regret),
            DASH if found.policy == ORACLE else _figure(found.behind),
            str(found.trained),
            f"{found.seconds:.0f}",
        )
        for found in results
    ]
    return _table(heads, rows)


def _opened(results: Sequence[Result]) -> str:
    rows = [
        (
            _window(found),
            found.policy,
            ", ".join(f"{pr.period} ({_signed(pr.gain.value)}{_MARKS[pr.effect]})" for pr in found.opened),
        )
        for found in results
        if found.opened
    ]
    return _table(("window", "policy", "pull requests: month (gain on the next)"), rows)


_MARKS = {"helped": " helped", "harmed": " harmed", "unclear": ""}


def _false_alarms(rates: Sequence[Rate]) -> str:
    rows = [
        (rate.policy, f"{rate.alarms:.2f} [{rate.low:.2f}, {rate.high:.2f}]", str(rate.replays))
        for rate in rates
        if not rate.shift
    ]
    return _table(("policy", "false alarms a year", "years"), rows)


def _detections(rates: Sequence[Rate], shifts: Sequence[Shift]) -> str:
    names = list(dict.fromkeys(rate.policy for rate in rates))
    rows = [
        (f"{shift.name}: {shift.sentence}", *(_detected(rate) for rate in rates if rate.shift == shift.name))
        for shift in shifts
    ]
    return _table(("what happens", *names), rows)


def _detected(rate: Rate) -> str:
    share = f"{rate.alarms:.0%} [{rate.low:.0%}, {rate.high:.0%}]"
    if rate.delay is None:
        return share
    return f"{share}; {rate.delay:.1f} [{rate.delay_low:.1f}, {rate.delay_high:.1f}]"


def _window(found: Result) -> str:
    return f"last {found.window}" if found.window else "growing"


def _named(found: Result) -> str:
    return f"{found.policy}, {_window(found)} window"


def _figure(found: Figure) -> str:
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]".replace("-", MINUS)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", MINUS)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [heads, ["---"] * len(heads), *rows])


def _plain(value: Any) -> Any:
    """Rounded, so that another CPU writes the same file."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return rounded(value) if isinstance(value, float) else value

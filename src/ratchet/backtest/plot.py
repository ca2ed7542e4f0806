"""The year as a picture: what each month cost against the oracle, and who opened a pull request when, and what it did.

A small SVG text: no library, no date, so that the same figures give the same bytes; legible in light and in dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from ratchet.backtest.results import ORACLE, Result
from ratchet.report.document import MINUS
from ratchet.report.pictures import ticks

if TYPE_CHECKING:
    from ratchet.metrics import Metric

_STYLE = """
svg { font: 12px system-ui, sans-serif; --text: #1f2328; --quiet: #59636e; --rule: #d8dee4; --page: #ffffff;
  --good: #1a7f37; --bad: #cf222e; --main: #0969da; --other: #8c959f; --wait: #bf8700; }
@media (prefers-color-scheme: dark) { svg { --text: #e6edf3; --quiet: #9198a1; --rule: #30363d; --page: #0d1117;
  --good: #3fb950; --bad: #f85149; --main: #4493f8; --other: #7d8590; --wait: #d29922; } }
.page { fill: var(--page); } text { fill: var(--text); } .quiet { fill: var(--quiet); }
line { stroke: var(--rule); } polyline { fill: none; stroke-width: 2; }
.helped { fill: var(--good); } .harmed { fill: var(--bad); } .unclear { fill: var(--other); }
.c0 { stroke: var(--bad); } .c1 { stroke: var(--wait); } .c2 { stroke: var(--main); } .c3 { stroke: var(--good); }
"""

_LEFT, _RIGHT, _STEP, _HEIGHT, _ROW = 190, 150, 62, 190, 24


def picture(results: Sequence[Result], lines: Sequence[str], metric: Metric) -> str:
    """The results with one kind of window.

    Args:
        results: Of one window, in the order of the rows, the oracle among them.
        lines: Policies whose distance from the oracle is drawn over the months, four at most.
        metric: The primary one.
    """
    months = list(results[0].months)
    width = _LEFT + _STEP * len(months) + _RIGHT
    top = 40 + _HEIGHT + 56
    height = top + _ROW * len(results) + 30
    drawn = [found for name in lines for found in results if found.policy == name]
    parts = [*_curves(drawn, _behind(results, metric), metric), *_grid(results, months, top)]
    box = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    page = f'<rect class="page" width="{width}" height="{height}"/>'
    body = "\n".join([f"<style>{_STYLE}</style>", page, *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">\n{body}\n</svg>\n'


def _behind(results: Sequence[Result], metric: Metric) -> dict[str, list[float]]:
    """Policy to how much better the oracle was, month by month."""
    (oracle,) = (found.months for found in results if found.policy == ORACLE)
    return {
        found.policy: [float(metric.improvement(value, oracle[month])) for month, value in found.months.items()]
        for found in results
    }


def _curves(results: Sequence[Result], behind: Mapping[str, Sequence[float]], metric: Metric) -> Iterator[str]:
    values = [0.0, *(value for found in results for value in behind[found.policy])]
    low, high = min(values), max(values)
    air = 0.05 * (high - low) or 1.0
    low, high = low - air, high + air

    def at(value: float) -> float:
        return 40 + _HEIGHT * (1 - (value - low) / (high - low))

    yield _text(_LEFT, 20, f"{metric.title}: how far behind the oracle, month by month", "", "start")
    right = _LEFT + _STEP * len(results[0].months)
    for tick in ticks(low, high):
        yield f'<line x1="{_LEFT}" x2="{right}" y1="{at(tick):.1f}" y2="{at(tick):.1f}"/>'
        yield _text(_LEFT - 8, at(tick) + 4, f"{tick:.4g}".replace("-", MINUS), "quiet", "end")
    for number, found in enumerate(results):
        path = " ".join(f"{_across(place):g},{at(value):.1f}" for place, value in enumerate(behind[found.policy]))
        yield f'<polyline class="c{number}" points="{path}"/>'
        y = 44 + 16 * number
        yield f'<line class="c{number}" x1="{right - 22}" x2="{right - 6}" y1="{y - 4}" y2="{y - 4}"/>'
        yield _text(right, y, found.policy, "", "start")


def _grid(results: Sequence[Result], months: Sequence[str], top: float) -> Iterator[str]:
    for place, month in enumerate(months):
        yield _text(_across(place), top - 26, month, "quiet", "middle")
    yield _text(_LEFT + _STEP * len(months), top - 26, "over all months", "quiet", "start")
    for row, found in enumerate(results):
        y = top + _ROW * row
        yield f'<line x1="{_LEFT}" x2="{_LEFT + _STEP * len(months)}" y1="{y}" y2="{y}"/>'
        yield _text(_LEFT - 8, y + 4, found.policy, "", "end")
        for opened in found.opened:
            x = _across(months.index(opened.serves))
            tip = f"{found.policy}, opened at the end of {opened.period}: {opened.effect}, {opened.gain.value:+.4f}"
            yield f'<circle class="{opened.effect}" cx="{x:g}" cy="{y}" r="7"><title>{escape(tip)}</title></circle>'
        figure = "" if found.policy == ORACLE else f"{found.regret.value:+.4f}".replace("-", MINUS)
        yield _text(_LEFT + _STEP * len(months), y + 4, figure, "quiet", "start")
    yield _text(
        _LEFT,
        top + _ROW * len(results) + 10,
        "A dot: a new model serves from this month on. Green helped, red harmed, grey: its interval tells neither.",
        "quiet",
        "start",
    )


def _across(place: int) -> float:
    return _LEFT + _STEP * (place + 0.5) - 12


def _text(x: float, y: float, words: str, kind: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'

"""Pictures as small SVG texts: no library, no fonts, no dates, so that the same figures give the same bytes.

Colours come from the page's style sheet (classes), so that one picture is legible in light and in dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from ratchet.report.document import MINUS, Curves, Forest, Interval, Mark, Reliability, Series, plain
from ratchet.report.scales import Scale, bounds, place, scales

_ROW, _LABEL, _PLOT, _FIGURES = 26, 190, 300, 76
_SIDE, _LEFT, _TOP, _BOTTOM = 300, 52, 14, 46


def forest(chart: Forest) -> str:
    """Intervals under each other: a line from low to high, a dot at the value, vertical lines at the marks.

    An end that lies outside the scale is an arrow.
    """
    head = 24 if chart.shared else 6
    figures = _FIGURES if any(row.figures for row in chart.rows) else 6
    width, height = _LABEL + _PLOT + figures, head + _ROW * len(chart.rows) + 6
    rows = list(zip(chart.rows, scales(chart), strict=True))
    parts = list(_labels(chart.marks, rows[0][1], head - 9)) if chart.shared else []
    for mark in chart.marks:
        x = _across(mark.value, rows[0][1])  # rows on scales of their own all have zero in the middle
        parts.append(_line(x, head - 4, x, height, "zero" if mark.value == 0 else "mark"))
    for number, (row, scale) in enumerate(rows):
        parts.append(_interval(row, scale, head + _ROW * (number + 0.5), width))
    return _svg(chart.title, width, height, parts, "wide")


def reliability(chart: Reliability) -> str:
    """Predicted against observed, bin by bin, with the diagonal of a perfect model."""
    low, high = bounds(chart)
    frame = _Frame((low, high), (low, high))
    diagonal = _line(*frame.at((low, low)), *frame.at((high, high)), "mark")
    return _panel(chart, frame, [diagonal], dots=True)


def curves(chart: Curves) -> str:
    """Lines over the unit square."""
    return _panel(chart, _Frame((0.0, 1.0), (0.0, 1.0)), [], dots=False)


def shades(series: Sequence[Series]) -> tuple[str, ...]:
    """Class of each series: the last one is what matters."""
    return ("other", "main")[2 - len(series) :]


class _Frame:
    """A square plot: data to picture coordinates, with axes."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = x, y

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where a point of the data lies in the picture."""
        return _LEFT + _SIDE * place(point[0], self.x), _TOP + _SIDE * (1 - place(point[1], self.y))

    def axes(self, x: str, y: str) -> Iterator[str]:
        """Grid, ticks and titles."""
        for tick in ticks(*self.y):
            _, height = self.at((self.x[0], tick))
            yield _line(_LEFT, height, _LEFT + _SIDE, height, "grid")
            yield _words(_LEFT - 7, height + 4, _tick(tick), "tick", "end")
        for tick in ticks(*self.x):
            across, _ = self.at((tick, self.y[0]))
            yield _words(across, _TOP + _SIDE + 17, _tick(tick), "tick", "middle")
        yield _words(_LEFT + _SIDE / 2, _TOP + _SIDE + 38, x, "axis", "middle")
        title = _words(0, 0, y, "axis", "middle")
        yield f'<g transform="translate(13 {_n(_TOP + _SIDE / 2)}) rotate(-90)">{title}</g>'


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two ends, about five of them."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(multiple * power for multiple in (1, 2, 5, 10) if multiple * power >= 0.999 * raw)
    return [index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _panel(chart: Reliability | Curves, frame: _Frame, parts: list[str], *, dots: bool) -> str:
    drawn = [*frame.axes(chart.x, chart.y), *parts]
    for shade, series in zip(shades(chart.series), chart.series, strict=True):
        points = [frame.at(point) for point in series.points]
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        drawn.append(f'<polyline class="curve {shade}" points="{path}"/>')
        if dots:
            drawn += [
                f'<circle class="dot {shade}" cx="{_n(x)}" cy="{_n(y)}" r="3.5">{_tip(chart, series, at)}</circle>'
                for (x, y), at in zip(points, series.points, strict=True)
            ]
    return _svg(chart.title, _LEFT + _SIDE + 14, _TOP + _SIDE + _BOTTOM, drawn, "panel")


def _tip(chart: Reliability | Curves, series: Series, at: tuple[float, float]) -> str:
    return f"<title>{escape(plain(f'{series.name}: {chart.x} {at[0]:.4g}, {chart.y} {at[1]:.4g}'))}</title>"


def _labels(marks: Sequence[Mark], scale: Scale, y: float) -> Iterator[str]:
    """Labels over their marks; those of marks that nearly coincide stand beside each other."""
    free = -math.inf
    for mark in sorted(marks, key=lambda mark: mark.value):
        half = 3.5 * len(mark.label)
        at = max(_across(mark.value, scale), free + half)
        free = at + half + 6
        yield _words(at, y, mark.label, "tick", "middle")


def _interval(row: Interval, scale: Scale, y: float, width: float) -> str:
    low, middle, high = (_across(value, scale) for value in (row.low, row.value, row.high))
    inward = (6 if row.low < scale[0] else 0, -6 if row.high > scale[1] else 0)
    ends = "".join(
        f'<polyline class="reach" points="{_n(x + by)},{_n(y - 4)} {_n(x)},{_n(y)} {_n(x + by)},{_n(y + 4)}"/>'
        for x, by in zip((low, high), inward, strict=True)
    )
    dot = f'<circle cx="{_n(middle)}" cy="{_n(y)}" r="4.5"/>' if scale[0] <= row.value <= scale[1] else ""
    return "".join(
        [
            _words(0, y + 4, plain(row.label, 30), "label", "start"),
            f'<g class="interval {row.tone}">{_line(low, y, high, y, "reach")}{ends}{dot}</g>',
            _words(width, y + 4, row.figures, "figures", "end") if row.figures else "",
        ]
    )


def _across(value: float, scale: Scale) -> float:
    return _LABEL + _PLOT * place(value, scale)


def _svg(title: str, width: float, height: float, parts: Sequence[str], kind: str) -> str:
    box = f'width="{_n(width)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    return f'<svg class="{kind}" {box} role="img" aria-label="{escape(plain(title))}">{"".join(parts)}</svg>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>'


def _words(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    words = escape(plain(text))
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{words}</text>'


def _tick(value: float) -> str:
    return f"{value:.6g}".replace("-", MINUS)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")

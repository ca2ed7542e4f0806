"""Where values lie in a picture; shared by both renderers."""

from __future__ import annotations

from ratchet.report.document import Forest, Interval, Reliability

Scale = tuple[float, float]

_REACH = 3.0
_AIR = 1.08


def scales(chart: Forest) -> list[Scale]:
    """The ends of each row's scale.

    A shared scale holds the first interval and the marks, and as much of the others as leaves these legible: a slice of
    thirty rows is many times as uncertain as the whole. Rows on scales of their own have zero in the middle.
    """
    if not chart.shared:
        return [(-reach, reach) for reach in map(_reach, chart.rows)]
    core = max(_reach(chart.rows[0]), *(abs(mark.value) * _AIR for mark in chart.marks))
    low, high = -_REACH * core, _REACH * core
    ends = [end for row in chart.rows for end in (row.low, row.high)] + [mark.value for mark in chart.marks]
    air = (_AIR - 1) * (max(ends) - min(ends)) or 1.0
    scale = max(low, min(ends) - air), min(high, max(ends) + air)
    return [scale for _ in chart.rows]


def bounds(chart: Reliability) -> Scale:
    """Ends of the scale that both axes of a reliability diagram share; zero is on it."""
    values = [value for series in chart.series for point in series.points for value in point]
    low, high = min(0.0, *values), max(0.0, *values)
    return low, high if high > low else low + 1.0


def place(value: float, scale: Scale) -> float:
    """0 at the lower end and below it, 1 at the upper end and above it."""
    low, high = scale
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _reach(row: Interval) -> float:
    return _AIR * max(abs(row.low), abs(row.high), abs(row.value)) or 1.0

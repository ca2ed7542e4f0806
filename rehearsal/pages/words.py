"""Times, durations and sizes in the words of the pages."""

from __future__ import annotations

import datetime

from rehearsal.pages.markup import Html, tag


def parsed(moment: str) -> datetime.datetime:
    """An ISO 8601 time; without a zone it is UTC."""
    time = datetime.datetime.fromisoformat(moment)
    return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)


def seconds_between(start: str | None, end: str | None) -> float | None:
    """How long something took; None while either is unknown."""
    return (parsed(end) - parsed(start)).total_seconds() if start and end else None


def duration(seconds: float | None) -> str:
    """A duration in its largest two units: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: int | None) -> str:
    """A number of bytes: `512 B`, `48 kB`, `1.2 MB`."""
    if count is None:
        return ""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"


def when(moment: str | None, form: str = "%-d %b %Y, %H:%M:%S") -> Html:
    """A time, as it was in UTC."""
    if not moment:
        return Html()
    time = parsed(moment).astimezone(datetime.UTC)
    return tag("time", time.strftime(form), datetime=moment, title=f"{time:%Y-%m-%d %H:%M:%S} UTC")


NOTHING = "\N{EN DASH}"
"""What stands where there is nothing to say."""


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 commit`, `2 commits`."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"


def short(sha: str | None) -> str:
    """The first characters of a SHA."""
    return (sha or "")[:7]

"""Periods in order of time: their names are those of pandas, `2013`, `2013Q2`, `2013-04`, `2013-04-30`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import takewhile
from typing import TYPE_CHECKING

from ratchet.errors import RatchetError

if TYPE_CHECKING:
    import pandas as pd


def following(period: str) -> str:
    """The period after one: "2014-01" after "2013-12".

    Raises:
        RatchetError: Its name does not say how long it is.
    """
    return str(named(period) + 1)


def named(period: str) -> pd.Period:
    """The period of that name, with its first and last moment.

    Raises:
        RatchetError: Its name does not say how long it is.
    """
    import pandas as pd

    try:
        found = pd.Period(period)
    except ValueError as error:
        raise RatchetError(_nameless(period)) from error
    if str(found) != period:
        raise RatchetError(_nameless(period))
    return found


def is_over(period: str, today: date) -> bool:
    """Whether its last day has passed."""
    return bool(named(period).end_time.date() < today)


def after(last: str) -> Iterator[str]:
    """The periods after one, without end."""
    period = last
    while True:
        period = following(period)
        yield period


def through(last: str, period: str) -> list[str]:
    """The periods after `last` up to and with `period`, in order of time.

    Raises:
        RatchetError: `period` does not come after `last`, or is named otherwise.
    """
    following(period)  # or says that its name makes no sense
    if period <= last:
        raise RatchetError(
            f"{period}: is not after {last}, the newest period of params.yaml\n"
            "the champion was trained or judged on it already: name a later one"
        )
    found = [*takewhile(lambda one: one <= period, after(last))]
    if not found or found[-1] != period:
        raise RatchetError(f"{period}: does not follow {last} as {following(last)} does\nname it in the same way")
    return found


def _nameless(period: str) -> str:
    return (
        f"{period[:50]}: does not say how long it is, so that none can follow it\n"
        "name periods as 2013, 2013Q2, 2013-04 or 2013-04-30"
    )

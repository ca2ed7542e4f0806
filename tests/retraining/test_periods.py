"""Which period follows which."""

from __future__ import annotations

from datetime import date
from itertools import islice

import pytest

from ratchet.errors import RatchetError
from ratchet.retraining.periods import after, following, is_over, through


@pytest.mark.parametrize(
    ("period", "then"),
    [
        ("2013-04", "2013-05"),
        ("2013-12", "2014-01"),
        ("2013-02-28", "2013-03-01"),
        ("2013Q4", "2014Q1"),
        ("2013", "2014"),
    ],
)
def test_periods_are_as_long_as_their_names_say(period: str, then: str) -> None:
    """Months, days, quarters, years."""
    assert following(period) == then


@pytest.mark.parametrize(
    ("period", "today", "over"),
    [
        ("2013-04", date(2013, 4, 30), False),
        ("2013-04", date(2013, 5, 1), True),
        ("2013-04-30", date(2013, 4, 30), False),
        ("2013Q2", date(2013, 7, 1), True),
    ],
)
def test_a_period_is_over_when_its_last_day_is(period: str, today: date, over: bool) -> None:
    """Rows of that day may still come while it lasts."""
    assert is_over(period, today) is over


@pytest.mark.parametrize("name", ["batch-7", "", "2013-13", "2013-4"])
def test_a_name_that_says_no_length_is_an_error(name: str) -> None:
    """Nothing can follow it; the message says how periods are named."""
    with pytest.raises(RatchetError, match="name periods as 2013, 2013Q2, 2013-04 or 2013-04-30"):
        following(name)


def test_all_that_have_come_since_belong_to_a_retraining() -> None:
    """Those in between, too; one that is known already, or is named in another way, does not."""
    assert list(islice(after("2013-11"), 3)) == ["2013-12", "2014-01", "2014-02"]
    assert through("2013-11", "2014-01") == ["2013-12", "2014-01"]
    with pytest.raises(RatchetError, match="2013-11: is not after 2013-11, the newest period of"):
        through("2013-11", "2013-11")
    with pytest.raises(RatchetError, match="soon: does not say how long it is"):
        through("2013-11", "soon")
    with pytest.raises(RatchetError, match="2013-12-05: does not follow 2013-11 as 2013-12 does"):
        through("2013-11", "2013-12-05")

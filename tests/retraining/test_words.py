"""What people are told: every text of the data is neutralised, and what is found again by its mark begins with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ratchet.retraining import words
from words_example import FOUND, PROOF, RUN, finding


def test_a_proposal_says_why_and_how_to_get_it_again() -> None:
    """The verdict first; what fired and what performance is, not what is as it was."""
    text = words.proposal(FOUND, RUN)

    assert words.title(FOUND) == "Retrain with 2013-05 and 2013-06"
    assert text.splitlines()[0] == "### ✅ Retraining helps. Promote: log loss falls by 0.05."
    assert "`input:dewp`" in text
    assert "`performance:log_loss`" in text
    assert "`input:temp`" not in text
    assert "1 of 3 checks fire: inputs moved, performance holds." in text
    assert "dvc exp run -S 'data.periods=[2013-01,2013-02,2013-05,2013-06]'" in text
    assert f"]({RUN})" in text


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["2013-12"], "2013-12"),
        (["2013-12", "2014-01"], "2013-12 and 2014-01"),
        (["2013-11", "2013-12", "2014-01"], "2013-11 to 2014-01"),
        (["2013-04", "2013-05", "2013-06", "2013-08"], "2013-04 to 2013-06 and 2013-08"),
        (["2013-04", "2013-06", "2013-08"], "2013-04, 2013-06 and 2013-08"),
        (["2012", "2013", "2014"], "2012 to 2014"),
        (["2013Q3", "2013Q4", "2014Q1"], "2013Q3 to 2014Q1"),
        (["2013-02-27", "2013-02-28", "2013-03-01"], "2013-02-27 to 2013-03-01"),
        (["2013-W01", "2013-W02", "2013-W03"], "2013-W01, 2013-W02 and 2013-W03"),
    ],
)
def test_periods_are_listed_as_they_follow_one_another(names: list[str], said: str) -> None:
    """What is left out is not said to be in."""
    assert words.listed(names) == said


def test_issues_begin_with_their_mark_and_say_what_to_do() -> None:
    """One kind blocks, the others do not."""
    broken = replace(FOUND, state="broken", action="issue", proof=None)
    failed = replace(FOUND, state="failed", action="issue", proof=None, sentence="The stage train fails: <x>")
    drifted = replace(FOUND, state="watch", action="issue", proof={**PROOF, "sentence": "Hold: cannot tell."})

    assert words.title(broken) == "The data of 2013-06 are broken"
    assert words.title(drifted) == "Drift in 2013-06: retraining is not proven to help"
    assert words.issue(broken, RUN).startswith("<!-- ratchet: broken data 2013-06 -->\n")
    assert words.period_of(words.issue(broken, RUN)) == "2013-06"
    assert "until this issue is closed" in words.issue(broken, RUN)
    assert words.title(failed) == "No challenger can be trained with 2013-06"
    assert words.issue(failed, RUN).startswith("<!-- ratchet: training failed 2013-06 -->\n")
    assert words.period_of(words.issue(failed, RUN)) == "2013-06"
    assert "<x>" not in words.issue(failed, RUN)
    assert words.issue(drifted, RUN).startswith("<!-- ratchet: drift 2013-06 -->\n")
    assert words.period_of(words.issue(drifted, RUN)) == "2013-06"
    assert "Hold: cannot tell." in words.issue(drifted, RUN)
    assert "That more of the same makes a better model is not proven" in words.issue(drifted, RUN)


def test_what_data_say_is_shown_as_it_is() -> None:
    """Neither a mention, nor a link, nor an end of the mark."""
    hostile = finding("input:x", "input", fires=True, sentence="@ada [win](https://evil.example) --> <img src=x>")
    text = words.issue(replace(FOUND, state="broken", action="issue", findings=[hostile]), RUN)

    assert "@ada" not in text
    assert "](https://evil" not in text
    assert "<img" not in text


def test_an_estimate_is_marked() -> None:
    """It is no measurement."""
    guessed = finding("performance:log_loss", "performance", fires=False, estimated=True)

    assert "(an estimate: labels have not come)" in words.proposal(replace(FOUND, findings=[guessed]), RUN)

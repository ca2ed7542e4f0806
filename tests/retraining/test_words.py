"""What people are told: every text of the data is neutralised, and what is found again by its mark begins with it."""

from __future__ import annotations

from dataclasses import replace

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


def test_issues_begin_with_their_mark_and_say_what_to_do() -> None:
    """One kind blocks, the other does not."""
    broken = replace(FOUND, state="broken", action="issue", proof=None)
    drifted = replace(FOUND, state="watch", action="issue", proof={**PROOF, "sentence": "Hold: cannot tell."})

    assert words.title(broken) == "The data of 2013-06 are broken"
    assert words.title(drifted) == "Drift in 2013-06: retraining is not proven to help"
    assert words.issue(broken, RUN).startswith("<!-- ratchet: broken data 2013-06 -->\n")
    assert words.period_of(words.issue(broken, RUN)) == "2013-06"
    assert "until this issue is closed" in words.issue(broken, RUN)
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

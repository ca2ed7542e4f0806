"""The report of a check: what is done, why, and Evidently's page beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drift_example import COINS, OPTIONS, examined, throws

from ratchet import policy
from ratchet.drift import Logged, Operations, report
from ratchet.errors import RatchetError
from ratchet.report import markdown, page

NOW = throws(28, seed=5)


def test_the_report_leads_with_the_decision_and_what_fired():
    found = examined(NOW.assign(metal="tin"))
    document = report.report("2021-03", found, policy.decide(found, proof=None), OPTIONS)
    text = markdown.render(document)

    assert document.title == "Drift check of 2021-03"
    assert text.index("train a challenger") < text.index("metal has moved by") < text.index("Evidently's default")
    assert "all but 5.0 % of 200 imagined periods" in text
    assert "<table" in page.render(document)


def test_a_quiet_report_has_no_section_of_what_fired():
    found = examined(NOW)
    document = report.report("2021-03", found, policy.decide(found, proof=None), OPTIONS)
    assert "What fired" not in [section.title for section in document.sections]


def test_a_report_on_a_sample_says_so():
    options = replace(OPTIONS, sample=1000)
    found = examined(NOW, options=options)
    text = markdown.render(report.report("2021-03", found, policy.decide(found, proof=None), options))
    assert "a seeded sample of 1,000 of 2,800 rows, 1,000 of them with a label" in text
    assert "Performance and its estimate" in text


def test_an_estimate_on_a_sample_says_so():
    """There is no label, and still not all rows were looked at for it."""
    options = replace(OPTIONS, sample=1000)
    found = examined(NOW.assign(head=float("nan")), options=options)
    text = markdown.render(report.report("2021-03", found, policy.decide(found, proof=None), options))
    assert "a seeded sample of 1,000 of 2,800 rows, 0 of them with a label" in text


def test_what_the_service_could_not_tell_is_said():
    """Although it fires nothing."""
    known = Operations(fault="prometheus: does not answer", log=Logged(rows=2800, answered=70, unreadable=3))
    found = examined(NOW, operations=known)
    text = markdown.render(report.report("2021-03", found, policy.decide(found, proof=None), OPTIONS))

    assert found.fired == ()
    assert "prometheus: does not answer" in text
    assert "answered 70 of 2,800 rows: too few, so the champion has scored the period anew." in text
    assert "3 lines of the log are no prediction" in text


def test_evidentlys_page_says_what_it_is_made_of(monkeypatch):
    """A bounded sample, and nothing of private columns."""
    monkeypatch.setitem(COINS.schema.columns["metal"].metadata, "private", True)
    html = report.evidently(COINS, [throws(28)], [NOW], replace(OPTIONS, sample=500))

    assert "A sample: 500 of 2,800 rows of the period, 500 of 2,800 rows of the reference" in html
    assert '"force"' in html
    assert '"metal"' not in html


def test_there_is_no_page_of_nothing():
    with pytest.raises(RatchetError, match="nothing to compare"):
        report.evidently(COINS, [throws(5)], [NOW.iloc[:0]], OPTIONS)

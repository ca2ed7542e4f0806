"""What a check looks at: which periods have come, which labels count, and what the service says of itself."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from scene_example import DIGEST, KNOWN, Coins, scene, scores, throws

from ratchet import policy
from ratchet.drift import Findings
from ratchet.errors import AbsentError, RatchetError
from ratchet.retraining import facts

APRIL = throws("2013-04")
UNKNOWN = APRIL.assign(head=np.nan)
HALF = APRIL.assign(head=APRIL["head"].where(APRIL["day"] <= "2013-04-15"))


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the check of a period finds, and the batch it has looked at."""

    def looked(april: pd.DataFrame, **changes: Any) -> tuple[Findings, facts.Batch]:
        made = scene(tmp_path, monkeypatch, Coins(m2013_04=april), **changes)
        (found,) = facts.arrived(made, None)
        return facts.findings(made, found), found

    return looked


def named(findings: Findings, name: str) -> Any:
    """The check of that name."""
    return next(check for check in findings.checks if check.name == name)


class TestArrived:
    """Which periods there are to look at."""

    def periods(self, place: Path, monkeypatch: pytest.MonkeyPatch, **months: pd.DataFrame) -> dict[str, str | None]:
        """Those that have come, with their faults."""
        made = scene(place, monkeypatch, Coins(**months))
        return {found.period: found.fault for found in facts.arrived(made, None)}

    @pytest.mark.parametrize("later", [APRIL.iloc[:0], pd.DataFrame(), APRIL[APRIL["day"] <= "2013-04-13"]])
    def test_what_is_empty_or_unfinished_has_not_come_yet(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: pd.DataFrame
    ) -> None:
        """No issue, no record: it is waited for. A source that gives nothing for every month ends, too."""
        nothing = {f"m{year}_{month:02}": APRIL.iloc[:0] for year in (2013, 2014) for month in range(1, 13)}

        assert self.periods(tmp_path, monkeypatch, **{**nothing, "m2013_04": later}) == {}

    @pytest.mark.parametrize("gap", [{}, {"m2013_04": APRIL.iloc[:0]}, {"m2013_04": APRIL.iloc[:200]}])
    def test_a_gap_before_a_period_that_has_come_is_broken_data(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: dict[str, pd.DataFrame]
    ) -> None:
        """Or nobody would ever hear of what stopped."""
        found = self.periods(tmp_path, monkeypatch, **gap, m2013_05=throws("2013-05"))

        assert list(found) == ["2013-04", "2013-05"]
        assert "2013-04" in str(found["2013-04"])
        assert found["2013-05"] is None

    def test_a_month_that_is_not_over_is_not_looked_at(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever the source gives for it; asked for by name it is refused."""
        monkeypatch.setattr(facts, "today", lambda: date(2013, 4, 30))
        made = scene(tmp_path, monkeypatch, Coins(m2013_04=APRIL))

        assert list(facts.arrived(made, None)) == []
        with pytest.raises(AbsentError, match="2013-04: is not over yet, today is 2013-04-30"):
            list(facts.arrived(made, "2013-04"))

    def test_one_that_is_asked_for_must_have_come_and_be_new(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It says what is missing."""
        made = scene(tmp_path, monkeypatch, Coins(m2013_04=APRIL.iloc[:260]))

        for wanted, words in (("2013-04", "17 are missing after"), ("2013-05", "no throws"), ("2013-03", "not after")):
            with pytest.raises(RatchetError, match=words):
                list(facts.arrived(made, wanted))


class TestBatch:
    """What is a fault of the data, and what only late."""

    def test_no_labels_half_of_them_and_all_are_told_apart(self, look: Any) -> None:
        """Only all of them let a retraining be tried; nothing about fewer is broken."""
        actions = {}
        for name, april in {"none": UNKNOWN, "half": HALF, "all": APRIL}.items():
            findings, found = look(april)
            assert found.fault is None
            actions[name] = (findings.diagnosis.name, policy.decide(findings, proof=None).action)

        assert actions["none"] == actions["half"] == ("too few labels", "none")
        assert actions["all"][1] == "prove"

    def test_labels_of_one_class_are_late_while_some_are_missing(self, look: Any) -> None:
        """Those of one class come first; when all are there and are still of one class, they are wrong."""
        ones = APRIL.assign(head=APRIL["head"].where(APRIL["head"] == 1))
        findings, found = look(ones)
        assert (found.fault, findings.diagnosis.name) == (None, "too few labels")

        findings, found = look(APRIL.assign(head=1.0))
        assert "a binary task needs both 0 and 1" in str(found.fault)
        assert findings.diagnosis.name == "broken upstream"

    def test_a_skewed_mean_is_late_while_labels_are_missing(self, look: Any) -> None:
        """Heads are told at once and tails later; of all rows such a mean is a fault."""
        skewed = APRIL["head"].where((APRIL["head"] == 1) | (APRIL["throw"] % 5 == 0))
        assert look(APRIL.assign(head=skewed))[1].fault is None
        assert "the mean label" in str(look(APRIL.assign(head=skewed.fillna(1.0)))[1].fault)

    def test_the_pipeline_takes_what_is_held_for_whole(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """However low the share in params.yaml: it refuses a column that is null much more often than before."""
        made = scene(tmp_path, monkeypatch, Coins(m2013_04=HALF), labelled=0.1)
        usual = max(batch["nulls"]["head"] for batch in made.known.values())

        assert made.labelled == made.options.labelled == pytest.approx(1 - usual - 0.15)
        assert next(facts.arrived(made, None)).fault is None
        assert scene(tmp_path, monkeypatch, Coins(), labelled=0.97).labelled == 0.97

    @pytest.mark.parametrize(
        ("april", "said"),
        [
            (APRIL.drop(columns="metal"), "metal: the column is missing"),
            (APRIL.assign(side="edge"), "side: isin"),
            (APRIL.iloc[::3], "rows are 0.3"),
            (APRIL.assign(metal=None), "metal: is null in 600 of 600 rows"),
        ],
    )
    def test_what_is_wrong_with_the_rows_is_a_finding(self, look: Any, april: pd.DataFrame, said: str) -> None:
        """Broken upstream, with the words of ingestion."""
        findings, found = look(april)

        assert said in str(found.fault)
        assert (findings.broken, findings.diagnosis.name) == (True, "broken upstream")

    def test_what_is_mended_to_what_it_was_is_looked_at_again(self, tmp_path: Path, monkeypatch: Any) -> None:
        """While its issue is open, for only a check of whole data closes it; what is still broken is nothing new."""

        def inputs(place: str, april: pd.DataFrame, blocked: dict[int, str]) -> str:
            made = scene(tmp_path / place, monkeypatch, Coins(m2013_04=april), blocked)
            return next(iter(facts.arrived(made, None))).inputs

        before, broken = inputs("a", APRIL, {}), inputs("b", APRIL.drop(columns="metal"), {})

        assert inputs("c", APRIL.drop(columns="metal"), {7: "2013-04"}) == broken
        assert inputs("d", APRIL, {7: "2013-04"}) != before
        assert inputs("e", APRIL, {}) == before

    def test_a_category_that_was_never_seen_is_no_fault(self, look: Any) -> None:
        """It moves the input, and is named."""
        findings, _ = look(APRIL.assign(metal=APRIL["metal"].where(APRIL["throw"] % 3 != 0, "lead")))

        assert named(findings, "input:metal").fires
        assert "never seen, such as lead" in named(findings, "input:metal").sentence
        assert not findings.broken

    def test_few_rows_a_day_are_held_against_the_same_bound(self, tmp_path: Path, monkeypatch: Any) -> None:
        """The one in params.yaml, which the advice names."""
        assert scene(tmp_path, monkeypatch, Coins()).options.rows == (0.7, 1.4)

    def test_scores_are_held_against_the_holdout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those of the rows that it was trained on are too sure of themselves."""

        def scored(_: facts.Scene, frame: pd.DataFrame) -> np.ndarray:
            return scores(frame) if frame["day"].min() >= "2013-03" else scores(frame).round()

        made = scene(tmp_path, monkeypatch, Coins(m2013_04=APRIL))
        monkeypatch.setattr(facts, "scored", scored)

        check = named(facts.findings(made, next(facts.arrived(made, None))), "prediction:score")

        assert check.value < 0.15
        assert not check.fires


class TestAnswered:
    """The prediction log: what was answered rather than what would be, where there is enough of it."""

    def entries(self, rows: pd.DataFrame, score: Any, **others: Any) -> list[str]:
        """Lines of the log, one a row."""
        entry = {"at": "2013-04-30T06:00:00Z", "model": DIGEST, "decision": True, **others}
        return [
            json.dumps({**entry, "id": f"{number}", "inputs": {"throw": int(key)}, "score": value})
            for number, (key, value) in enumerate(zip(rows["throw"], np.broadcast_to(score, len(rows)), strict=True))
        ]

    def log(self, place: Path, lines: list[str]) -> str:
        """A log of these lines."""
        place.mkdir(exist_ok=True)
        (place / "web-1-0.jsonl").write_text("\n".join(lines) + "\n")
        return str(place)

    def test_answers_count_where_there_are_enough(self, look: Any, tmp_path: Path) -> None:
        """The service has answered all else than the champion would: that is what is judged, on all rows."""
        asked = APRIL[APRIL["throw"] % 3 != 0]
        url = self.log(tmp_path / "log", self.entries(asked, 1 - scores(asked)))
        findings, found = look(APRIL, log=url)

        assert "has answered 400 of 600 rows: what it answered is checked" in named(findings, "operations:log").sentence
        assert (findings.rows, findings.broken) == (600, False)
        assert findings.performance == "fell"
        assert look(APRIL)[0].performance == "holds"
        assert found.inputs != look(APRIL)[1].inputs

    @pytest.mark.parametrize("others", [{}, {"model": "c" * 64}], ids=["part of the traffic", "not promoted yet"])
    def test_few_answers_are_no_picture_of_the_period(self, look: Any, tmp_path: Path, others: dict[str, str]) -> None:
        """Rows that nobody asked for are no missing data; the champion is asked anew, and the report says so."""
        url = self.log(tmp_path / "log", self.entries(APRIL.iloc[:200], 0.9, **others))
        findings, found = look(APRIL, log=url)
        answered = 0 if others else 200

        assert f"has answered {answered} of 600 rows: too few" in named(findings, "operations:log").sentence
        assert not named(findings, "quality:rows").fires
        assert findings.performance == "holds"
        # The same rows, labels and scores are the same check, but for the parameter that names the log.
        again = self.log(tmp_path / "log", self.entries(APRIL.iloc[:210], 0.9, **others))
        assert found.inputs == look(APRIL, log=again)[1].inputs

    def test_corrupt_and_repeated_lines_cost_nothing(self, look: Any, tmp_path: Path) -> None:
        """The newest answer to a row counts; what is no prediction is counted."""
        old = self.entries(APRIL, 0.9, at="2013-04-29T06:00:00Z")
        bad = [*self.entries(APRIL.iloc[:1], "nan"), '{"id": 1, "at"', '{"inputs": {"throw": "x"}}', old[0][:40]]
        url = self.log(tmp_path / "log", [*old, *self.entries(APRIL, scores(APRIL)), *bad, old[5]])
        findings, _ = look(APRIL, log=url)
        check = named(findings, "operations:log")

        assert check.value == 1.0
        assert "4 lines of the log are no prediction" in check.sentence
        assert findings.metrics == look(APRIL)[0].metrics

    @pytest.mark.parametrize("url", ["nowhere", "nowhere://bucket"])
    def test_a_log_that_cannot_be_read_is_said(self, look: Any, url: str) -> None:
        """And the check goes on without it."""
        findings, _ = look(APRIL, log=url)

        assert "The prediction log tells nothing" in named(findings, "operations:log").sentence
        assert url in named(findings, "operations:log").sentence
        assert findings.performance == "holds"


class TestOperations:
    """Latency and errors, where there is a Prometheus."""

    def answer(self, monkeypatch: pytest.MonkeyPatch, *values: float | None) -> list[dict[str, str]]:
        """Prometheus answers these one after the other; what it was asked."""
        asked: list[dict[str, str]] = []

        def get(url: str, *, params: dict[str, str], timeout: float) -> httpx.Response:
            value = values[len(asked)]
            asked.append(params)
            found = [] if value is None else [{"value": [0, str(value)]}]
            return httpx.Response(200, json={"data": {"result": found}}, request=httpx.Request("GET", url))

        monkeypatch.setattr(httpx, "get", get)
        return asked

    def test_it_is_asked_for_the_period_and_not_for_today(self, look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """At its end, over as many days as it has."""
        asked = self.answer(monkeypatch, 1000.0, 20.0, 0.4)
        findings, _ = look(APRIL, prometheus="http://prometheus:9090/")

        assert {one["time"] for one in asked} == {"2013-05-01T00:00:00Z"}
        assert all("[30d]" in one["query"] for one in asked)
        fired = {check.name: check.value for check in findings.fired if check.kind == "operations"}
        assert fired == {"operations:p99": 400.0, "operations:errors": 0.02}

    def test_that_nobody_asked_is_said(self, look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Or that Prometheus no longer knows."""
        self.answer(monkeypatch, None, None, None)
        findings, _ = look(APRIL, prometheus="http://prometheus:9090")

        assert named(findings, "operations:prometheus").sentence == "Prometheus knows of no requests in the period."
        assert [check.name for check in findings.fired if check.kind == "operations"] == []

    def test_one_that_is_down_does_not_end_the_check(self, look: Any) -> None:
        """What it would have said is missing, and that is said."""
        findings, _ = look(APRIL, prometheus="http://127.0.0.1:1")

        assert "does not answer as Prometheus does" in named(findings, "operations:prometheus").sentence
        assert findings.performance == "holds"


def test_the_champion_knows_its_months_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies here is read, what does not is fetched."""
    made = scene(tmp_path, monkeypatch, Coins())
    (tmp_path / "data/periods/2013-01/rows.parquet").unlink()

    found = facts.known(made)

    assert [part for part, _ in found] == ["train", "train", "test"]
    assert [rows["day"].min()[:7] for _, rows in found] == KNOWN

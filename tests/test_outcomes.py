"""Outcomes: each prediction finds the label of its own key, and whatever does not is counted."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from outputs_example import pinned
from problem_example import written
from ratchet import bundle, export, files, outcomes, params
from ratchet.cli import main
from ratchet.errors import RatchetError
from ratchet.problem import Problem
from ratchet.serving.log import Counters, PredictionLog
from ratchet.serving.targets import LogSettings
from rehearsal.project import PARAMS

DELAYS, COINS = Problem("toy_delays"), Problem("toy_coins")
OLD, NEW = "a" * 64, "b" * 64
AT = "2021-03-01T06:00:00Z"


def line(day: str = "2021-03-01", train: Any = 1, score: float = 5.0, **others: Any) -> str:
    """A line of the log of the delays problem."""
    entry = {"id": "x", "at": AT, "model": NEW, "inputs": {"day": day, "train": train}, "score": score}
    return json.dumps(entry | {"decision": None, "seconds": 0.001} | others) + "\n"


def log(folder: Path, *lines: str, name: str = "bbbb/2021-03-01/web-1-0.jsonl") -> str:
    """Add lines to a log."""
    path = folder / "log" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(lines))
    return str(folder / "log")


def labels(folder: Path, *rows: tuple[Any, Any, Any]) -> str:
    """A file of labels of the delays problem."""
    files.write_parquet(folder / "labels.parquet", pd.DataFrame(rows, columns=["day", "train", "delay"]))
    return str(folder / "labels.parquet")


def joined(logs: str, *sources: str, problem: Problem = DELAYS) -> outcomes.Outcomes:
    return outcomes.join(outcomes.read(logs, problem), outcomes.known(sources, problem), problem)


class TestJoin:
    """Which prediction gets which label."""

    def test_a_label_is_found_by_the_whole_key(self, tmp_path: Path) -> None:
        """The same train of another day is another row."""
        logs = log(tmp_path, line("2021-03-01", 1, 5.0), line("2021-03-02", 1, 6.0), line("2021-03-01", 2, 7.0))
        known = labels(tmp_path, ("2021-03-01", 1, 4.5), ("2021-03-02", 1, 8.5))

        found = joined(logs, known)

        rows = found.joined[["day", "train", "score", "label"]].to_dict("split")["data"]
        assert rows == [["2021-03-01", 1, 5.0, 4.5], ["2021-03-02", 1, 6.0, 8.5]]
        assert len(found.predictions) == 3

    def test_a_label_that_is_null_is_not_known_yet(self, tmp_path: Path) -> None:
        """The prediction waits."""
        found = joined(log(tmp_path, line()), labels(tmp_path, ("2021-03-01", 1, None)))

        assert (len(found.joined), len(found.predictions)) == (0, 1)

    def test_the_newest_prediction_of_a_key_wins(self, tmp_path: Path) -> None:
        """By when it was asked, wherever it stands; at the same instant by its id."""
        logs = log(
            tmp_path,
            line(score=1.0, at="2021-03-01T08:00:00.5Z", id="b"),
            line(score=2.0, at="2021-03-01T08:00:00.5Z", id="a"),
            line(score=3.0, at="2021-03-01T09:30:00+02:00", id="c"),
        )

        found = joined(logs, labels(tmp_path, ("2021-03-01", 1, 4.5)))

        assert found.joined["score"].tolist() == [1.0]
        assert found.repeated == 2

    def test_models_are_kept_apart(self, tmp_path: Path) -> None:
        """In shadow both have answered: each is held against the label."""
        logs = log(tmp_path, line(score=1.0, model=NEW), line(score=2.0, model=OLD, at="2021-03-01T09:00:00Z"))

        found = joined(logs, labels(tmp_path, ("2021-03-01", 1, 4.5)))

        assert found.joined[["model", "score", "label"]].to_dict("split")["data"] == [[OLD, 2.0, 4.5], [NEW, 1.0, 4.5]]
        assert found.repeated == 0

    def test_the_first_known_label_of_a_key_counts(self, tmp_path: Path) -> None:
        """One that is null says only that it was not known then."""
        known = labels(
            tmp_path, ("2021-03-01", 1, 4.5), ("2021-03-01", 1, 9.0), ("2021-03-01", 2, None), ("2021-03-01", 2, 7.0)
        )

        found = joined(log(tmp_path, line(train=1), line(train=2)), known)

        assert found.joined["label"].tolist() == [4.5, 7.0]

    def test_large_whole_numbers_are_not_confused(self, tmp_path: Path) -> None:
        """Two that a float could not tell apart."""
        logs = log(tmp_path, line(train=2**60), line(train=2**60 + 1))

        found = joined(logs, labels(tmp_path, ("2021-03-01", 2**60 + 1, 4.5)))

        assert found.joined["train"].tolist() == [2**60 + 1]

    @pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
    def test_labels_come_in_files_of_any_kind(self, tmp_path: Path, suffix: str) -> None:
        """Digits of a CSV file are text where the key is text, and columns that nobody asked for do no harm."""
        frame = pd.DataFrame({"other": ["x"], "train": [7], "day": ["0301"], "delay": [4.5]})
        path = tmp_path / f"labels{suffix}"
        if suffix == ".csv":
            frame.to_csv(path, index=False)
        elif suffix == ".jsonl":
            frame.to_json(path, orient="records", lines=True)
        else:
            files.write_parquet(path, frame)

        found = joined(log(tmp_path, line("0301", 7)), str(path))

        assert found.joined["label"].tolist() == [4.5]

    def test_periods_and_files_can_be_given_together(self, tmp_path: Path) -> None:
        """A period is what the problem fetches."""
        march = DELAYS.fetch("2021-03").dropna(subset=["delay"]).iloc[0]
        logs = log(tmp_path, line("2021-03-01", int(march["train"])), line("2022-01-01", 1))

        found = joined(logs, "2021-03", labels(tmp_path, ("2022-01-01", 1, 4.5)))

        assert found.joined["label"].tolist() == [march["delay"], 4.5]


class TestLog:
    """What is read of a log."""

    def test_a_torn_line_is_counted(self, tmp_path: Path) -> None:
        """Of a crash; so is what never was a prediction, and every file is read to its end."""
        logs = log(tmp_path, line(train=1), line(train=2)[:-30])
        log(tmp_path, "[]\n", "{}\n", "\n", line(train=3), line(train=4, at="yesterday"), name="cccc/web-1-1.jsonl")

        found = outcomes.read(logs, DELAYS)

        assert found.frame["train"].tolist() == [1, 3]
        assert found.unreadable == 5

    @pytest.mark.parametrize(
        "bad",
        [
            {"train": "seven"},
            {"train": True},
            {"train": 1.5},
            {"train": 2**63},
            {"day": 20210301},
            {"score": "nan"},
            {"score": None},
            {"score": True},
        ],
    )
    def test_a_value_of_another_type_is_no_prediction(self, tmp_path: Path, bad: dict[str, Any]) -> None:
        """One such line does not cost the others."""
        found = outcomes.read(log(tmp_path, line(train=1), line(**bad), line(train=3.0)), DELAYS)

        assert (found.frame["train"].tolist(), found.unreadable) == ([1, 3], 1)

    def test_a_prediction_without_its_key_is_counted(self, tmp_path: Path) -> None:
        """Another problem's, perhaps."""
        found = outcomes.read(log(tmp_path, line(train=None), line(inputs={"day": "2021-03-01"}), line()), DELAYS)

        assert (len(found.frame), found.keyless) == (1, 2)

    def test_many_lines_are_read_in_pieces(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """None is lost between two."""
        monkeypatch.setattr(outcomes, "CHUNK", 3)

        found = outcomes.read(log(tmp_path, *(line(train=number) for number in range(8))), DELAYS)

        assert found.frame["train"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]

    def test_a_log_is_read_from_wherever_it_is(self) -> None:
        """In object storage by its URL."""
        fsspec.filesystem("memory").pipe_file("/outcomes/bbbb/2021-03-01/web-1-0.jsonl", line().encode())

        assert len(outcomes.read("memory://outcomes", DELAYS).frame) == 1

    def test_times_keep_their_microseconds(self, tmp_path: Path) -> None:
        """In UTC, whatever the zone they were written in."""
        (at,) = outcomes.read(log(tmp_path, line(at="2021-03-01T06:00:00.123457+01:00")), DELAYS).frame["at"]

        assert at == pd.Timestamp("2021-03-01T05:00:00.123457", tz="UTC")


class TestTold:
    """What people read."""

    def test_every_model_has_a_line(self, tmp_path: Path) -> None:
        """With its error on the rows whose label is known."""
        logs = log(
            tmp_path,
            *(line(train=number, score=2.0, model=OLD) for number in range(1200)),
            line(train=1, score=3.0, model=NEW),
            line(train=2, score=6.0, model=NEW),
            "torn",
        )
        known = labels(tmp_path, ("2021-03-01", 1, 4.0), ("2021-03-01", 2, 8.0))

        assert outcomes.told(joined(logs, known), DELAYS).splitlines() == [
            "4 of 1,202 predictions have a label, 1,198 wait for one.",
            "  lines that are no prediction, such as the last one before a crash: 1",
            "model         predictions  joined  mean score  mean label  Mean absolute error  Root mean squared error",
            "aaaaaaaaaaaa        1,200       2           2           6                    4                    4.472",
            "bbbbbbbbbbbb            2       2         4.5           6                  1.5                    1.581",
        ]

    def test_a_model_without_labels_has_no_figures(self, tmp_path: Path) -> None:
        """Nothing is known of it yet."""
        told = outcomes.told(joined(log(tmp_path, line()), labels(tmp_path, ("2021-03-09", 1, 4.0))), DELAYS)

        assert told.splitlines()[-1].split() == ["b" * 12, "1", "0", "5", "-", "-", "-"]

    def test_repeated_and_keyless_predictions_are_said(self, tmp_path: Path) -> None:
        """Nothing is left out in silence."""
        logs = log(tmp_path, line(), line(), line(), line(train=None))

        told = outcomes.told(joined(logs, labels(tmp_path, ("2021-03-01", 1, 4.0))), DELAYS)

        assert told.splitlines()[:3] == [
            "1 of 1 predictions have a label, 0 wait for one.",
            "  replaced by a newer prediction of the same key and model: 2",
            "  left out, for a column of the key is missing (day, train): 1",
        ]

    @pytest.mark.parametrize("heads", [0.0, 1.0])
    def test_labels_of_one_class_have_no_ranking(self, tmp_path: Path, heads: float) -> None:
        """The other figures stand."""
        files.write_parquet(tmp_path / "heads.parquet", pd.DataFrame({"throw": [1, 2], "head": [heads, heads]}))
        logs = log(tmp_path, *(line(inputs={"throw": n}, score=0.5, decision=True) for n in (1, 2)))

        told = outcomes.told(joined(logs, str(tmp_path / "heads.parquet"), problem=COINS), COINS)

        assert told.splitlines()[-1].split()[3:] == ["0.5", f"{heads:g}", "0.6931", "-"]


class TestErrors:
    """What cannot be joined is said, with what to do."""

    @pytest.mark.parametrize(
        ("metadata", "message"),
        [
            ({"private": True}, "KEY: name is private, so no log holds it\n"),
            ({"input": False}, "KEY: name is no input, so no prediction has it\n"),
        ],
    )
    def test_a_key_that_no_log_holds_cannot_be_joined(
        self, tmp_path: Path, metadata: dict[str, bool], message: str
    ) -> None:
        """Neither a private column nor one that is no input."""
        schema = (
            "import pandera.pandas as pa\n"
            f"SCHEMA = pa.DataFrameSchema({{'name': pa.Column(str, metadata={metadata})}})\nKEY = ('name',)\n"
        )
        guests = written(tmp_path, f"guests_{abs(hash(tmp_path))}", data__schema=schema)

        with pytest.raises(RatchetError) as told:
            outcomes.read(log(tmp_path, line()), guests)

        assert str(told.value).startswith(f"src/{guests.name}/data/schema.py: {message}")

    @pytest.mark.parametrize("place", ["nowhere", "empty", "nowhere://bucket"])
    def test_a_place_without_predictions_is_told(self, tmp_path: Path, place: str) -> None:
        """By the name it was given."""
        (tmp_path / "empty").mkdir()
        url = place if "://" in place else str(tmp_path / place)

        with pytest.raises(RatchetError, match=f"^{url}: "):
            outcomes.read(url, DELAYS)

    def test_labels_without_a_column_are_told(self, tmp_path: Path) -> None:
        """With all that are needed."""
        path = tmp_path / "labels.csv"
        path.write_text("day,delay\n2021-03-01,4.5\n")

        with pytest.raises(
            RatchetError, match=r"labels\.csv: has no column train\nlabels are rows .* day, train, delay"
        ):
            outcomes.known([str(path)], DELAYS)

    @pytest.mark.parametrize("label", ["2", "0.5", "-1", "inf", "late"])
    def test_a_label_that_cannot_be_is_told(self, tmp_path: Path, label: str) -> None:
        """A binary one is 0 or 1."""
        path = tmp_path / "labels.csv"
        path.write_text(f"throw,head\n1,{label}\n")

        with pytest.raises(RatchetError, match=r"labels\.csv: head: "):
            outcomes.known([str(path)], COINS)

    def test_a_period_that_is_none_is_told_by_the_problem(self) -> None:
        """It knows which there are."""
        with pytest.raises(RatchetError, match="there are no trains of '2031-01'"):
            outcomes.known(["2031-01"], DELAYS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    """A bundle of the flights' own model, fitted on some of January."""
    flights, given = Problem("toy_departures"), params.load(PARAMS)
    rows = flights.fetch("2013-01").dropna(subset=["late"]).head(6000)
    fitted = flights.estimator({**given.model, "max_iter": 20}, 0).fit(rows.drop(columns="late"), rows["late"])
    folder = tmp_path_factory.mktemp("flights")
    files.write_text(folder / "pinned.txt", pinned("scoring"))
    origin = export.Origin({"2013-01": "0" * 64}, {"model": {}}, 0.3)
    with files.directory(folder / "bundle") as new:
        export.build(flights, fitted, origin, {"treelite": folder / "pinned.txt"}, new)
    return bundle.load(folder / "bundle")


@pytest.mark.xdist_group("outcomes")
class TestFlights:
    """From a real model's answers to what became of the flights."""

    def test_logged_flights_find_their_arrivals(
        self, model: bundle.Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Real rows, real answers, the real log, the labels of May: the figures are those of the rows themselves."""
        may = Problem("toy_departures").fetch("2013-05").sample(500, random_state=0, ignore_index=True)
        scores = self._serve(model, may, tmp_path / "log")
        files.write_text(tmp_path / "params.yaml", PARAMS.read_text().replace("flights", "toy_departures"))
        monkeypatch.chdir(tmp_path)

        arguments = ["outcomes", str(tmp_path / "log"), "2013-05", "--out", str(tmp_path / "joined.parquet")]
        monkeypatch.setattr(sys, "argv", ["ratchet", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()

        assert not ended.value.code
        arrived = may["late"].notna().to_numpy()
        late, given = may["late"].to_numpy()[arrived], scores[arrived]
        said = capsys.readouterr().out.splitlines()
        assert said[0] == f"{arrived.sum()} of 500 predictions have a label, {(~arrived).sum()} wait for one."
        assert said[1].split("  ")[-2:] == ["Log loss", "ROC AUC"]
        assert said[2].split() == [
            *(model.digest[:12], "500", str(arrived.sum()), f"{scores.mean():.4g}", f"{late.mean():.4g}"),
            *(f"{log_loss(late, given):.4g}", f"{roc_auc_score(late, given):.4g}"),
        ]
        written = pd.read_parquet(tmp_path / "joined.parquet")
        key = ["year", "month", "day", "carrier", "flight", "origin"]
        assert list(written) == [*key, "model", "at", "score", "decision", "label"]
        expected = may.assign(score=scores, label=may["late"]).dropna(subset=["late"]).sort_values(key)
        for name in (*key, "score", "label"):
            assert written[name].tolist() == expected[name].tolist()
        assert written["decision"].tolist() == [score >= 0.3 for score in expected["score"]]

    def test_no_private_value_is_in_a_log(self, model: bundle.Bundle, tmp_path: Path) -> None:
        """The registration of an aircraft is private in the flights' schema."""
        may = Problem("toy_departures").fetch("2013-05").head(50)

        self._serve(model, may, tmp_path / "log")

        content = b"".join(path.read_bytes() for path in (tmp_path / "log").rglob("*.jsonl")).decode()
        assert content.count("\n") == 50
        assert not [number for number in may["tailnum"].dropna() if number in content]

    @staticmethod
    def _serve(model: bundle.Bundle, flights: pd.DataFrame, folder: Path) -> np.ndarray[Any, Any]:
        """Answer as the service does; the scores, shape (n,)."""
        counters = Counters(*(_Count() for _ in range(3)))
        settings = LogSettings(str(folder), model.digest, rotate_rows=200)
        predictions = PredictionLog(settings, model.schema, counters)
        scores = []
        for number, row in enumerate(bundle.plain_rows(flights[list(model.schema["properties"])])):
            score = model.score_row(row)
            answer = {"id": f"request-{number}", "score": score, "decision": score >= 0.3, "model": model.digest}
            predictions.put(json.dumps(answer).encode(), time.time(), row, 0.0002)
            scores.append(score)
        predictions.close()
        return np.array(scores)


class _Count:
    def inc(self, amount: float = 1) -> None:
        """Nobody asks."""


def test_a_problem_can_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away from a repository, too; nothing is written when no file is named."""
    logs, known = log(tmp_path, line()), labels(tmp_path, ("2021-03-01", 1, 4.0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ratchet", "outcomes", logs, known, "--problem", "toy_delays"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert not ended.value.code
    assert capsys.readouterr().out.startswith("1 of 1 predictions have a label, 0 wait for one.\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.parquet", "log"]

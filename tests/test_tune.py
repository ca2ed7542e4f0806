"""The search goes on where it was killed, and changes nothing in params.yaml but the values that won."""

from __future__ import annotations

import difflib
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from problem_example import written
from ratchet import params, tune
from ratchet.errors import RatchetError
from ratchet.problem import Problem

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "tests" / "problems" / "params.yaml"
SCHEMA = 'KEY, CLUSTER, TARGET, TASK = ("id",), ("day",), "y", "regression"\n'
MODEL = """
from scipy.stats import loguniform
from sklearn.linear_model import Ridge

from ratchet.errors import RatchetError


def estimator(params, seed):
    if params["alpha"] < 0:
        raise RatchetError("model.alpha: must not be negative")
    return Ridge(alpha=params["alpha"], fit_intercept=params["intercept"])


def search_space():
    return {"alpha": loguniform(1e-3, 1e3)}
"""
KILLED = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[2])
import test_tune as here
from ratchet import tune
from ratchet.problem import Problem


def kill(line):
    if line.startswith("candidate 3"):
        os.kill(os.getpid(), signal.SIGKILL)


tune.run(Problem("toy_ridges", Path(sys.argv[1])), here.parameters(), here.rows(), 5, 1, Path(sys.argv[3]), kill)
"""


def rows() -> pd.DataFrame:
    random = np.random.default_rng(2)
    a = random.normal(size=240)
    noise = random.normal(size=240)
    return pd.DataFrame({"id": range(240), "day": 1 + np.arange(240) // 20, "a": a, "y": 5 + 2 * a + noise})


def parameters(**model: object) -> params.Params:
    found = params.load(PARAMS)
    gate = found.gate.model_copy(update={"metric": "mae"})
    return found.model_copy(update={"gate": gate, "model": {"alpha": 500.0, "intercept": True, **model}})


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny regression problem named `toy_ridges`."""
    folder = tmp_path_factory.mktemp("packages")
    written(folder, "toy_ridges", data__schema=SCHEMA, model__estimator=MODEL)
    return folder


@pytest.fixture
def problem(packages: Path) -> Problem:
    """That problem."""
    return Problem("toy_ridges", packages)


def search(
    problem: Problem, journal: Path, found: params.Params | None = None, **options: Any
) -> tuple[Any, list[str]]:
    said: list[str] = []
    arguments = {"candidates": 5, "jobs": 1, "journal": journal, "echo": said.append, **options}
    return tune.run(problem, found or parameters(), rows(), **arguments), said


def test_the_winner_beats_the_parameters_as_they_are(problem: Problem, tmp_path: Path) -> None:
    """An alpha of 500 shrinks a true slope of 2 away: a smaller one wins, and only that parameter changes."""
    result, _ = search(problem, tmp_path)

    present = next(found for found in result.candidates if found.number == 0)
    best = result.candidates[0]
    assert len(result.candidates) == 6
    assert best.value < present.value
    assert result.changes == {"model.alpha": best.model["alpha"]}
    assert [found.value for found in result.candidates] == sorted(found.value for found in result.candidates)


def test_a_figure_is_the_metric_on_all_rows_that_folds_tested(problem: Problem, tmp_path: Path) -> None:
    """The present parameters' mean absolute error, made again by hand: three folds of three days."""
    frame = rows()
    errors = []
    for last in (3, 6, 9):
        before, after = frame["day"] <= last, frame["day"].between(last + 1, last + 3)
        x = frame.drop(columns="y")
        model = Ridge(alpha=500.0).fit(x[before], frame["y"][before])
        errors.append((model.predict(x[after]) - frame["y"][after]).abs())

    result, _ = search(problem, tmp_path)

    present = next(found for found in result.candidates if found.number == 0)
    assert present.value == pytest.approx(pd.concat(errors).mean(), rel=1e-12)


def test_parameters_that_cannot_be_beaten_stay(problem: Problem, tmp_path: Path) -> None:
    """The best of one search is the present of the next: the same candidates do not beat it, and nothing is written."""
    first, _ = search(problem, tmp_path)
    best = first.candidates[0].model["alpha"]
    said: list[str] = []
    path = tmp_path / "params.yaml"
    path.write_text("model:\n  alpha: 1\n", encoding="utf-8")

    second, _ = search(problem, tmp_path, parameters(alpha=best))
    tune.propose(second, path, said.append)

    assert second.changes == {}
    assert said == [f"nothing beats the parameters as they are; {path} stays untouched"]
    assert path.read_text(encoding="utf-8") == "model:\n  alpha: 1\n"


def test_candidates_are_the_same_every_time_and_readable(problem: Problem) -> None:
    """The seed decides; floats have three digits; the first are those of a shorter search."""
    drawn = tune.draw(problem, parameters(), 5)

    assert drawn == tune.draw(problem, parameters(), 5)
    assert drawn[:4] == tune.draw(problem, parameters(), 3)
    assert drawn[0] == {"alpha": 500.0, "intercept": True}
    assert [model["alpha"] for model in drawn[1:]] == [1.96, 19.5, 4.14, 1.86, 0.348]


def test_jobs_do_not_change_the_result(problem: Problem, tmp_path: Path) -> None:
    """Two processes find what one finds."""
    one, _ = search(problem, tmp_path / "one")
    two, _ = search(problem, tmp_path / "two", jobs=2)

    assert two == one


def test_without_a_terminal_progress_is_plain_lines(problem: Problem, tmp_path: Path) -> None:
    """One line for each candidate, no carriage returns."""
    _, said = search(problem, tmp_path, candidates=2)

    assert [line.partition(":")[0] for line in said] == ["candidate 1 of 3", "candidate 2 of 3", "candidate 3 of 3"]
    assert said[0].startswith("candidate 1 of 3: mean absolute error 1.")


def test_on_a_terminal_there_is_a_progress_bar(packages: Path, tmp_path: Path) -> None:
    """With a real terminal as standard error, a bar runs to its end and no plain lines are written."""
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    code = KILLED.replace('line.startswith("candidate 3")', 'print("plain", line)')
    command = [sys.executable, "-c", code, str(packages), str(ROOT / "tests"), str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=follower, text=True, check=True)
    os.close(follower)
    drawn = b"".join(iter(lambda: read(leader), b"")).decode()
    os.close(leader)

    assert "6/6" in drawn
    assert done.stdout == ""


def read(terminal: int) -> bytes:
    """What was written to a terminal; nothing after its other end was closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_a_killed_search_goes_on_where_it_was(packages: Path, problem: Problem, tmp_path: Path) -> None:
    """Killed after the second candidate was written, the next run tries only the four others, and finds the same."""
    command = [sys.executable, "-c", KILLED, str(packages), str(ROOT / "tests"), str(tmp_path / "killed")]
    done = subprocess.run(command, check=False)
    assert done.returncode == -signal.SIGKILL

    result, said = search(problem, tmp_path / "killed")

    (journal,) = (tmp_path / "killed").iterdir()
    assert said[0] == f"2 of 6 candidates are known from {journal}"
    assert len(said) == 5
    assert result == search(problem, tmp_path / "whole")[0]
    assert journal.read_text().count("\n") == 6


def test_a_line_cut_off_by_a_kill_is_passed_over(problem: Problem, tmp_path: Path) -> None:
    """Its candidate is tried again, and the journal is whole afterwards."""
    whole, _ = search(problem, tmp_path)
    (journal,) = tmp_path.iterdir()
    text = journal.read_text(encoding="utf-8")
    journal.write_text(text[:-10], encoding="utf-8")

    result, said = search(problem, tmp_path)

    assert said[0].startswith("5 of 6 candidates are known")
    assert result == whole
    assert sorted(journal.read_text(encoding="utf-8").splitlines()) == sorted(text.splitlines())


def test_a_damaged_journal_is_named(problem: Problem, tmp_path: Path) -> None:
    """A whole line that is none of ours is an error, not a figure."""
    search(problem, tmp_path)
    (journal,) = tmp_path.iterdir()
    journal.write_text("{}\n" + journal.read_text(encoding="utf-8"), encoding="utf-8")

    with pytest.raises(RatchetError, match=rf"^{journal}: line 1 is not a line of a journal; delete the file"):
        search(problem, tmp_path)


def test_another_question_has_another_journal(packages: Path, problem: Problem) -> None:
    """Other rows, another seed, other folds, another metric or other code: what was known does not count."""
    asked = {tune.question(problem, parameters(), rows())}

    asked.add(tune.question(problem, parameters(), rows().assign(a=0.0)))
    asked.add(tune.question(problem, parameters(), rows().rename(columns={"a": "b"})))
    for name, value in (("seed", 1), ("folds", 2)):
        train = parameters().train.model_copy(update={name: value})
        asked.add(tune.question(problem, parameters().model_copy(update={"train": train}), rows()))
    gate = parameters().gate.model_copy(update={"metric": "mse"})
    asked.add(tune.question(problem, parameters().model_copy(update={"gate": gate}), rows()))
    helper = problem.folder / "model" / "helper.py"
    helper.write_text("# new\n", encoding="utf-8")
    asked.add(tune.question(problem, parameters(), rows()))
    helper.unlink()

    assert len(asked) == 7
    assert tune.question(problem, parameters(alpha=1.0), rows()) in asked


def test_a_refused_candidate_stops_the_search(problem: Problem, tmp_path: Path) -> None:
    """The estimator's own words reach the person, from another process too."""
    with pytest.raises(RatchetError, match=r"model\.alpha: must not be negative"):
        search(problem, tmp_path, parameters(alpha=-1.0), jobs=2)


def test_an_unknown_metric_is_named_before_any_work(problem: Problem, tmp_path: Path) -> None:
    """A binary metric is none of a regression."""
    gate = parameters().gate.model_copy(update={"metric": "log_loss"})

    with pytest.raises(RatchetError, match="there is no metric 'log_loss' for a regression task"):
        search(problem, tmp_path, parameters().model_copy(update={"gate": gate}))

    assert not list(tmp_path.iterdir())


def test_the_table_shows_the_best_and_what_is_different(problem: Problem, tmp_path: Path) -> None:
    """The present parameters are in it although seven are better."""
    result, _ = search(problem, tmp_path, candidates=7)

    lines = tune.table(result).splitlines()

    assert len(lines) == 7
    assert lines[0].split() == ["candidate", "mean", "absolute", "error", "parameters"]
    assert "alpha=" in lines[1]
    assert lines[-1].split()[0] == "0"
    assert lines[-1].endswith("as they are")


def test_the_winner_is_written_and_nothing_else_is_touched(problem: Problem, tmp_path: Path) -> None:
    """The template's params.yaml with all its comments: one line differs, in its value alone."""
    result, _ = search(problem, tmp_path / "journal", candidates=2)
    won = tune.Result(result.metric, result.candidates, {"model.learning_rate": 0.0412})
    path = tmp_path / "params.yaml"
    before = PARAMS.read_text(encoding="utf-8")
    path.write_text(before, encoding="utf-8")
    said: list[str] = []

    tune.propose(won, path, said.append)

    assert changed_lines(before, path.read_text(encoding="utf-8")) == [
        "-  learning_rate: 0.05",
        "+  learning_rate: 0.0412",
    ]
    assert said[0] == f"wrote model.learning_rate to {path}"
    assert "open a pull request" in said[1]


def changed_lines(before: str, after: str) -> list[str]:
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in diff if line[:3] not in {"---", "+++"} and not line.startswith("@@")]


ODD = """\
# head
problem:   'flights'   # odd spaces

data: {periods: [2013-01, 2013-02], holdout: 1}
model:
    rate:  0.10   # four spaces of indent
    name: "x"
    list:
    - a # first
    - b
    empty:

gate:
    delta: 0.5 # last
"""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"model.rate": 1e-05, "problem": "on"},
            [
                "-problem:   'flights'   # odd spaces",
                "+problem:   'on'   # odd spaces",
                "-    rate:  0.10   # four spaces of indent",
                "+    rate:  1.0e-05   # four spaces of indent",
            ],
        ),
        ({"model.list": ["b", "c"]}, ["-    - a # first", "+    - c"]),
        ({"model.list": []}, ["-    - a # first", "-    - b", "+      []"]),
        ({"model.empty": 3}, ["-    empty:", "+    empty: 3"]),
        ({"gate.margin": 2}, ["+    margin: 2"]),
        ({"model.rate": 0.1}, []),
        (
            {"data.periods": ["2013-01", "2013-02", "2013-03"], "data.new": None},
            [
                "-data: {periods: [2013-01, 2013-02], holdout: 1}",
                "+data: {periods: [2013-01, 2013-02, 2013-03], new: null, holdout: 1}",
            ],
        ),
    ],
)
def test_an_edit_changes_its_values_alone(changes: dict[str, Any], expected: list[str], tmp_path: Path) -> None:
    """Whatever the layout of the file; and what is read back is what was written."""
    path = tmp_path / "params.yaml"
    path.write_text(ODD, encoding="utf-8")

    params.edit(path, changes)

    after = path.read_text(encoding="utf-8")
    assert changed_lines(ODD, after) == expected
    content = yaml.safe_load(after)
    for dotted, value in changes.items():
        section, _, name = dotted.rpartition(".")
        assert (content[section] if section else content)[name] == value


@example("problem", "\xa0")
@given(
    st.sampled_from(["problem", "data.holdout", "model.rate", "model.name", "model.empty", "model.new", "gate.delta"]),
    st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.booleans()
    | st.none()
    | st.lists(st.text(), max_size=3),
)
def test_whatever_is_written_is_read_back_and_the_rest_stays(dotted: str, value: object) -> None:
    """Numbers, text that looks like numbers, lists: after an edit the file says that, and besides that the same."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "params.yaml")
        path.write_text(ODD, encoding="utf-8")
        expected = yaml.safe_load(ODD)
        section, _, name = dotted.rpartition(".")
        (expected[section] if section else expected)[name] = value

        params.edit(path, {dotted: value})

        assert yaml.safe_load(path.read_text(encoding="utf-8")) == expected


@pytest.mark.parametrize("changes", [{"model": 1}, {"model.list": 1}])
def test_an_edit_puts_no_value_in_the_place_of_a_section(changes: dict[str, Any], tmp_path: Path) -> None:
    """A section or a list is not silently lost."""
    path = tmp_path / "params.yaml"
    path.write_text(ODD, encoding="utf-8")

    with pytest.raises(RatchetError, match="is a section or a list, and 1 is not"):
        params.edit(path, changes)


def test_an_edit_of_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """A section that does not exist is a mistake; the file stays as it was."""
    path = tmp_path / "params.yaml"
    path.write_text(ODD, encoding="utf-8")

    with pytest.raises(RatchetError, match=r"params\.yaml: has no section 'modle' to change"):
        params.edit(path, {"modle.rate": 1})

    assert path.read_text(encoding="utf-8") == ODD


@pytest.mark.parametrize(("text", "said"), [("a: [", "is not valid YAML"), (None, "cannot be read")])
def test_an_edit_of_a_broken_file_is_refused(text: str | None, said: str, tmp_path: Path) -> None:
    """A file that is missing or no YAML is named."""
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    with pytest.raises(RatchetError, match=said):
        params.edit(path, {"a.b": 1})


def test_a_journal_is_lines_of_json(problem: Problem, tmp_path: Path) -> None:
    """A person can read it, and so can any tool."""
    search(problem, tmp_path, candidates=1)

    (journal,) = tmp_path.iterdir()
    entries = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    assert entries[0]["model"] == {"alpha": 500.0, "intercept": True}
    assert set(entries[0]) == {"model", "value"}
    assert journal.suffix == ".jsonl"

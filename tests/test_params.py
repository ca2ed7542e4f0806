"""params.yaml: a typo, a wrong type or an impossible value fails at once, and the message names the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ratchet import params
from ratchet.errors import RatchetError
from rehearsal.project import PARAMS

Content = dict[str, Any]


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[Content], object]], Path]:
    """The template's file, changed by a function of its content."""

    def write(change: Callable[[Content], object]) -> Path:
        content = yaml.safe_load(PARAMS.read_text())
        change(content)
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def test_the_last_periods_test_and_the_earlier_ones_train(
    changed: Callable[[Callable[[Content], object]], Path],
) -> None:
    """`holdout` counts from the end; no period does both."""
    path = changed(lambda c: c["data"].update(periods=["2013-01", "2013-02", "2013-03", "2013-04"], holdout=1))
    assert params.load(path).data.train == ("2013-01", "2013-02", "2013-03")
    assert params.load(path).data.test == ("2013-04",)

    path = changed(lambda c: c["data"].update(periods=["2013-01", "2013-02", "2013-03", "2013-04"], holdout=3))
    assert params.load(path).data.train == ("2013-01",)
    assert params.load(path).data.test == ("2013-02", "2013-03", "2013-04")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(colour="red"), "colour: Extra inputs are not permitted"),
        (lambda c: c["gate"].update(detla=0.1), "gate.detla: Extra inputs are not permitted"),
        (lambda c: c["data"]["checks"].update(row=[1, 2]), "data.checks.row: Extra inputs are not permitted"),
        (lambda c: c.pop("gate"), "gate: Field required"),
        (lambda c: c["train"].pop("seed"), "train.seed: Field required"),
        (lambda c: c["train"].update(folds="three"), "train.folds: Input should be a valid integer"),
        (lambda c: c["train"].update(folds=1), "train.folds: Input should be greater than or equal to 2"),
        (lambda c: c["train"].update(cost_ratio=0), "train.cost_ratio: Input should be greater than 0"),
        (lambda c: c["gate"].update(level=0.5), "gate.level: Input should be less than 0.5"),
        (lambda c: c["gate"].update(margin=-0.1), "gate.margin: Input should be greater than or equal to 0"),
        (lambda c: c["gate"].update(calibration_slope=[0.7]), "gate.calibration_slope"),
        (lambda c: c["data"]["checks"].update(nulls=2), "data.checks.nulls: Input should be less than or equal to 1"),
        (lambda c: c["data"].update(periods="2013-01"), "data.periods: Input should be a valid tuple"),
        (lambda c: c["data"].update(periods=["2013-01"]), "data.periods: Tuple should have at least 2 items"),
        (lambda c: c["data"].update(periods=[1, 2]), "data.periods.0: Input should be a valid string"),
        (lambda c: c.update(model=[1]), "model: Input should be a valid dictionary"),
        (lambda c: c.update(data=None), "data: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_value_is_named_by_its_dotted_key(
    change: Callable[[Content], object], message: str, changed: Callable[[Callable[[Content], object]], Path]
) -> None:
    """Unknown keys, missing keys, wrong types and values out of range say where and what, after the file's name."""
    path = changed(change)

    with pytest.raises(RatchetError) as caught:
        params.load(path)

    assert f"{path}: {message}" in str(caught.value)


@pytest.mark.parametrize("periods", [["2013-02", "2013-01"], ["2013-01", "2013-01", "2013-02"]])
def test_periods_are_in_order_of_time_each_once(
    periods: list[str], changed: Callable[[Callable[[Content], object]], Path]
) -> None:
    """Out of order or repeated periods would train on what comes after the test."""
    path = changed(lambda c: c["data"].update(periods=periods))

    with pytest.raises(RatchetError, match="data: Value error, periods must be in order of time, each once"):
        params.load(path)


@pytest.mark.parametrize("holdout", [2, 3])
def test_a_holdout_leaves_something_to_train_on(
    holdout: int, changed: Callable[[Callable[[Content], object]], Path]
) -> None:
    """As many test periods as there are periods is too many."""
    path = changed(lambda c: c["data"].update(periods=["2013-01", "2013-02"], holdout=holdout))

    with pytest.raises(RatchetError, match=f"holdout {holdout} leaves none of 2 periods to train on"):
        params.load(path)


def test_several_problems_are_each_named_on_a_line(changed: Callable[[Callable[[Content], object]], Path]) -> None:
    """One line for each, three at most."""

    def break_four(content: Content) -> None:
        content["colour"] = "red"
        content["train"]["folds"] = 0
        content["gate"]["level"] = "high"
        content["tracking"]["timeout"] = -1

    path = changed(break_four)

    with pytest.raises(RatchetError) as caught:
        params.load(path)

    assert str(caught.value).splitlines() == [
        f"{path}: train.folds: Input should be greater than or equal to 2",
        f"{path}: gate.level: Input should be a valid number, unable to parse string as a number",
        f"{path}: tracking.timeout: Input should be greater than 0",
    ]


@pytest.mark.parametrize("text", ["data: [1, 2", "a: b: c", "\tproblem: flights", "problem: *nobody"])
def test_broken_yaml_is_told_on_one_line_with_its_place(text: str, tmp_path: Path) -> None:
    """The parser's own words, which name line and column, and nothing of its traceback."""
    path = tmp_path / "params.yaml"
    path.write_text(text)

    with pytest.raises(RatchetError) as caught:
        params.load(path)

    assert str(caught.value).startswith(f"{path}: is not valid YAML: ")
    assert "line 1, column" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    """A binary file in the place of params.yaml is an error, not a traceback."""
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(RatchetError, match="is not valid YAML: 'utf-8' codec can't decode"):
        params.load(path)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "flights\n", "12\n"])
def test_a_file_that_is_no_mapping_is_told(text: str, tmp_path: Path) -> None:
    """An empty file, a list and a word are YAML, but no parameters."""
    path = tmp_path / "params.yaml"
    path.write_text(text)

    with pytest.raises(RatchetError, match=r"params\.yaml: the file: Input should be a valid dictionary"):
        params.load(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """Its path, and what the system said; so for a folder in its place."""
    with pytest.raises(RatchetError, match=r"params\.yaml: cannot be read: No such file or directory"):
        params.load(tmp_path / "params.yaml")
    with pytest.raises(RatchetError, match="cannot be read: Is a directory"):
        params.load(tmp_path)


def test_loaded_parameters_cannot_be_changed() -> None:
    """What a stage was given is what it uses."""
    loaded = params.load(PARAMS)

    with pytest.raises(ValidationError, match="frozen"):
        loaded.problem = "coins"

"""The arithmetic of `bench/pull_request.py`: nothing of the time from the event to the end is lost or counted twice."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench" / "pull_request.py"

LOG = [
    (10.0, "  step: Train and score"),
    (12.0, "    Stage 'pin' didn't change, skipping"),
    (13.0, "    Running stage 'train':"),
    (17.0, "    Running stage 'export':"),
    (18.5, "    Stage 'evaluate' is cached - skipping run, checking out outputs"),
    (19.0, "    Running stage 'card':"),
    (20.0, "    Use `dvc push` to send your updates to remote storage."),
    (23.0, "    the champion is scored"),
]


@pytest.fixture(scope="module")
def bench():
    paths = list(sys.path)  # which the script puts folders on
    spec = importlib.util.spec_from_file_location("pull_request_bench", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["pull_request_bench"] = module
    spec.loader.exec_module(module)
    sys.path[:] = paths
    return module


def test_the_rows_sum_to_the_time_from_the_event_to_the_end(bench) -> None:
    """Two runs after one another, with the pipeline's own work inside the first."""
    report = bench.Leg("report", 0.5, 30.0, [("checkout", 1.0), (bench.STAGES, 20.0), ("upload", 2.0)])
    verdict = bench.Leg("verdict", 31.0, 40.0, [("judge: upload", 1.5), ("judge: upload", 0.5), ("write: Settle", 4.0)])

    rows = bench.breakdown([report, verdict])

    assert rows == {
        "report: queue": 0.5,
        "report: checkout": 1.0,
        bench.STAGES: 20.0,
        "report: upload": 2.0,
        "report: around its steps": 6.5,
        "verdict: queue": 1.0,
        "verdict: judge: upload": 2.0,
        "verdict: write: Settle": 4.0,
        "verdict: around its steps": 3.0,
    }
    assert sum(rows.values()) == 40.0


def test_a_stage_lasts_until_the_next_one_or_until_dvc_is_done(bench) -> None:
    """Stages that DVC skips or takes from its cache do not count."""
    assert bench.stage_seconds(LOG) == 4.0 + 1.5 + 1.0


def test_what_makes_environments_can_be_taken_out(bench) -> None:
    """Ours are called setup, the recipe's are a Python and what pip installs."""
    rows = {bench.STAGES: 10.0, "report: setup": 1.0, "verdict: write: setup": 2.0, "report: upload": 0.5}
    installed = {"recipe: setup-python": 3.0, "recipe: pip install": 90.0, "recipe: Report": 2.0}

    assert bench.Measured(rows, 12.5, "").bare == 9.5
    assert bench.Measured(installed, 95.0, "").bare == 2.0
    assert bench.Measured(rows, 12.5, "").beyond == 3.5


def test_a_step_that_trains_is_before_in_and_after_its_stages(bench) -> None:
    """Where the seconds of the stages are known, they count; otherwise those of the log."""
    known = bench.split("Train and score", 13.5, LOG, 6.0)
    read = bench.split("Train and score", 13.5, LOG)

    assert [seconds for _, seconds in known] == [3.0, 6.0, 4.5]
    assert [seconds for _, seconds in read] == [3.0, 6.5, 4.0]


def test_a_step_that_has_nothing_to_train_has_no_stages(bench) -> None:
    """All of it comes before them."""
    assert [seconds for _, seconds in bench.split("dvc repro", 2.0, LOG[:2])] == [2.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("Run actions/cache/restore@55cc8345863c7cc4c66a329aec7e433d2d1c52a9", "restore"),
        ("Run ./.github/actions/setup", "setup"),
        ("Train and score", "Train and score"),
    ],
)
def test_a_step_has_a_short_name(bench, step: str, expected: str) -> None:
    """Of an action its last part, without the commit."""
    assert bench.short(step) == expected

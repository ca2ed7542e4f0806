"""The gate's error rates on a small scale; `bench/decisions.py` measures them on a large one."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from ratchet import gate, metrics

BENCH = Path(__file__).parents[1] / "bench" / "decisions.py"


@pytest.fixture(scope="module")
def decisions():
    spec = importlib.util.spec_from_file_location("decisions", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["decisions"] = module
    spec.loader.exec_module(module)
    return module


KINDS = [
    "independent",
    "skewed to harm (log-normal, sigma 1)",
    "skewed to gain (log-normal, sigma 1)",
    "autocorrelated (0.3)",
    "autocorrelated (0.5)",
    "both (0.3, sigma 0.5)",
]


@pytest.mark.parametrize("clusters", [28, 31, 60])
@pytest.mark.parametrize("kind", KINDS)
def test_at_most_five_per_cent_of_null_pairs_are_promoted(decisions, kind, clusters):
    """Two thousand pairs whose true gain is exactly the one that must not be promoted, at the first look."""
    days = decisions.KINDS[kind](np.random.default_rng(5), (2_000, clusters))
    promoted = decisions.lower_ends(days, gate.spend(0.05, 1)) > 0
    assert promoted.sum() <= 119  # what a true rate of 5 % stays below 97.5 times in 100
    assert promoted.mean() <= 0.06


@pytest.mark.parametrize("kind", KINDS)
def test_at_most_five_per_cent_of_families_hold_a_false_promotion(decisions, kind):
    """Four hundred families of twenty proposals without gain, the level spent over the looks."""
    rng = np.random.default_rng(6)
    days = decisions.KINDS[kind](rng, (400, 20, 30)) + decisions.KINDS[kind](rng, (400, 1, 30))
    levels = np.array([gate.spend(0.05, look) for look in range(1, 21)])
    # The smallest gain worth shipping is a quarter of the standard error of a difference, as with the example's models.
    delta = 0.25 * np.sqrt(2 / 30)
    spent = (decisions.lower_ends(days, levels) > delta).any(axis=1)
    assert spent.mean() <= 0.07  # 5 % and three standard errors would be 8 %
    if kind != "skewed to gain (log-normal, sigma 1)":
        unspent = (decisions.lower_ends(days, 0.05) > delta).any(axis=1)
        assert unspent.mean() > 0.1


def test_students_t_alone_would_promote_far_too_often(decisions):
    """Why the interval is wider than the textbook's."""
    for kind in ("skewed to harm (log-normal, sigma 1)", "autocorrelated (0.5)"):
        days = decisions.KINDS[kind](np.random.default_rng(7), (2_000, 30))
        assert (decisions.textbook_ends(days, gate.spend(0.05, 1)) > 0).mean() > 0.1


def test_kinds_of_days_have_mean_zero_and_standard_deviation_one(decisions):
    """So that their rates can be compared."""
    for name, draw in decisions.KINDS.items():
        days = draw(np.random.default_rng(8), (20_000, 30))
        assert days.mean() == pytest.approx(0, abs=0.01), name
        assert days.std() == pytest.approx(1, abs=0.05), name


def test_a_large_gain_is_found_on_sixty_days(decisions):
    """Half a standard deviation of a day."""
    days = 0.5 + decisions.independent(np.random.default_rng(9), (500, 60))
    assert (decisions.lower_ends(days, gate.spend(0.05, 1)) > 0).mean() > 0.9


def test_the_detectable_gain_is_found_about_eight_times_in_ten(decisions):
    """What a verdict says cannot be seen is what it would hardly see."""
    days = decisions.independent(np.random.default_rng(10), (2_000, 30))
    level = gate.spend(0.05, 1)
    least = np.median([metrics.detectable((one.sum() - one) / 29, level, 0.0) for one in days[:500]])
    assert 0.75 < (decisions.lower_ends(days + least, level) > 0).mean() < 0.95


@pytest.mark.parametrize("kind", ["independent", "skewed to harm (log-normal, sigma 1)", "autocorrelated (0.5)"])
def test_equal_models_are_seldom_promoted_on_the_whole_path(decisions, kind):
    """Forty pairs of tables of scores through the gate itself; deciding by rows is wrong several times as often."""
    improvement, low, by_rows = np.array([decisions.judged(kind, seed) for seed in range(40)]).T
    truth = improvement.mean() if kind.startswith("skewed") else 0.0
    assert (low > truth).sum() <= 6  # a rate of 5 % stays below 99.7 times in 100
    assert (by_rows > low).mean() > 0.9


def test_every_table_has_its_place_on_the_page(decisions):
    """The page and the command agree on the names; a place that is missing is told."""
    page = (BENCH.parents[1] / "docs" / "decisions.md").read_text(encoding="utf-8")
    places = re.findall(r"<!-- (?!end of )(.+?) -->", page)
    assert places == ["null pairs", "whole path", "power", "families", "two seeds"]
    filled = decisions.inserted(page, {name: f"table of {name}" for name in places})
    assert "<!-- power -->\ntable of power\n<!-- end of power -->" in filled
    assert decisions.inserted(filled, {"power": "again"}).count("again\n<!-- end") == 1
    with pytest.raises(SystemExit, match="0 places for the table 'other'"):
        decisions.inserted(page, {"other": ""})


def test_two_folders_of_outputs_are_compared(decisions, tmp_path, capsys):
    """What `--seeds` prints: each metric, and the verdict's own sentence."""
    rng = np.random.default_rng(11)
    for name, table in zip("ab", decisions.scores(rng, decisions.shifts_of("independent", rng)), strict=True):
        folder = tmp_path / name
        for part in ("evaluation", "bundle", "data"):
            (folder / part).mkdir(parents=True)
        model = decisions.side(table, name)
        table.to_parquet(folder / "evaluation" / "scores.parquet")
        for path, content in {
            "evaluation/evaluation.json": model.evaluation,
            "bundle/manifest.json": model.manifest,
            "bundle/schema.json": model.schema,
            "data/dataset.json": {"test": {"april": {"sha256": "d4"}}},
        }.items():
            (folder / path).write_text(json.dumps(content))
    decisions.main(["--seeds", str(tmp_path / "a"), str(tmp_path / "b")])
    printed = capsys.readouterr().out
    assert printed.startswith("## two seeds\n\n| metric | one seed | the other | improvement | interval |")
    assert "| Log loss | 0." in printed
    assert "over 30 clusters" in printed


def test_the_command_writes_its_tables_into_the_page(decisions, tmp_path, monkeypatch):
    """Only between the markers."""
    page = tmp_path / "page.md"
    tables = ("null pairs", "whole path", "power", "families")
    page.write_text("# Title\n" + "".join(f"<!-- {name} -->\n<!-- end of {name} -->\n" for name in tables))
    for name in ("null_pairs", "power", "families"):
        function = getattr(decisions, name)
        monkeypatch.setattr(decisions, name, lambda _, run=function: run(20))
    monkeypatch.setattr(decisions, "whole_path", lambda _, jobs, run=decisions.whole_path: run(2, jobs))
    decisions.main(["--quick", "--jobs", "1", "--out", str(page)])
    text = page.read_text()
    assert text.startswith("# Title\n<!-- null pairs -->\n| days | clusters | no gain |")
    assert text.count("| independent | 28 |") == 2
    assert text.endswith("<!-- end of families -->\n")

"""The whole, from the names of the periods to the page."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from ratchet.backtest import run
from ratchet.backtest.engine import ENGINES, Engine
from ratchet.backtest.page import Backtest, inserted
from ratchet.backtest.results import ORACLE
from ratchet.cli.backtest import backtest
from ratchet.errors import RatchetError
from ratchet.params import Params
from ratchet.problem import Problem
from rehearsal.project import PARAMS

ROOT = Path(__file__).parents[2]
PERIODS = tuple(f"2013-{month:02}" for month in range(1, 13))


@pytest.fixture(scope="module")
def found(pots: Params, tmp_path_factory: pytest.TempPathFactory) -> Backtest:
    """A year of pots on joblib."""
    said: list[str] = []
    means = run.Means("joblib", 1, tmp_path_factory.mktemp("joblib"))
    played = run.run(Problem("toy_pots"), pots, PERIODS, 1, means, said.append)
    assert said == [
        "18 models of the year, 18 of them new",
        "models of stationary and of shifted years, 15 of them new",
    ]
    return played


def untimed(found: Backtest) -> list[dict]:
    """The table but for the seconds, which are what an engine may change."""
    return [result | {"seconds": None} for result in found.plain()["results"]]


@pytest.mark.parametrize("engine", ENGINES)
def test_two_processes_of_any_engine_find_the_same(
    engine: Engine, found: Backtest, pots: Params, tmp_path: Path
) -> None:
    """Every figure but the seconds."""
    if engine == "dask":
        pytest.importorskip("distributed")

    again = run.run(Problem("toy_pots"), pots, PERIODS, 0, run.Means(engine, 2, tmp_path), lambda _: None)

    assert untimed(again) == untimed(found)


def test_figures_are_json_and_the_picture_is_svg(found: Backtest, tmp_path: Path) -> None:
    """Without a page none is written; equal figures give equal bytes."""
    found.write(tmp_path)

    told = json.loads((tmp_path / "backtest.json").read_text(encoding="utf-8"))
    assert [result["policy"] for result in told["results"]].count(ORACLE) == 2
    assert told["results"][0]["months"].keys() == set(PERIODS[4:])
    assert len(told["rates"]) == 4 * 5
    assert not (tmp_path / "policies.md").exists()
    drawn = ElementTree.fromstring((tmp_path / "backtest.svg").read_text(encoding="utf-8"))  # noqa: S314  # our own
    dots = drawn.findall(".//{http://www.w3.org/2000/svg}circle")
    growing = [result for result in found.results if result.window == 0]
    assert len(dots) == sum(len(result.opened) for result in growing)
    assert {dot.get("class") for dot in dots} == {pr.effect for result in growing for pr in result.opened}
    before = (tmp_path / "backtest.svg").read_bytes()
    found.write(tmp_path)
    assert (tmp_path / "backtest.svg").read_bytes() == before


def test_tables_go_between_the_markers_of_the_real_page(found: Backtest, tmp_path: Path) -> None:
    """Every table has its place in docs/policies.md; what stands around them stays."""
    before = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    (tmp_path / "policies.md").write_text(before, encoding="utf-8")

    found.write(tmp_path)

    after = (tmp_path / "policies.md").read_text(encoding="utf-8")
    assert after.splitlines()[0] == before.splitlines()[0]
    for table in found.tables().values():
        assert table in after
    assert "| growing | prove-it |" in after
    assert "turned: pots crack that did not" in after


def test_a_page_without_a_place_is_told(tmp_path: Path) -> None:
    """And with two places, too."""
    page = tmp_path / "page.md"
    page.write_text("<!-- a -->\nold\n<!-- end of a -->\n", encoding="utf-8")

    assert inserted(page, {"a": "new"}) == "<!-- a -->\nnew\n<!-- end of a -->\n"
    with pytest.raises(RatchetError, match=r"page\.md: has 0 places for the table 'b'; it must have one"):
        inserted(page, {"b": ""})


def test_the_verb_prints_its_tables(pots: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six months are enough without error rates; the figures lie where they were wanted."""
    import yaml

    monkeypatch.chdir(tmp_path)
    told = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    told |= {"problem": "toy_pots", "model": {"C": 1.0}}
    Path("params.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")

    done = CliRunner().invoke(backtest, [*PERIODS[:6], "--jobs", "1", "--replays", "0", "--out", "out"])

    assert done.exit_code == 0, done.output
    assert done.output.startswith("6 models of the year, 6 of them new\n")
    assert "| last 3 | oracle |" in done.output
    assert sorted(path.name for path in Path("out").iterdir()) == ["backtest.json", "backtest.svg"]

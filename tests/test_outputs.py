"""Two models side by side, from files: what is read, what is scored anew, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from outputs_example import build, parameters
from ratchet import bundle, data, files, metrics, outputs
from ratchet.errors import RatchetError

pytestmark = pytest.mark.xdist_group("outputs")

ROOT = Path(__file__).parents[1]
POLICY = parameters(["2013-01", "2013-02"]).gate


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weak and a good model tested on April, a weak one tested on February, and one that was trained on April."""
    root = tmp_path_factory.mktemp("folders")
    build(root / "weak", ["2013-02", "2013-04"], "stump")
    build(root / "good", ["2013-01", "2013-02", "2013-03", "2013-04"])
    build(root / "old", ["2013-01", "2013-02"], "stump")
    build(root / "cheat", ["2013-04", "2013-05"])
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments are made once, as for a user."""
    return tmp_path_factory.mktemp("environments")


def judged(champion: Path, challenger: Path, cache: Path, rows: Path | None = None) -> outputs.Judged:
    """A first look."""
    found = outputs.find(challenger)
    return outputs.compare(outputs.find(champion), found, outputs.holdout(found, rows), POLICY, 1, cache)


def log_loss(folder: Path, rows: pd.DataFrame) -> float:
    """Log loss of a folder's bundle, scored in this process."""
    known = rows[rows["head"].notna()]
    scores = bundle.load(folder / "bundle").score(known)
    return metrics.rounded(
        metrics.get("log_loss", "binary").value(known["head"].to_numpy(), scores, np.ones(len(known)))
    )


def rewrite(path: Path, changes: Mapping[str, Any]) -> None:
    """Change the top level of a JSON file."""
    files.write_json(path, files.read_json(path) | changes)


class TestFind:
    """Bundles and folders of outputs."""

    def test_a_bundle_is_found_from_itself_and_from_its_folder(self, folders: Path) -> None:
        """Both paths name the same bundle with the same surroundings."""
        from_folder, from_bundle = outputs.find(folders / "good"), outputs.find(folders / "good" / "bundle")

        assert from_folder == from_bundle
        assert from_bundle.root == folders / "good"
        assert list(from_bundle.dataset["test"]) == ["2013-04"]
        assert from_bundle.training["rows"] == from_bundle.dataset["train"]["2013-01"]["labelled"] + sum(
            from_bundle.dataset["train"][period]["labelled"] for period in ("2013-02", "2013-03")
        )

    def test_a_bundle_alone_has_no_surroundings(self, folders: Path, tmp_path: Path) -> None:
        """Its manifest is all there is."""
        shutil.copytree(folders / "good" / "bundle", tmp_path / "alone")

        found = outputs.find(tmp_path / "alone")

        assert (found.root, found.dataset, found.training, found.evaluation) == (None, None, None, None)
        assert found.manifest["problem"] == "toy_coins"

    @pytest.mark.parametrize("name", ["", "nothing", "file"])
    def test_anything_else_is_refused(self, name: str, tmp_path: Path) -> None:
        """An empty folder, nothing at all, a file."""
        (tmp_path / "file").touch()

        with pytest.raises(RatchetError, match=r"is neither a bundle .* nor a folder of outputs"):
            outputs.find(tmp_path / name)


class TestHoldout:
    """The rows that judge."""

    def test_they_are_those_the_challenger_was_tested_on(self, folders: Path) -> None:
        """Labelled, with the digest of their period."""
        found = outputs.holdout(outputs.find(folders / "good"), None)

        dataset = files.read_json(folders / "good" / data.DATASET)
        assert found.digests == {"2013-04": dataset["test"]["2013-04"]["sha256"]}
        assert len(found.frame) == dataset["test"]["2013-04"]["labelled"]

    def test_a_bundle_alone_needs_rows(self, folders: Path, tmp_path: Path) -> None:
        """And the message says how to name them."""
        shutil.copytree(folders / "good" / "bundle", tmp_path / "alone")

        with pytest.raises(RatchetError, match="came without the rows it was tested on; name a file with --rows"):
            outputs.holdout(outputs.find(tmp_path / "alone"), None)

    def test_a_changed_period_is_refused(self, folders: Path, tmp_path: Path) -> None:
        """Rows are those of the data set, to the byte."""
        shutil.copytree(folders / "good", tmp_path / "good")
        path = tmp_path / "good" / data.PERIODS / "2013-04" / "rows.parquet"
        files.write_parquet(path, files.read_parquet(path).assign(force=1.0))

        with pytest.raises(RatchetError, match=r"2013-04/rows\.parquet"):
            outputs.holdout(outputs.find(tmp_path / "good"), None)


class TestCompare:
    """Who scores what."""

    def test_scores_are_reused_when_both_were_tested_on_the_same_rows(self, folders: Path, tmp_path: Path) -> None:
        """No environment is made; the verdict's figures are those of the evaluations."""
        verdict = judged(folders / "weak", folders / "good", tmp_path / "cache").verdict

        assert not (tmp_path / "cache").exists()
        assert verdict["verdict"] == "promote"
        for side, name in (("champion", "weak"), ("challenger", "good")):
            measured = files.read_json(folders / name / "evaluation" / "metrics.json")
            assert verdict["primary"][side] == measured["log_loss"]
            assert verdict[side]["digest"] == bundle.digest(folders / name / "bundle")

    def test_the_other_way_round_it_blocks(self, folders: Path, tmp_path: Path) -> None:
        """The same two models, champion and challenger exchanged."""
        verdict = judged(folders / "good", folders / "weak", tmp_path / "cache").verdict

        assert verdict["verdict"] == "block"
        assert verdict["primary"]["improvement"] < 0

    def test_a_champion_tested_on_another_period_scores_in_its_own_environment(
        self, folders: Path, cache: Path
    ) -> None:
        """Its figures on the new rows are those that its bundle gives there, not those of its evaluation."""
        verdict = judged(folders / "old", folders / "good", cache).verdict

        rows = files.read_parquet(folders / "good" / data.PERIODS / "2013-04" / "rows.parquet")
        assert [path.name.split("-")[-1] for path in cache.iterdir()] == ["py3.11"]
        assert verdict["verdict"] == "promote"
        assert verdict["champion"]["trained_on"] == ["2013-01"]
        assert verdict["primary"]["champion"] == pytest.approx(log_loss(folders / "old", rows), rel=1e-5)
        assert (
            verdict["primary"]["champion"]
            != files.read_json(folders / "old" / "evaluation" / "metrics.json")["log_loss"]
        )

    def test_bundle_paths_give_the_verdict_of_their_folders(self, folders: Path, tmp_path: Path) -> None:
        """A bundle in its folder of outputs brings its scores along."""
        by_folder = judged(folders / "weak", folders / "good", tmp_path / "cache").verdict
        by_bundle = judged(folders / "weak" / "bundle", folders / "good" / "bundle", tmp_path / "cache").verdict

        assert by_bundle == by_folder

    def test_bundles_alone_are_judged_on_a_file_of_rows(self, folders: Path, cache: Path, tmp_path: Path) -> None:
        """The file's name and digest stand for a period; both models score it."""
        for name in ("weak", "good"):
            shutil.copytree(folders / name / "bundle", tmp_path / name)
        shutil.copy(folders / "cheat" / data.PERIODS / "2013-05" / "rows.parquet", tmp_path / "may.parquet")

        verdict = judged(tmp_path / "weak", tmp_path / "good", cache, tmp_path / "may.parquet").verdict

        may = files.read_parquet(tmp_path / "may.parquet")
        assert verdict["verdict"] == "promote"
        assert verdict["primary"]["challenger"] == pytest.approx(log_loss(folders / "good", may), rel=1e-5)
        assert verdict["holdout"]["rows"] == int(may["head"].notna().sum())
        assert (verdict["holdout"]["first"], verdict["holdout"]["last"]) == ("2013-05-01", "2013-05-31")

    def test_rows_that_one_has_trained_on_void_the_comparison(self, folders: Path, cache: Path) -> None:
        """A champion that knows the answers proves nothing."""
        verdict = judged(folders / "cheat", folders / "good", cache).verdict

        assert verdict["verdict"] == "void"
        assert "2013-04" in verdict["sentence"]
        assert verdict["primary"]["improvement"] is None

    def test_the_evaluation_of_another_bundle_is_not_trusted(self, folders: Path, cache: Path, tmp_path: Path) -> None:
        """The good model's evaluation beside the weak model's bundle: the bundle is scored anew."""
        shutil.copytree(folders / "weak", tmp_path / "weak")
        shutil.rmtree(tmp_path / "weak" / "evaluation")
        shutil.copytree(folders / "good" / "evaluation", tmp_path / "weak" / "evaluation")

        verdict = judged(folders / "good", tmp_path / "weak", cache).verdict

        assert outputs.find(tmp_path / "weak").evaluation is None
        assert verdict["verdict"] == "block"
        assert verdict["primary"]["challenger"] == pytest.approx(
            files.read_json(folders / "weak" / "evaluation" / "metrics.json")["log_loss"], rel=1e-5
        )

    def test_a_changed_bundle_is_refused(self, folders: Path, tmp_path: Path) -> None:
        """Even where its scores lie beside it."""
        shutil.copytree(folders / "weak", tmp_path / "weak")
        with (tmp_path / "weak" / "bundle" / "model.treelite").open("ab") as file:
            file.write(b"\0")

        with pytest.raises(RatchetError, match=r"model\.treelite: is not the file its manifest names"):
            judged(folders / "good", tmp_path / "weak", tmp_path / "cache")

    def test_different_problems_cannot_be_compared(self, folders: Path, tmp_path: Path) -> None:
        """Both are named."""
        shutil.copytree(folders / "weak", tmp_path / "weak")
        rewrite(tmp_path / "weak" / "bundle" / "manifest.json", {"problem": "toy_delays"})

        with pytest.raises(RatchetError, match=r"answer different problems \(toy_coins, toy_delays\)"):
            judged(tmp_path / "weak", folders / "good", tmp_path / "cache")

    @pytest.mark.parametrize("column", ["head", "throw", "day", "metal"])
    def test_rows_that_lack_a_column_are_refused(self, column: str, folders: Path, tmp_path: Path) -> None:
        """Label, key, cluster, or what only a slice needs: the file and the column are named."""
        rows = files.read_parquet(folders / "cheat" / data.PERIODS / "2013-05" / "rows.parquet")
        files.write_parquet(tmp_path / "may.parquet", rows.drop(columns=column))

        with pytest.raises(RatchetError, match=rf"may\.parquet: the rows lack {column}"):
            judged(folders / "weak", folders / "good", tmp_path / "cache", tmp_path / "may.parquet")

    def test_rows_without_labels_are_refused(self, folders: Path, cache: Path, tmp_path: Path) -> None:
        """Nothing can be judged before the outcomes are known."""
        rows = files.read_parquet(folders / "cheat" / data.PERIODS / "2013-05" / "rows.parquet")
        files.write_parquet(tmp_path / "may.parquet", rows.assign(head=np.nan))

        with pytest.raises(RatchetError, match="none of the 620 holdout rows has a label"):
            judged(folders / "weak", folders / "good", cache, tmp_path / "may.parquet")


class TestWrite:
    """verdict.json, report.md, report.html."""

    @pytest.fixture(params=["promote", "block", "void"])
    def report(self, request: pytest.FixtureRequest, folders: Path, cache: Path, tmp_path: Path) -> Path:
        """A report of each verdict."""
        pair = {"promote": ("weak", "good"), "block": ("good", "weak"), "void": ("cheat", "good")}[request.param]
        found = judged(folders / pair[0], folders / pair[1], cache)
        assert found.verdict["verdict"] == request.param
        found.write(tmp_path / "report")
        return tmp_path / "report"

    def test_the_verdict_has_the_shape_of_its_schema(self, report: Path) -> None:
        """As read from the disk, by the schema in the repository."""
        schema = json.loads((ROOT / "src" / "ratchet" / "verdict.schema.json").read_text())

        jsonschema.Draft202012Validator(schema).validate(json.loads((report / "verdict.json").read_text()))

    def test_the_report_says_the_verdict_first_and_fits_into_a_comment(self, report: Path) -> None:
        """GitHub takes 65,536 characters; the sentence stands above everything that is folded."""
        text = (report / "report.md").read_text()
        verdict = files.read_json(report / "verdict.json")

        assert len(text) < 65_536
        assert verdict["verdict"] in text.splitlines()[0].lower()
        assert "![" not in text

    def test_the_page_stands_alone(self, report: Path) -> None:
        """It loads nothing from anywhere: no script, style, image or font of another host."""
        page = (report / "report.html").read_text()

        assert re.findall(r"""<(?:script|img|iframe|link|source|object|embed)\b[^>]*(?:src|href)=[^>]*""", page) == []
        assert re.findall(r"""url\(\s*['"]?(?!data:|#)""", page) == []
        assert "@import" not in page
        assert page.lstrip().lower().startswith("<!doctype html>")

    def test_a_report_replaces_the_one_before_whole(self, report: Path, folders: Path, cache: Path) -> None:
        """And the same verdict gives the same bytes."""
        before = {path.name: path.read_bytes() for path in report.iterdir()}
        (report / "stale.txt").touch()
        found = {"promote": ("weak", "good"), "block": ("good", "weak"), "void": ("cheat", "good")}
        champion, challenger = found[files.read_json(report / "verdict.json")["verdict"]]

        judged(folders / champion, folders / challenger, cache).write(report)

        assert {path.name: path.read_bytes() for path in report.iterdir()} == before
        assert sorted(before) == ["report.html", "report.md", "verdict.json"]

"""Evidence comes from strangers: whatever may be wrong with it is refused in one sentence, and nothing of it runs."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from outputs_example import COINS, build
from ratchet import bundle, data, evaluation, files, intake, lock

Files = dict[str, bytes]
PERIODS = ("2013-01", "2013-02", "2013-03")
RUN: Mapping[str, Any] = {
    "version": 1,
    "head_sha": "a" * 40,
    "base_sha": "b" * 40,
    "outcome": "unchanged",
    "model_digest": None,
    "lock_digest": None,
    "seconds": 1.5,
    "stages": [],
    "failure": None,
    "champion": None,
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pipeline makes of three periods of coins."""
    return build(tmp_path_factory.mktemp("coins"), PERIODS)


@pytest.fixture(scope="module")
def honest(outputs: Path) -> Files:
    """The files of an honest proposal, with a champion; the manifest is made by `packed`."""
    made = {here: (outputs / there).read_bytes() for here, there in intake.OUTPUTS.items()}
    made |= {f"bundle/{path.name}": path.read_bytes() for path in (outputs / "bundle").iterdir()}
    digest = bundle.digest(outputs / "bundle")
    champion = {"tag": "model-v1", "model_digest": "c" * 64}
    run = {**RUN, "outcome": "proposed", "model_digest": digest, "lock_digest": "d" * 64, "champion": champion}
    table = files.read_parquet(outputs / "evaluation/scores.parquet")
    made["scores/champion.parquet"] = parquet_of(table[[name for name in table if not name.startswith("baseline:")]])
    made["diff.json"] = as_json({"params": [["model.kind", None, "hist"]], "metrics": [["log_loss", 0.6, 0.5]]})
    made["run.json"] = as_json(run)
    made["dvc.lock"] = lock_of(made)
    return made


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def parquet_of(table: pd.DataFrame) -> bytes:
    target = io.BytesIO()
    table.to_parquet(target, index=False, compression="zstd")
    return target.getvalue()


def lock_of(made: Files) -> bytes:
    """A lock that names the bundle among `made`."""
    hashes = {name.removeprefix("bundle/"): lock.md5(body) for name, body in made.items() if name.startswith("bundle/")}
    export = "    cmd: python export.py\n    outs:\n    - path: bundle\n      hash: md5\n      md5: "
    return f"schema: '2.0'\nstages:\n  export:\n{export}{lock.directory_md5(hashes)}\n".encode()


def packed(path: Path, content: Mapping[str, bytes], **manifest: Any) -> Path:
    """A zip file of the files and their manifest."""
    sums = {name: hashlib.sha256(body).hexdigest() for name, body in content.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", as_json({"version": 1, "files": sums, **manifest}))
        for name, body in content.items():
            archive.writestr(name, body)
    return path


def read(tmp_path: Path, content: Mapping[str, bytes]) -> intake.Submission:
    return intake.read(packed(tmp_path / "evidence.zip", content), tmp_path / "evidence")


def refused(tmp_path: Path, content: Mapping[str, bytes], match: str) -> None:
    """The evidence is refused in one sentence, and leaves nothing behind."""
    refused_archive(packed(tmp_path / "evidence.zip", content), tmp_path / "evidence", match)


def refused_archive(archive: Path, folder: Path, match: str) -> None:
    with pytest.raises(intake.Rejected, match=match) as caught:
        intake.read(archive, folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 500
    assert not folder.exists()


class TestHonest:
    """What is let through."""

    def test_every_part_of_a_proposal_is_there(self, tmp_path: Path, honest: Files, outputs: Path) -> None:
        """What went in comes out: figures, scores, bundle, lock."""
        found = read(tmp_path, honest)

        assert found.outcome == "proposed"
        assert found.folder == tmp_path / "evidence"
        assert found.evaluation == files.read_json(outputs / "evaluation/evaluation.json")
        assert found.dataset == files.read_json(outputs / "data/dataset.json")
        assert found.training == files.read_json(outputs / "model/training.json")
        assert found.metrics == files.read_json(outputs / "evaluation/metrics.json")
        assert found.diff["params"] == [["model.kind", None, "hist"]]
        assert found.manifest["problem"] == "toy_coins"
        assert bundle.load(found.bundle).digest == found.run["model_digest"]
        assert found.lock == honest["dvc.lock"].decode()
        pd.testing.assert_frame_equal(found.scores, files.read_parquet(outputs / "evaluation/scores.parquet"))
        assert found.champion_scores is not None
        assert len(found.champion_scores) == len(found.scores)

    def test_outputs_are_found_by_their_path_in_the_pipeline(self, tmp_path: Path, honest: Files) -> None:
        """A lock names `data/dataset.json`; the evidence has it under another name."""
        found = read(tmp_path, honest)

        assert found.output("data/dataset.json") == honest["dataset.json"]
        assert found.output("bundle/manifest.json") == honest["bundle/manifest.json"]
        assert found.output("evaluation/scores.parquet") == honest["scores/challenger.parquet"]
        assert found.output("model/pipeline.skops") is None
        assert found.output("run.json/../dvc.lock") is None

    @pytest.mark.parametrize(
        "change",
        [{"outcome": "unchanged"}, {"outcome": "failed", "failure": {"stage": "train", "log": "Killed"}}],
        ids=["unchanged", "failed"],
    )
    def test_without_a_model_the_run_is_all_there_is(self, tmp_path: Path, change: dict[str, Any]) -> None:
        """No lock, no scores; the rest is empty."""
        found = read(tmp_path, {"run.json": as_json({**RUN, **change})})

        assert found.outcome == change["outcome"]
        assert found.lock == ""
        assert found.evaluation == {}
        assert found.scores.empty

    def test_what_we_do_not_know_is_left_out(self, tmp_path: Path, honest: Files) -> None:
        """A proposal may say more than main understands; main does not pass it on."""
        dataset = json.loads(honest["dataset.json"])
        expected = json.loads(honest["dataset.json"])
        dataset["mood"] = "fine"
        for part in ("train", "test"):
            for period in dataset[part].values():
                period["means"] = {"side": 0.5}

        found = read(tmp_path, honest | {"dataset.json": as_json(dataset)})

        assert found.dataset == expected

    def test_folders_of_the_archive_are_no_files(self, tmp_path: Path) -> None:
        """Some programs list `bundle/` and `scores/` themselves."""
        archive = packed(tmp_path / "evidence.zip", {"run.json": as_json(RUN)})
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr("bundle/", b"")

        assert intake.read(archive, tmp_path / "evidence").outcome == "unchanged"


class TestArchive:
    """Names, links, sizes and sums of the zip file."""

    @pytest.mark.parametrize(
        "name",
        [
            "../run.json",
            "/run.json",
            "bundle/../run.json",
            "bundle/deep/model.treelite",
            "bundle\\model.treelite",
            "bundle/.hidden",
            "bundle/",
            "scores/other.parquet",
            "report.md",
            "run.json\x00.md",
            "C:run.json",
            "",
        ],
    )
    def test_unknown_names_are_refused(self, tmp_path: Path, name: str) -> None:
        """Only the files of the layout, flat, whatever the name is made of."""
        archive = packed(tmp_path / "evidence.zip", {"run.json": as_json(RUN)})
        with zipfile.ZipFile(archive, "a") as opened:
            info = zipfile.ZipInfo("placeholder")
            info.filename = info.orig_filename = name
            opened.writestr(info, b"x")

        refused_archive(archive, tmp_path / "evidence", "which is none of its files")

    def test_a_link_is_refused(self, tmp_path: Path) -> None:
        """A symbolic link by its mode."""
        archive = packed(tmp_path / "evidence.zip", {"run.json": as_json(RUN)})
        with zipfile.ZipFile(archive, "a") as opened:
            info = zipfile.ZipInfo("dvc.lock")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            opened.writestr(info, b"/etc/passwd")

        refused_archive(archive, tmp_path / "evidence", r"dvc\.lock is a link or encrypted")

    def test_an_encrypted_file_is_refused(self, tmp_path: Path) -> None:
        """The flag alone is enough."""
        archive = packed(tmp_path / "evidence.zip", {"run.json": as_json(RUN)})
        content = bytearray(archive.read_bytes())
        content[content.rfind(b"PK\1\2") + 8] |= 1
        archive.write_bytes(content)

        refused_archive(archive, tmp_path / "evidence", r"run\.json is a link or encrypted")

    def test_an_unusual_packing_is_refused(self, tmp_path: Path) -> None:
        """Stored and deflated only; others have their own bombs."""
        archive = tmp_path / "evidence.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as opened:
            opened.writestr("run.json", as_json(RUN))

        refused_archive(archive, tmp_path / "evidence", "packed by an unusual method")

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_a_name_that_stands_twice_is_refused(self, tmp_path: Path) -> None:
        """Two readers might take one each."""
        archive = packed(tmp_path / "evidence.zip", {"run.json": as_json(RUN)})
        with zipfile.ZipFile(archive, "a") as opened:
            opened.writestr("run.json", as_json(RUN))

        refused_archive(archive, tmp_path / "evidence", "two files of the same name")

    def test_a_bomb_is_refused_before_it_is_unpacked(self, tmp_path: Path) -> None:
        """121 MB of zeros in 120 kB."""
        refused(tmp_path, {"run.json": as_json(RUN), "bundle/zeros": bytes(121_000_000)}, "more than 120 MB when")

    def test_a_size_that_is_a_lie_is_found_out(self, tmp_path: Path) -> None:
        """The header says 10 bytes, a megabyte comes: no more than 10 are ever read, and their sum is wrong."""
        archive = packed(tmp_path / "evidence.zip", {"run.json": as_json(RUN), "bundle/zeros": bytes(1_000_000)})
        content = archive.read_bytes().replace(struct.pack("<I", 1_000_000), struct.pack("<I", 10))
        archive.write_bytes(content)

        refused_archive(archive, tmp_path / "evidence", "not a readable zip file: Bad CRC-32")

    def test_too_many_files_are_refused_before_they_are_listed(self, tmp_path: Path) -> None:
        """201 members; the table of contents says so before it is read."""
        many = {f"bundle/f{number}": b"x" for number in range(199)}

        refused(tmp_path, {"run.json": as_json(RUN), **many}, "more than 200 files")

    def test_a_large_table_of_contents_is_refused(self, tmp_path: Path) -> None:
        """Its size counts too, whatever number of files it says."""
        archive = packed(tmp_path / "evidence.zip", {"run.json": as_json(RUN)})
        content = bytearray(archive.read_bytes())
        content[-10:-6] = struct.pack("<I", 50_000_000)
        archive.write_bytes(content)

        refused_archive(archive, tmp_path / "evidence", "more than 200 files")

    @pytest.mark.parametrize("content", [b"", b"PK\5\6", b"<html>not found</html>", bytes(100)])
    def test_what_is_no_zip_is_refused(self, tmp_path: Path, content: bytes) -> None:
        """An error page, or nothing."""
        archive = tmp_path / "evidence.zip"
        archive.write_bytes(content)

        refused_archive(archive, tmp_path / "evidence", "not a plain zip file")

    def test_a_damaged_zip_is_refused(self, tmp_path: Path, honest: Files) -> None:
        """Every twentieth byte of it changed, one at a time: a refusal or the same files, never another error."""
        archive = packed(tmp_path / "evidence.zip", {"run.json": as_json(RUN)})
        content = archive.read_bytes()
        refusals = 0
        for place in range(0, len(content), 20):
            archive.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
            try:
                intake.read(archive, tmp_path / "evidence")
            except intake.Rejected:
                refusals += 1

        assert refusals > len(content) // 20 // 2

    def test_a_large_archive_is_refused_unread(self, tmp_path: Path) -> None:
        """61 MB, whatever it holds."""
        archive = tmp_path / "evidence.zip"
        with archive.open("wb") as file:
            file.truncate(61_000_000)

        refused_archive(archive, tmp_path / "evidence", "has more than 60 MB")

    def test_a_sum_that_is_wrong_is_refused(self, tmp_path: Path) -> None:
        """The manifest names another file."""
        archive = packed(tmp_path / "evidence.zip", {"run.json": as_json(RUN)}, files={"run.json": "0" * 64})

        refused_archive(archive, tmp_path / "evidence", r"run\.json is not the file that manifest\.json names")

    @pytest.mark.parametrize(
        "names", [(), ("run.json", "dvc.lock"), ("run.json", "manifest.json"), ("run.json", "../x")]
    )
    def test_a_manifest_of_other_files_is_refused(self, tmp_path: Path, names: tuple[str, ...]) -> None:
        """Missing, surplus, itself, or elsewhere."""
        sums = {name: hashlib.sha256(as_json(RUN)).hexdigest() for name in names}
        archive = packed(tmp_path / "evidence.zip", {"run.json": as_json(RUN)}, files=sums)

        refused_archive(archive, tmp_path / "evidence", "does not list exactly the files there are")

    def test_without_a_manifest_nothing_is_read(self, tmp_path: Path) -> None:
        """An archive of something else."""
        archive = tmp_path / "evidence.zip"
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr("run.json", as_json(RUN))

        refused_archive(archive, tmp_path / "evidence", r"has no manifest\.json")


class TestLayout:
    """An outcome has its files, and no others."""

    @pytest.mark.parametrize("name", ["dataset.json", "diff.json", "dvc.lock", "scores/champion.parquet"])
    def test_a_proposal_without_one_of_its_files_is_refused(self, tmp_path: Path, honest: Files, name: str) -> None:
        """All or nothing."""
        rest = {key: body for key, body in honest.items() if key != name}

        refused(tmp_path, rest, f"a model is proposed, but {re.escape(name)} is missing")

    def test_a_proposal_without_bundle_is_refused(self, tmp_path: Path, honest: Files) -> None:
        """There is nothing to release."""
        rest = {key: body for key, body in honest.items() if not key.startswith("bundle/")}

        refused(tmp_path, rest, "a model is proposed, but bundle is missing")

    def test_scores_of_no_champion_are_refused(self, tmp_path: Path, honest: Files) -> None:
        """The run says that there was none."""
        run = json.loads(honest["run.json"]) | {"champion": None}

        refused(tmp_path, honest | {"run.json": as_json(run)}, "says that there was no champion, but there is scores/")

    def test_files_of_a_run_without_model_are_refused(self, tmp_path: Path, honest: Files) -> None:
        """A failed run proposes nothing."""
        run = {**RUN, "outcome": "failed", "failure": {"stage": None, "log": ""}}

        refused(tmp_path, {"run.json": as_json(run), "diff.json": honest["diff.json"]}, "nothing is proposed")

    def test_a_failure_needs_its_reason(self, tmp_path: Path) -> None:
        """Failed, but not how."""
        refused(tmp_path, {"run.json": as_json({**RUN, "outcome": "failed"})}, "failed, but not how")


class TestJson:
    """No file of figures can trip a reader."""

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{"version": NaN}', "NaN is not a number"),
            ('{"version": -Infinity}', "-Infinity is not a number"),
            ('{"version": 1e999}', "1e999 is not a number"),
            (f'{{"version": 1{"0" * 30}}}', "is not a number"),
            (f'{{"version": {"9" * 10_000}}}', "is not a number"),
            ('{"version": 1, "version": 2}', "a key stands twice"),
            ("[" * 100_000, "not valid JSON"),
            ("{", "not valid JSON"),
            ('"\\ud800"', "text that is not Unicode"),
            ('{"\\udfff": 1}', "text that is not Unicode"),
            (f"{'[' * 50}{']' * 50}", "nested more than 20 levels deep"),
            ("[]", "not of its shape"),
            ("null", "not of its shape"),
        ],
    )
    def test_json_with_a_trick_is_refused(self, tmp_path: Path, text: str, said: str) -> None:
        """No number that is none, no repeated key, no endless nesting, no half characters."""
        refused(tmp_path, {"run.json": text.encode()}, said)

    def test_bytes_that_are_no_text_are_refused(self, tmp_path: Path) -> None:
        """Not UTF-8."""
        refused(tmp_path, {"run.json": b'{"version": "\xff"}'}, "not valid JSON")

    def test_a_large_file_is_refused_unread(self, tmp_path: Path) -> None:
        """Two megabytes are enough for everybody's figures."""
        refused(tmp_path, {"run.json": b" " * 2_000_001}, r"run\.json has more than 2 MB")

    @pytest.mark.parametrize(
        "change",
        [
            {"version": 2},
            {"outcome": "promoted"},
            {"head_sha": "main"},
            {"head_sha": "a" * 40 + "\n"},
            {"seconds": -1},
            {"seconds": "1"},
            {"stages": [{"name": "x" * 201, "seconds": 1}]},
            {"stages": [{"name": "x", "seconds": 1}] * 501},
            {"failure": {"stage": None, "log": "x" * 4001}},
            {"champion": "model-v1"},
        ],
    )
    def test_a_run_of_another_shape_is_refused(self, tmp_path: Path, change: dict[str, Any]) -> None:
        """Types, lengths and values are fixed."""
        refused(tmp_path, {"run.json": as_json({**RUN, **change})}, r"run\.json is not of its shape at")

    @pytest.mark.parametrize(
        ("name", "change"),
        [
            ("evaluation.json", lambda found: found["metrics"][0].update(value="0.5")),
            ("evaluation.json", lambda found: found["metrics"][0].update(title="x" * 101)),
            ("evaluation.json", lambda found: found["metrics"].extend(found["metrics"] * 50)),
            ("evaluation.json", lambda found: found.pop("behaviour")),
            ("evaluation.json", lambda found: found["calibration"].append("x")),
            ("evaluation.json", lambda found: found["baselines"].update({"x": 1})),
            ("dataset.json", lambda found: found["test"].clear()),
            ("dataset.json", lambda found: found["train"].update({"y" * 101: found["train"]["2013-01"]})),
            ("dataset.json", lambda found: found["train"]["2013-01"].update(nulls=[])),
            ("dataset.json", lambda found: found["train"]["2013-01"].update(rows=1.5)),
            ("training.json", lambda found: found.update(folds={})),
            ("metrics.json", lambda found: found.update(log_loss="good")),
            ("diff.json", lambda found: found["params"].append(["model.kind", "a"])),
            ("diff.json", lambda found: found["params"].append(["model.kind", {"a": 1}, "b"])),
            ("bundle/manifest.json", lambda found: found.update(task="ranking")),
            ("bundle/manifest.json", lambda found: found.update(trained_on={})),
            ("bundle/schema.json", lambda found: found["properties"].update(side={"type": {}})),
            ("bundle/schema.json", lambda found: found["properties"].update(side={"type": "string", "enum": [[]]})),
        ],
    )
    def test_figures_of_another_shape_are_refused(
        self, tmp_path: Path, honest: Files, name: str, change: Callable[[Any], Any]
    ) -> None:
        """A report can be made of what is let through."""
        found = json.loads(honest[name])
        change(found)

        refused(tmp_path, honest | {name: as_json(found)}, f"{re.escape(name)} is not of its shape at")


class TestConsistency:
    """The files speak of one model."""

    @pytest.mark.parametrize(
        ("name", "key", "value"),
        [
            ("run.json", "model_digest", "0" * 64),
            ("evaluation.json", "model_digest", "0" * 64),
            ("evaluation.json", "task", "regression"),
            ("evaluation.json", "threshold", 0.999),
            ("dataset.json", "target", "other"),
        ],
    )
    def test_files_that_speak_of_another_model_are_refused(
        self, tmp_path: Path, honest: Files, name: str, key: str, value: Any
    ) -> None:
        """One bundle, and figures of that bundle."""
        found = json.loads(honest[name]) | {key: value}

        refused(tmp_path, honest | {name: as_json(found)}, f"has another `{key}` than the bundle")

    def test_training_data_that_the_bundle_does_not_name_are_refused(self, tmp_path: Path, honest: Files) -> None:
        """The bundle says what it was trained on; so does the data set."""
        found = json.loads(honest["dataset.json"])
        found["train"].pop("2013-01")

        refused(tmp_path, honest | {"dataset.json": as_json(found)}, "has another `train` than the bundle")

    @pytest.mark.parametrize("name", ["requirements.txt", "encoders.json"])
    def test_a_bundle_that_was_changed_is_refused(self, tmp_path: Path, honest: Files, name: str) -> None:
        """By its own manifest."""
        changed = honest | {f"bundle/{name}": b"numpy"}

        refused(tmp_path, changed, f"bundle/{re.escape(name)}: is not the file its manifest names")

    def test_a_bundle_with_a_surplus_file_is_refused(self, tmp_path: Path, honest: Files) -> None:
        """A file that nobody vouches for."""
        refused(tmp_path, honest | {"bundle/extra.py": b"x"}, r"holds extra\.py, which its manifest does not name")

    def test_a_lock_of_another_bundle_is_refused(self, tmp_path: Path, honest: Files) -> None:
        """What the lock names is what will be pulled."""
        other = honest["dvc.lock"].decode()
        other = re.sub(r"md5: [0-9a-f]{32}\.dir", f"md5: {'0' * 32}.dir", other)

        refused(tmp_path, honest | {"dvc.lock": other.encode()}, "names another bundle than the one that came with it")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("stages: [", "dvc.lock: is not valid YAML"),
            ("stages: []", "is not a lock file of DVC"),
            ("stages: {a: {cmd: !!python/name:os.system ''}}", "has a tag of YAML in line 1"),
            ("[" * 5000, "dvc.lock: is nested too deeply"),
            ("stages: {a: {cmd: x, outs: [{path: x}]}}", "dvc.lock is not of its shape"),
            ("stages: {a: {cmd: x, outs: [{path: x, hash: md5, md5: '../../x'}]}}", "dvc.lock is not of its shape"),
            ("stages: {a: {cmd: x, outs: [{path: x, hash: md5, md5: 0, cloud: {}}]}}", "dvc.lock is not of its shape"),
            ("stages: {a: {cmd: x, more: x}}", "dvc.lock is not of its shape"),
        ],
    )
    def test_a_lock_of_another_shape_is_refused(self, tmp_path: Path, text: str, said: str) -> None:
        """Also where nothing is proposed."""
        refused(tmp_path, {"run.json": as_json(RUN), "dvc.lock": text.encode()}, said)

    def test_aliases_of_aliases_are_refused(self, tmp_path: Path) -> None:
        """A billion laughs in two lines."""
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

        refused(
            tmp_path, {"run.json": as_json(RUN), "dvc.lock": "\n".join(lines).encode()}, "too large when its aliases"
        )


class TestScores:
    """A table of numbers, bounded before it is read."""

    def table(self, honest: Files) -> pd.DataFrame:
        """The honest scores, to change."""
        return pd.read_parquet(io.BytesIO(honest["scores/challenger.parquet"]))

    def refused(self, tmp_path: Path, honest: Files, table: pd.DataFrame | bytes, match: str) -> None:
        """A proposal with these scores is refused."""
        body = table if isinstance(table, bytes) else parquet_of(table)
        refused(tmp_path, honest | {"scores/challenger.parquet": body}, match)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("column", ["score", "label", "baseline:rate"])
    def test_a_number_that_is_none_is_refused(self, tmp_path: Path, honest: Files, column: str, value: float) -> None:
        """One among a thousand."""
        table = self.table(honest)
        table.loc[7, column] = value

        self.refused(tmp_path, honest, table, "(not finite|empty cells) in the column `")

    @pytest.mark.parametrize("value", [-0.01, 1.01])
    def test_a_probability_outside_of_0_to_1_is_refused(self, tmp_path: Path, honest: Files, value: float) -> None:
        """A log loss of it would be anything."""
        table = self.table(honest)
        table.loc[7, "score"] = value

        self.refused(tmp_path, honest, table, "scores outside of 0 to 1 in the column `score`")

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda table: table.drop(columns="score"), "lacks one of the columns"),
            (lambda table: table.assign(score=table["score"].astype("float32")), "column `score` of the type float"),
            (lambda table: table.assign(score=table["score"].astype(str)), "column `score` of the type large_string"),
            (lambda table: table.assign(label=table["label"].astype("int64")), "column `label` of the type int64"),
            (lambda table: table.assign(cluster=1), "column `cluster` of the type int64"),
            (lambda table: table.assign(when=pd.Timestamp("2013-01-01")), "column `when` of the type timestamp"),
            (
                lambda table: table.assign(cluster=table["cluster"].astype("category")),
                "column `cluster` of the type dict",
            ),
            (lambda table: table.assign(many=[[1.0]] * len(table)), "column `many` of the type list"),
            (lambda table: table.assign(**{"x" * 201: 1}), "a column|one with a very long name"),
            (
                lambda table: pd.concat([table, pd.DataFrame(0, table.index, [f"x{n}" for n in range(100)])], axis=1),
                "more than 100 columns",
            ),
            (lambda table: table.iloc[:0], "has no rows"),
            (lambda table: table.assign(**{"slice:x": "y" * 201}), "a cell of 201 bytes; 200 is the most"),
            (lambda table: table.assign(**{"slice:x": None}).astype({"slice:x": "str"}), "empty cells in the column"),
        ],
    )
    def test_other_columns_and_types_are_refused(
        self, tmp_path: Path, honest: Files, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
    ) -> None:
        """What the columns must be is known beforehand."""
        self.refused(tmp_path, honest, change(self.table(honest)), said)

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"<html>"])
    def test_what_is_no_parquet_is_refused(self, tmp_path: Path, honest: Files, content: bytes) -> None:
        """Truncated, empty, or something else."""
        self.refused(tmp_path, honest, content, "is not a readable table of scores")

    def test_a_damaged_table_is_refused_or_read(self, tmp_path: Path, honest: Files) -> None:
        """One byte changed, here and there: a refusal or a table, never another error."""
        content = honest["scores/challenger.parquet"]
        folder = tmp_path / "evidence" / "scores"
        folder.mkdir(parents=True)
        refusals = 0
        for place in range(4, len(content), len(content) // 150):
            (folder / "challenger.parquet").write_bytes(
                content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]
            )
            try:
                intake._table(tmp_path / "evidence", "scores/challenger.parquet", "binary")
            except intake.Rejected:
                refusals += 1

        assert refusals > 20

    def test_a_table_of_many_rows_is_refused_unread(self, tmp_path: Path, honest: Files) -> None:
        """A column of one value, a million and one times, in a few kilobytes."""
        count = 1_000_001
        table = pa.table({"cluster": ["x"] * count, "label": np.zeros(count), "score": np.zeros(count)})
        target = io.BytesIO()
        parquet.write_table(table, target, compression="zstd")

        self.refused(tmp_path, honest, target.getvalue(), "more than 1,000,000 rows or 200 MB")

    def test_one_large_cell_repeated_is_refused_before_it_is_written_out(self, tmp_path: Path, honest: Files) -> None:
        """A dictionary of one cell of a megabyte, and 900,000 rows that point at it, would be 900 GB."""
        count = 900_000
        cell = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, dtype="int32")), pa.array(["x" * 1_000_000]))
        zeros = pa.array(np.zeros(count))
        target = io.BytesIO()
        table = pa.table({"cluster": cell, "label": zeros, "score": zeros}).cast(
            pa.schema([("cluster", pa.dictionary(pa.int32(), pa.string())), ("label", "f8"), ("score", "f8")])
        )
        parquet.write_table(table, target, compression="zstd", store_schema=False)

        self.refused(tmp_path, honest, target.getvalue(), "a cell of 1,000,000 bytes")

    def test_a_header_that_lies_about_its_size_cannot_take_the_memory(self, tmp_path: Path, honest: Files) -> None:
        """One cell of 1.2 GB says that it has 19 bytes: the kernel refuses the memory, and we the table."""
        size = 1_200_000_000
        zeros = pa.array(np.zeros(1))
        offsets = pa.py_buffer(np.array([0, size], dtype="int32"))
        cell = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(bytes(size))])
        target = io.BytesIO()
        plain = {"store_schema": False, "use_dictionary": False, "write_statistics": False}
        parquet.write_table(
            pa.table({"cluster": cell, "label": zeros, "score": zeros}), target, compression="zstd", **plain
        )
        honestly, content = first_size(target.getvalue()), target.getvalue()
        assert content.count(varint(2 * honestly)) == 1
        lying = content.replace(varint(2 * honestly), varint(2 * 19, length=len(varint(2 * honestly))))
        assert first_size(lying) == 19

        # In a process of its own: this one has had the memory already.
        archive = packed(tmp_path / "evidence.zip", honest | {"scores/challenger.parquet": lying})
        code = "import sys; from pathlib import Path; from ratchet import intake; intake.read(*map(Path, sys.argv[1:]))"
        command = [sys.executable, "-c", code, str(archive), str(tmp_path / "evidence")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stderr.splitlines()[-1].startswith(
            "ratchet.intake.Rejected: In the evidence, scores/challenger.parquet is not a readable table of scores: "
        )
        assert "alloc" in done.stderr.splitlines()[-1]


def first_size(content: bytes) -> int:
    """Bytes of the first column when unpacked, as a Parquet file's header says."""
    return int(parquet.ParquetFile(io.BytesIO(content)).metadata.row_group(0).column(0).total_uncompressed_size)


def varint(value: int, length: int = 1) -> bytes:
    """Thrift's writing of a number, in at least so many bytes."""
    parts = []
    while value or len(parts) < length:
        parts.append(value & 0x7F)
        value >>= 7
    return bytes([part | 0x80 for part in parts[:-1]] + parts[-1:])


class TestKeys:
    """Scores count on our own rows only."""

    @pytest.fixture
    def rows(self, outputs: Path) -> pd.DataFrame:
        """The labelled rows of the holdout, as we would ingest them."""
        return data.load(files.read_json(outputs / data.DATASET), "test", outputs / data.PERIODS)

    @pytest.fixture
    def scores(self, honest: Files) -> pd.DataFrame:
        """The scores of those rows."""
        return pd.read_parquet(io.BytesIO(honest["scores/challenger.parquet"]))

    def test_scores_of_our_rows_pass_in_any_order(self, rows: pd.DataFrame, scores: pd.DataFrame) -> None:
        """Keys join them."""
        intake.check_keys(scores.sample(frac=1, random_state=0), rows, COINS)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda scores: scores.iloc[1:], "1 are missing, 0 are of other rows, 0 are repeated"),
            (lambda scores: pd.concat([scores, scores.iloc[:2]]), "0 are missing, 0 are of other rows, 2 are repeated"),
            (
                lambda scores: pd.concat([scores.iloc[1:], scores.iloc[1:2]]),
                "1 are missing, 0 are of other rows, 1 are",
            ),
        ],
    )
    def test_other_rows_are_refused(
        self, rows: pd.DataFrame, scores: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], said: str
    ) -> None:
        """Missing or repeated, and how many."""
        with pytest.raises(intake.Rejected, match=said):
            intake.check_keys(change(scores), rows, COINS)

    def test_rows_that_we_do_not_know_are_refused(self, rows: pd.DataFrame, scores: pd.DataFrame) -> None:
        """Scores of easier rows do not count."""
        with pytest.raises(intake.Rejected, match="0 are missing, 3 are of other rows, 0 are repeated"):
            intake.check_keys(scores, rows.iloc[3:], COINS)

    def test_other_key_columns_are_refused(self, rows: pd.DataFrame, scores: pd.DataFrame) -> None:
        """One more, one less, or of another type."""
        first = COINS.key[0]

        with pytest.raises(intake.Rejected, match="have the key columns"):
            intake.check_keys(scores.assign(extra=1), rows, COINS)
        with pytest.raises(intake.Rejected, match="have the key columns"):
            intake.check_keys(scores.drop(columns=first), rows, COINS)
        with pytest.raises(intake.Rejected, match=f"in the key column {first}, not"):
            intake.check_keys(scores.assign(**{first: 1.5}), rows, COINS)


def test_the_names_of_columns_are_those_that_evaluation_writes() -> None:
    """One prefix each for baselines and slices."""
    assert (intake.BASELINE, intake.SLICE) == (evaluation.BASELINE, evaluation.SLICE)


def test_reading_leaves_the_memory_limit_as_it_was(tmp_path: Path, honest: Files) -> None:
    """What is bounded is the reading, not the rest of the program."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)

    read(tmp_path, honest)

    assert resource.getrlimit(resource.RLIMIT_AS) == before

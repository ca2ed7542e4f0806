"""The bundle: the same answers as the pipeline, in any environment, and nothing but the bytes of its manifest."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from ratchet import bundle, export, files, persistence, schema, scoring, training
from ratchet.errors import RatchetError
from ratchet.problem import Problem

ROOT = Path(__file__).parents[1]


def throws(count: int = 400) -> pd.DataFrame:
    random = np.random.default_rng(7)
    force = random.uniform(0, 10, count)
    force[::9] = np.nan
    metal = random.choice(["gold", "iron", "tin", None], count)
    turns = pd.array(random.integers(0, 10, count), dtype="Int64")
    turns[::11] = pd.NA
    head = (np.nan_to_num(force) + 3 * (metal == "gold") + random.normal(size=count) > 6).astype(float)
    side = random.choice(["up", "down"], count)
    days = [f"2013-01-{1 + i % 28:02d}" for i in range(count)]
    return pd.DataFrame(
        {
            "throw": range(count),
            "day": days,
            "metal": pd.array(metal, dtype="str"),
            "side": pd.array(side, dtype="str"),
            "force": force,
            "turns": turns,
            "head": head,
        }
    )


@pytest.fixture(scope="module")
def requirements(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The real locked requirements, as the stage `pin` exports them."""
    folder = tmp_path_factory.mktemp("environment")
    sys.path.insert(0, str(ROOT / "pipelines"))
    from pin import export as pinned

    for kind, group in (("treelite", "scoring"), ("skops", "scoring-sklearn")):
        (folder / f"{kind}.txt").write_text(pinned(group))
    return {kind: folder / f"{kind}.txt" for kind in ("treelite", "skops")}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Environments are made once, as for a user."""
    return tmp_path_factory.mktemp("environments")


def fitted(kind: str) -> object:
    frame = throws()
    return Problem("toy_coins").estimator({"kind": kind}, 0).fit(frame.drop(columns="head"), frame["head"])


def built(kind: str, requirements: dict[str, Path], folder: Path) -> Path:
    origin = export.Origin({"2013-01": "a" * 64}, {"model": {"kind": kind}}, 0.25)
    with files.directory(folder) as new:
        export.build(Problem("toy_coins"), fitted(kind), origin, requirements, new)
    return folder


@pytest.mark.parametrize(
    ("kind", "form"),
    [("hist", "treelite"), ("forest", "treelite"), ("extra", "treelite"), ("boosting", "skops"), ("logistic", "skops")],
)
def test_a_bundle_answers_as_its_pipeline(kind: str, form: str, requirements: dict[str, Path], tmp_path: Path) -> None:
    """Holdout rows and made rows, in a batch and one by one: the difference is below 1e-12 for every kind of model."""
    opened = bundle.load(built(kind, requirements, tmp_path / "bundle"))

    difference = export.check_parity(opened, fitted(kind), throws(200))

    assert opened.manifest["kind"] == form
    assert difference <= 1e-12


def test_a_bundle_that_answers_otherwise_is_not_exported(requirements: dict[str, Path], tmp_path: Path) -> None:
    """Parity with another pipeline fails and names the row."""
    opened = bundle.load(built("hist", requirements, tmp_path / "bundle"))

    with pytest.raises(RatchetError, match=r"(?s)parity \(batch\).*nothing was exported\nrow: \{'throw'"):
        export.check_parity(opened, fitted("forest"), throws(50))


def test_an_encoder_that_differs_only_for_unseen_values_is_found(requirements: dict[str, Path], tmp_path: Path) -> None:
    """No holdout row has an unseen category; the made rows do."""
    folder = built("forest", requirements, tmp_path / "bundle")
    encoders = files.read_json(folder / "encoders.json")
    for item in encoders:
        if "categories" in item:
            item["unknown"] = 0.0
    files.write_json(folder / "encoders.json", encoders)
    manifest = files.read_json(folder / "manifest.json")
    manifest["files"]["encoders.json"] = files.sha256(folder / "encoders.json")
    files.write_json(folder / "manifest.json", manifest)

    with pytest.raises(RatchetError, match="made row"):
        export.check_parity(bundle.load(folder), fitted("forest"), throws(200).dropna())


@pytest.mark.parametrize("kind", ["hist", "logistic"])
def test_the_same_model_gives_the_same_bytes(kind: str, requirements: dict[str, Path], tmp_path: Path) -> None:
    """Two fits, two exports, one model digest."""
    first = bundle.digest(built(kind, requirements, tmp_path / "first"))
    second = bundle.digest(built(kind, requirements, tmp_path / "second"))

    assert first == second


def test_a_row_may_leave_out_what_may_be_missing(requirements: dict[str, Path], tmp_path: Path) -> None:
    """None, NaN-less JSON and an absent key mean the same; unknown keys are ignored."""
    opened = bundle.load(built("hist", requirements, tmp_path / "bundle"))

    full = opened.score_row({"throw": 1, "day": "d", "metal": None, "side": "up", "force": 2.0, "turns": None})
    short = opened.score_row({"side": "up", "force": 2.0, "colour": "red"})

    assert full == short


def test_no_rows_give_no_scores(requirements: dict[str, Path], tmp_path: Path) -> None:
    """An empty batch is an empty answer."""
    assert len(bundle.load(built("hist", requirements, tmp_path / "bundle")).score_rows([])) == 0


def test_missing_columns_are_named(requirements: dict[str, Path], tmp_path: Path, cache: Path) -> None:
    """A frame without a column that may not be null is an error, in this environment and in the bundle's own."""
    folder = built("hist", requirements, tmp_path / "bundle")
    frame = throws(3).drop(columns=["side", "day"])

    with pytest.raises(RatchetError, match="the rows lack day, side"):
        bundle.load(folder).score(frame)
    with pytest.raises(RatchetError, match="the rows lack day, side"):
        scoring.score(folder, frame, cache)


@pytest.mark.parametrize("kind", ["hist", "logistic"])
def test_a_bundle_scores_in_its_own_environment(
    kind: str, requirements: dict[str, Path], tmp_path: Path, cache: Path
) -> None:
    """The scores of the bundle's own interpreter, with its own requirements, are those of the pipeline."""
    folder = built(kind, requirements, tmp_path / "bundle")
    frame = throws(60)

    scores = scoring.score(folder, frame, cache)

    expected = training.scores(fitted(kind), frame.drop(columns="head"), "binary")
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


def test_the_environment_of_trees_has_neither_pandas_nor_scikit_learn(
    requirements: dict[str, Path], tmp_path: Path, cache: Path
) -> None:
    """What scores one row of trees carries no training stack."""
    folder = built("hist", requirements, tmp_path / "bundle")
    python = scoring.environment(folder, "3.11", cache)

    done = subprocess.run([python, "-I", "-c", "import pandas"], capture_output=True, text=True, check=False)

    assert "No module named 'pandas'" in done.stderr


def test_a_bundle_made_elsewhere_keeps_its_own_code(requirements: dict[str, Path], tmp_path: Path, cache: Path) -> None:
    """The wheel in the bundle is what runs: change its features, and only its own environment answers differently."""
    folder = built("hist", requirements, tmp_path / "bundle")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["toy_coins/model/features.py"] = parts["toy_coins/model/features.py"].replace(
        b'"force": row["force"]', b'"force": row["force"] * 0'
    )
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    manifest = files.read_json(folder / "manifest.json")
    manifest["files"][wheel.name] = files.sha256(wheel)
    files.write_json(folder / "manifest.json", manifest)
    frame = throws(60)

    theirs = scoring.score(folder, frame, cache)

    assert not np.allclose(theirs, bundle.load(folder).score(frame))


@pytest.mark.parametrize("name", ["model.treelite", "encoders.json", "schema.json", "requirements.txt"])
def test_a_changed_file_is_found(name: str, requirements: dict[str, Path], tmp_path: Path) -> None:
    """One byte more in any file, and the bundle does not open."""
    folder = built("hist", requirements, tmp_path / "bundle")
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")

    with pytest.raises(RatchetError, match=f"{name}: is not the file its manifest names"):
        bundle.load(folder)


def test_missing_surplus_linked_and_outside_files_are_found(requirements: dict[str, Path], tmp_path: Path) -> None:
    """A bundle is exactly its files, and they are files of its own folder."""
    folder = built("hist", requirements, tmp_path / "bundle")
    (folder / "surplus.txt").touch()
    with pytest.raises(RatchetError, match=r"holds surplus\.txt"):
        bundle.load(folder)
    (folder / "surplus.txt").unlink()
    content = (folder / "schema.json").read_bytes()
    (folder / "schema.json").unlink()
    with pytest.raises(RatchetError, match=r"schema.json: is not the file"):
        bundle.load(folder)
    (tmp_path / "schema.json").write_bytes(content)
    (folder / "schema.json").symlink_to(tmp_path / "schema.json")
    with pytest.raises(RatchetError, match=r"schema.json: is not the file"):
        bundle.load(folder)
    (folder / "schema.json").unlink()
    manifest = files.read_json(folder / "manifest.json")
    manifest["files"]["../schema.json"] = manifest["files"].pop("schema.json")
    files.write_json(folder / "manifest.json", manifest)
    with pytest.raises(RatchetError, match=r"schema.json: is not the file"):
        bundle.load(folder)


@pytest.mark.parametrize("content", ["[]", '{"format": 2}', "{"])
def test_what_is_no_bundle_is_refused(content: str, tmp_path: Path) -> None:
    """A folder without a manifest of this format says so."""
    with pytest.raises(RatchetError, match=r"manifest.json: cannot be read"):
        bundle.load(tmp_path)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RatchetError, match=r"manifest.json: is not"):
        bundle.load(tmp_path)


def test_the_row_schema_says_what_a_row_is() -> None:
    """Types, ranges, categories and what may be null, as plain JSON Schema."""
    found = schema.row_schema(Problem("toy_coins"))

    assert found["required"] == ["throw", "day", "side"]
    assert found["additionalProperties"] is False
    assert found["properties"] == {
        "throw": {"type": "integer", "minimum": 0},
        "day": {"type": "string"},
        "metal": {"type": ["string", "null"], "examples": ["gold"]},
        "side": {"type": "string", "enum": ["up", "down"]},
        "force": {"type": ["number", "null"], "minimum": 0, "maximum": 10, "description": "newton"},
        "turns": {"type": ["integer", "null"], "minimum": 0, "maximum": 9},
    }
    assert json.loads(json.dumps(found)) == found


def test_a_model_file_with_foreign_types_is_refused(tmp_path: Path) -> None:
    """A skops file may hold the types of scikit-learn and of the problem; anything else is named and not loaded."""
    persistence.dump({"payload": subprocess.Popen}, tmp_path / "model.skops")

    with pytest.raises(RatchetError, match=r"refused.*subprocess\.Popen"):
        persistence.load(tmp_path / "model.skops", ("toy_coins",))


@pytest.mark.parametrize("content", [b"", b"PK nonsense"])
def test_a_damaged_model_file_is_told(content: bytes, tmp_path: Path) -> None:
    """Truncated or foreign bytes are an error with the file's name."""
    (tmp_path / "model.skops").write_bytes(content)

    with pytest.raises(RatchetError, match=r"model.skops: is not a readable model file"):
        persistence.load(tmp_path / "model.skops", ())


def test_what_does_not_score_is_not_in_the_bundle(requirements: dict[str, Path], tmp_path: Path) -> None:
    """The wheel holds the code of model/; the source and the text of the card may change without it."""
    (wheel,) = built("hist", requirements, tmp_path / "bundle").glob("*.whl")

    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if name.startswith("toy_coins/")}

    assert found == {"toy_coins/", "toy_coins/model/", "toy_coins/model/estimator.py", "toy_coins/model/features.py"}


def test_rows_of_json_lines_become_scores_a_line(
    requirements: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the bundle's environment runs: rows on standard input, scores on standard output."""
    folder = built("hist", requirements, tmp_path / "bundle")
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"side": "up", "force": 2.0}\n{"side": "down"}\n'))

    bundle.main([str(folder)])

    expected = bundle.load(folder).score_rows([{"side": "up", "force": 2.0}, {"side": "down"}])
    assert [float(line) for line in capsys.readouterr().out.splitlines()] == expected.tolist()


def test_an_environment_that_fails_says_why(requirements: dict[str, Path], tmp_path: Path, cache: Path) -> None:
    """Code in the bundle that cannot run is one line with its last word, not a traceback."""
    folder = built("hist", requirements, tmp_path / "bundle")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("ratchet/__init__.py", "")
    manifest = files.read_json(folder / "manifest.json")
    manifest["files"][wheel.name] = files.sha256(wheel)
    files.write_json(folder / "manifest.json", manifest)

    with pytest.raises(RatchetError, match=r"failed in the bundle's environment: ModuleNotFoundError.*ratchet\.bundle"):
        scoring.score(folder, throws(3), cache)


def test_requirements_that_cannot_be_installed_leave_no_environment(tmp_path: Path) -> None:
    """A half-made environment would be taken for a whole one the next time."""
    (tmp_path / "requirements.txt").write_text("no-hash-here==1.0\n")

    with pytest.raises(RatchetError, match="failed in the bundle's environment"):
        scoring.environment(tmp_path, f"{sys.version_info.major}.{sys.version_info.minor}", tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_the_row_schema_knows_every_rule_it_translates() -> None:
    """Open and closed bounds, lengths, patterns, categories that may be missing, and what is private."""
    import pandera.pandas as pa

    columns = {
        "a": pa.Column("float64", [pa.Check.gt(0), pa.Check.lt(1)]),
        "b": pa.Column("str", [pa.Check.str_matches("^x"), pa.Check.str_length(1, 3)], metadata={"private": True}),
        "c": pa.Column("str", pa.Check.isin(["u"]), nullable=True),
        "d": pa.Column("int64", pa.Check(lambda values: values > 0, name="own rule")),
    }

    class Stub(Problem):
        schema = pa.DataFrameSchema(columns)
        target = "none"

    assert schema.row_schema(Stub("toy_coins"))["properties"] == {
        "a": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "b": {"type": "string", "pattern": "^x", "minLength": 1, "maxLength": 3, "private": True},
        "c": {"type": ["string", "null"], "enum": ["u", None]},
        "d": {"type": "integer"},
    }
    columns["d"] = pa.Column("datetime64[ns]")
    Stub.schema = pa.DataFrameSchema(columns)
    with pytest.raises(RatchetError, match=r"column 'd' has type datetime64\[ns\]"):
        schema.row_schema(Stub("toy_coins"))


def test_made_rows_keep_to_a_closed_list_of_numbers() -> None:
    """Only listed numbers, or nothing at all, are made for such a column."""
    row_schema = {"properties": {"size": {"type": ["integer", "null"], "enum": [1, 5, None]}}}

    @given(export.row_strategy(row_schema, {}))
    def check(row: dict[str, object]) -> None:
        assert row["size"] in {1, 5, None}

    check()

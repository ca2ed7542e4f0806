"""The Bento: the judged bytes and main's serving code, the same whenever it is made."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import image_example
from image_example import COMMITTED, ROOT, SHA, VERDICT
from ratchet import bundle, files, image
from ratchet.cli import cli
from ratchet.errors import RatchetError

pytestmark = pytest.mark.xdist_group("image")


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of a model that is exported as trees."""
    return image_example.outputs(tmp_path_factory.mktemp("trees") / "outputs")


@pytest.fixture(scope="module")
def judged(trees: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its candidate, which no test changes."""
    return image_example.candidate(trees, tmp_path_factory.mktemp("judged") / "candidate")


@pytest.fixture(scope="module")
def made(judged: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Its Bento: tag and folder."""
    return image_example.bento(judged, tmp_path_factory.mktemp("made") / "image")


def contents(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Path to bytes, mode and time."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    facts = {path: path.stat() for path in found}
    return {str(p.relative_to(folder)): (p.read_bytes(), facts[p].st_mode, int(facts[p].st_mtime)) for p in found}


class TestBento:
    """What `ratchet image` makes."""

    def test_holds_the_judged_bundle_byte_for_byte(self, judged: Path, made: tuple[str, Path]) -> None:
        """The digest is the one that was judged, and names the Bento."""
        tag, folder = made

        assert bundle.load(folder / "src" / "bundle").digest == bundle.digest(judged / "bundle")
        assert tag == f"toy_coins:{bundle.digest(judged / 'bundle')[:16]}"
        assert yaml.safe_load((folder / "bento.yaml").read_text())["service"] == "ratchet.serving.service:Service"

    def test_is_the_same_when_made_again_for_another_commit(
        self, trees: Path, made: tuple[str, Path], tmp_path: Path
    ) -> None:
        """No clock, commit, verdict or folder is in it, nor in the modes and times of its files."""
        other = {"sha": "e" * 40, "committed": 1, "verdict": None, "tag": "model-v9"}
        folder = image_example.candidate(trees, tmp_path / "candidate", **other)

        again = image_example.bento(folder, tmp_path / "deeper" / "image")

        assert again[0] == made[0]
        assert contents(again[1]) == contents(made[1])

    def test_runs_the_judged_code_and_the_serving_code_of_main(self, judged: Path, made: tuple[str, Path]) -> None:
        """Nothing of the loop that trains, judges or releases comes along."""
        code = made[1] / "src"
        (wheel,) = (judged / "bundle").glob("*.whl")

        with zipfile.ZipFile(wheel) as archive:
            assert (code / "ratchet" / "bundle.py").read_bytes() == archive.read("ratchet/bundle.py")
            assert (code / "toy_coins/model/features.py").read_bytes() == archive.read("toy_coins/model/features.py")
        serving = {path.name for path in (ROOT / image.SERVING).glob("*.py")}
        assert {path.name for path in (code / "ratchet" / "serving").iterdir()} == serving
        assert {path.name for path in (code / "ratchet").iterdir()} == {
            "__init__.py", "bundle.py", "errors.py", "files.py", "persistence.py", "processor.py", "rows.py", "serving",
        }  # fmt: skip

    def test_locks_what_serving_needs_and_not_what_training_needs(self, made: tuple[str, Path]) -> None:
        """From uv.lock, each with its hashes."""
        text = (made[1] / "env" / "python" / "requirements.txt").read_text()
        names = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))

        assert {"bentoml", "numpy", "orjson", "pydantic", "treelite"} <= names
        assert not names & {"pandas", "scikit-learn", "dvc", "mlflow", "pandera", "pip"}
        pins = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
        assert [pin for pin in pins if "--hash=sha256:" not in pin] == []

    def test_says_what_judged_scores_look_like(self, trees: Path, made: tuple[str, Path]) -> None:
        """The figures for the drift alert are those of the scores that were judged."""
        found = files.read_json(made[1] / "src" / "reference.json")
        scores = files.read_parquet(trees / "evaluation" / "scores.parquet")["score"]
        threshold = bundle.read_manifest(made[1] / "src" / "bundle")["threshold"]

        assert found["rows"] == len(scores) == 546
        assert found["score_mean"] == pytest.approx(scores.mean(), abs=1e-5)
        assert found["decision_share"] == pytest.approx((scores >= threshold).mean(), abs=1e-5)

    def test_the_repositorys_own_file_says_nothing_that_is_replaced(self, judged: Path, tmp_path: Path) -> None:
        """Whoever changes a line of it gets what it says."""
        given = yaml.safe_load((ROOT / "bentofile.yaml").read_text())

        source = image.assemble(image.read(judged), ROOT, tmp_path / "source")

        written = yaml.safe_load((source / "bentofile.yaml").read_text())
        assert {name: written[name] for name in given} == given

    def test_of_an_estimator_that_is_no_ensemble_of_trees(self, tmp_path: Path) -> None:
        """It brings scikit-learn and pandas, at the versions of the bundle."""
        made = image_example.outputs(tmp_path / "outputs", "logistic")
        folder = image_example.candidate(made, tmp_path / "candidate")

        _, built = image_example.bento(folder, tmp_path / "image")

        assert bundle.read_manifest(built / "src" / "bundle")["kind"] == "skops"
        names = set(re.findall(r"^([a-z0-9-]+)==", (built / "env/python/requirements.txt").read_text(), re.MULTILINE))
        assert {"pandas", "scikit-learn", "skops", "bentoml"} <= names


class TestRefused:
    """What is never built."""

    def test_a_bundle_that_was_changed(self, judged: Path, tmp_path: Path) -> None:
        """One byte is enough."""
        folder = shutil.copytree(judged, tmp_path / "candidate")
        path = folder / "bundle" / "model.treelite"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)

        with pytest.raises(RatchetError, match=r"model\.treelite: is not the file its manifest names"):
            image.read(folder)

    def test_a_bundle_that_is_another_than_was_judged(self, trees: Path, tmp_path: Path) -> None:
        """Though it is whole."""
        folder = image_example.candidate(trees, tmp_path / "candidate", model_digest="f" * 64)

        with pytest.raises(RatchetError, match="judged was ffffffffffff\nnothing is made of it"):
            image.read(folder)

    def test_a_candidate_that_ships_nothing(self, trees: Path, tmp_path: Path) -> None:
        """It says why."""
        said = {"next": "nothing", "sentence": "The model is that of model-v1."}
        folder = image_example.candidate(trees, tmp_path / "candidate", **said)

        with pytest.raises(RatchetError, match=r"there is nothing to ship: The model is that of model-v1\."):
            image.read(folder)

    def test_a_model_judged_with_other_versions_than_would_serve_it(self, trees: Path, tmp_path: Path) -> None:
        """Its own requirements are part of what was judged."""
        made = tmp_path / "outputs"
        shutil.copytree(trees, made)
        path = made / "bundle" / "requirements.txt"
        path.write_text(re.sub(r"^numpy==\S+ ;", "numpy==2.4.0 ;", path.read_text(), flags=re.MULTILINE))
        manifest = files.read_json(made / "bundle" / "manifest.json")
        manifest["files"]["requirements.txt"] = files.sha256(path)
        files.write_json(made / "bundle" / "manifest.json", manifest)
        folder = image_example.candidate(made, tmp_path / "candidate")

        with pytest.raises(RatchetError, match=r"^numpy: the model was judged with 2\.4\.0, uv\.lock's serving group"):
            image_example.bento(folder, tmp_path / "image")
        assert not (tmp_path / "image").exists()

    def test_code_that_would_be_written_elsewhere(self, trees: Path, tmp_path: Path) -> None:
        """A wheel is an archive, and archives can name any place."""
        made = tmp_path / "outputs"
        shutil.copytree(trees, made)
        (wheel,) = (made / "bundle").glob("*.whl")
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("ratchet/../../evil.py", "")
        manifest = files.read_json(made / "bundle" / "manifest.json")
        manifest["files"][wheel.name] = files.sha256(wheel)
        files.write_json(made / "bundle" / "manifest.json", manifest)
        folder = image_example.candidate(made, tmp_path / "candidate")

        with pytest.raises(RatchetError, match=r"holds 'ratchet/\.\./\.\./evil\.py', which would be written elsewhere"):
            image_example.bento(folder, tmp_path / "image")

    def test_a_repository_that_serves_nothing(self, judged: Path, tmp_path: Path) -> None:
        """Called in the wrong folder."""
        with pytest.raises(RatchetError, match=r"serving: is not there\nrun this at the root of the repository"):
            image.build(image.read(judged), tmp_path, tmp_path / "image")

    @pytest.mark.parametrize(
        ("served", "said"),
        [
            ("numpy==2.4.6 ; python_full_version < '3.12'\n", "treelite: the model was judged with 4.8.1, .* has none"),
            ("numpy==2.4.5\ntreelite==4.8.1\n", "numpy: the model was judged with 2.4.6, .* has 2.4.5"),
        ],
        ids=["one is missing", "one differs"],
    )
    def test_requirements_that_differ(self, served: str, said: str) -> None:
        """By package."""
        judged = "numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=sha256:00\ntreelite==4.8.1\n"

        with pytest.raises(RatchetError, match=said):
            image.check_requirements(judged, served, "3.11")

    def test_requirements_of_another_python_do_not_count(self) -> None:
        """A lock is for several of them."""
        judged = "numpy==2.4.6 ; python_full_version < '3.12'\nnumpy==2.5.5 ; python_full_version >= '3.12'\n"
        served = "numpy==2.4.6 ; python_full_version < '3.12'\nnumpy==2.5.4 ; python_full_version >= '3.12'\n"

        image.check_requirements(judged, served, "3.11")

        with pytest.raises(RatchetError, match=r"judged with 2\.5\.5"):
            image.check_requirements(judged, served, "3.12")


class TestReference:
    """What the judged scores look like."""

    def test_follows_from_the_calibration_and_the_decisions(self) -> None:
        """A mean weighted by rows; recall times rate of labels, by precision."""
        evaluation = {
            "calibration": [
                {"predicted": 0.1, "observed": 0, "rows": 30},
                {"predicted": 0.5, "observed": 1, "rows": 10},
            ],
            "metrics": [{"name": "precision", "value": 0.5}, {"name": "recall", "value": 0.4}],
            "label_mean": 0.25,
        }

        assert image.reference(evaluation) == {"score_mean": 0.2, "decision_share": 0.2, "rows": 40}

    @pytest.mark.parametrize("metrics", [[], [{"name": "precision", "value": None}]], ids=["regression", "no decision"])
    def test_has_no_share_where_nothing_is_decided(self, metrics: list[Mapping[str, object]]) -> None:
        """A regression, or a model that never says yes, whose precision does not exist."""
        evaluation = {"calibration": [{"predicted": 30.0, "observed": 31, "rows": 5}], "metrics": metrics}

        assert image.reference(evaluation) == {"score_mean": 30.0, "decision_share": None, "rows": 5}


class TestNames:
    """How an image is called, and what it says of itself."""

    def test_are_the_releases_and_the_models(self, judged: Path) -> None:
        """In small letters, for a registry refuses others; the labels are those of the OCI."""
        digest = bundle.digest(judged / "bundle")

        found = image.names(image.read(judged), "toy_coins:1", "Ada/Flights", "https://github.com", "ghcr.io")

        assert found.name == "ghcr.io/ada/flights"
        assert found.tags == ("ghcr.io/ada/flights:model-v2", f"ghcr.io/ada/flights:{digest[:16]}")
        assert found.labels == {
            "org.opencontainers.image.title": "toy_coins",
            "org.opencontainers.image.version": "model-v2",
            "org.opencontainers.image.revision": SHA,
            "org.opencontainers.image.source": "https://github.com/Ada/Flights",
            "org.opencontainers.image.created": "2025-11-24T16:00:00Z",
            "ratchet.bento": "toy_coins:1",
            "ratchet.model": digest,
            "ratchet.record": VERDICT,
        }
        assert found.build_args == {
            "RATCHET_COMMIT": SHA,
            "RATCHET_RECORD": VERDICT,
            "RATCHET_RELEASE": "model-v2",
            "RATCHET_RELEASED": str(COMMITTED),
            "RATCHET_SOURCE": "https://github.com/Ada/Flights",
        }

    def test_every_argument_is_one_of_the_dockerfile(self, judged: Path) -> None:
        """One that it does not take would be lost without a word."""
        found = image.names(image.read(judged), "toy_coins:1", "ada/flights", "https://github.com", "ghcr.io")
        text = (ROOT / "deploy" / "Dockerfile").read_text()

        assert set(re.findall(r'(RATCHET_\w+)=""', text)) == set(found.build_args)
        assert set(re.findall(r"(RATCHET_\w+)=\$\{\1\}", text)) == set(found.build_args)


def test_a_job_gets_the_names_as_outputs(judged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists line by line, as docker/build-push-action takes them."""
    output = tmp_path / "output"
    monkeypatch.chdir(ROOT)
    variables = {"GITHUB_OUTPUT": str(output), "GITHUB_REPOSITORY": "ada/flights", "GITHUB_SERVER_URL": "https://g.x"}
    place = tmp_path / "image"

    done = CliRunner().invoke(cli, ["image", str(judged), "--out", str(place)], env={**os.environ, **variables})

    digest = bundle.digest(judged / "bundle")
    assert done.exception is None, done.output
    assert done.output == f"toy_coins:{digest[:16]} in {place / 'bento'}, for ghcr.io/ada/flights:model-v2\n"
    text = output.read_text()
    assert f"bento=toy_coins:{digest[:16]}\ncontext={place / 'bento'}\nname=ghcr.io/ada/flights\n" in text
    assert f"tags<<=====\nghcr.io/ada/flights:model-v2\nghcr.io/ada/flights:{digest[:16]}\n=====\n" in text
    assert f"build-args<<=====\nRATCHET_COMMIT={SHA}\n" in text
    assert "RATCHET_SOURCE=https://g.x/ada/flights\n=====\n" in text


def test_the_apis_of_the_bento_are_what_bentoml_found(made: tuple[str, Path]) -> None:
    """It could import the service from what is in the Bento alone, and says so without our own modules."""
    found = json.loads((made[1] / "apis" / "schema.json").read_text())

    assert (found["name"], found["type"]) == ("ratchet", "service")

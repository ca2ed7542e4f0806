"""The smoke test: a running image must be the judged model, and score as was judged, before anything points to it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import image_example
from image_example import ROOT
from ratchet import bundle, evaluation, files, image, smoke
from ratchet.cli import cli
from ratchet.errors import RatchetError
from rehearsal.registry import Registry
from rehearsal.runner import standins

pytestmark = pytest.mark.xdist_group("image")

NAME = "ghcr.io/ada/flights"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A candidate with its Bento, and a registry."""
    made = tmp_path_factory.mktemp("smoke")
    image_example.candidate(image_example.outputs(made / "outputs"), made / "candidate")
    image_example.bento(made / "candidate", made / "image")
    return made


@pytest.fixture(scope="module")
def pushed(folder: Path) -> str:
    """Its image, by digest; a Bento, which takes seconds less."""
    called = image.names(image.read(folder / "candidate"), "coins:1", "ada/flights", "https://github.com", "ghcr.io")
    registry = Registry(folder / "registry", "bento")
    digest = registry.push(NAME, folder / "image" / "bento", DOCKERFILE, ["model-v2"], called.labels, called.build_args)
    return f"{NAME}@{digest}"


@pytest.fixture
def docker(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The stand-in first on PATH; whatever it has started is gone at the end. The folder of its containers."""
    standins.docker(tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("REHEARSAL_REGISTRY", str(folder / "registry"))
    containers = folder / "registry" / "containers"
    yield containers
    assert list(containers.glob("*")) == []


@pytest.fixture
def changed(folder: Path, tmp_path: Path) -> Path:
    """A copy of the candidate, to be changed."""
    return Path(shutil.copytree(folder / "candidate", tmp_path / "candidate"))


def test_the_judged_model_passes(docker: Path, pushed: str, folder: Path, tmp_path: Path) -> None:
    """Every row, one by one and in a batch; the report has the figures, and the container is gone."""
    done = CliRunner().invoke(
        cli, ["smoke", pushed, "--candidate", str(folder / "candidate"), "--out", str(tmp_path / "built")]
    )

    assert done.exception is None, done.output
    assert "; the scores of 182 rows are the judged ones; p50 " in done.output
    report = files.read_json(tmp_path / "built" / "smoke.json")
    assert set(report) == {
        *("image", "model", "rows", "largest_difference"),
        *("ready_seconds", "p50_ms", "p99_ms"),
    }
    assert (report["image"], report["model"]) == (pushed, smoke.read(folder / "candidate").model)
    assert (report["rows"], report["largest_difference"]) == (182, 0.0)
    assert 0 < report["p50_ms"] <= report["p99_ms"] < smoke.P99_MS
    assert 0 < report["ready_seconds"] < smoke.READY_SECONDS


def test_a_row_that_scores_otherwise_fails(docker: Path, pushed: str, changed: Path) -> None:
    """By little; the message names the row, and how many there are."""
    path = changed / "smoke.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[3]["score"] += 1e-9
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    with pytest.raises(RatchetError) as told:
        smoke.smoke(pushed, smoke.read(changed))

    first, second = str(told.value).splitlines()
    assert first.startswith("/predict: 1 of 182 rows do not score as was judged; row 3 scores 0.")
    assert second == "the row is line 4 of smoke.jsonl in the artifact `candidate`", "its values may be private"


def test_another_model_fails(docker: Path, pushed: str, changed: Path) -> None:
    """Whatever it scores."""
    about = files.read_json(changed / "candidate.json")
    files.write_json(changed / "candidate.json", {**about, "model_digest": "f" * 64})

    with pytest.raises(
        RatchetError, match=f"^/info: the image serves the model [0-9a-f]{{64}}, judged was {'f' * 64}$"
    ):
        smoke.smoke(pushed, smoke.read(changed))


def test_a_row_that_is_refused_fails(docker: Path, pushed: str, changed: Path) -> None:
    """What the service says of it is shown, but no value: its column may be private, and the log is public."""
    line = {"row": {"throw": 1, "day": "2013-02-01", "side": "edge"}, "score": 0.5}
    (changed / "smoke.jsonl").write_text(f"{json.dumps(line)}\n")

    with pytest.raises(RatchetError, match=r"^/predict: answers 422: .*side") as told:
        smoke.smoke(pushed, smoke.read(changed))

    assert "edge" not in str(told.value)


def test_a_slow_image_fails(docker: Path, pushed: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it took, and the bound."""
    monkeypatch.setattr(smoke, "P50_MS", 0.001)

    with pytest.raises(
        RatchetError, match=r"^/predict: p50 is \d+\.\d ms and p99 \d+\.\d ms; the bounds are 0\.001 and"
    ):
        smoke.smoke(pushed, smoke.read(folder / "candidate"))


def test_an_image_that_does_not_start_fails(
    docker: Path, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """At once, with its last lines; here the model was damaged after it was judged."""
    broken = Path(shutil.copytree(folder / "image" / "bento", tmp_path / "bento"))
    (broken / "src" / "bundle" / "model.treelite").write_bytes(b"no trees")
    digest = Registry(folder / "registry", "bento").push(NAME, broken, DOCKERFILE)

    with pytest.raises(RatchetError, match=r"^the container ended after"):
        smoke.smoke(f"{NAME}@{digest}", smoke.read(folder / "candidate"))

    assert "model.treelite: is not the file its manifest names" in capfd.readouterr().out


def test_an_image_that_is_not_there_fails(docker: Path, folder: Path) -> None:
    """What docker says is told."""
    nowhere = f"{NAME}@sha256:{'0' * 64}"

    with pytest.raises(RatchetError, match=f"^docker run: {nowhere}: is not in the registry"):
        smoke.smoke(nowhere, smoke.read(folder / "candidate"))


def test_without_docker_it_says_so(pushed: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RatchetError, match=r"^docker is not installed"):
        smoke.smoke(pushed, smoke.read(folder / "candidate"))


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "has no rows, so nothing could be compared"), ("{]", "cannot be read: Expecting property name")],
    ids=["no rows", "no JSON"],
)
def test_rows_that_cannot_be_asked_for_fail(changed: Path, text: str, said: str) -> None:
    """A smoke test of nothing would always pass."""
    (changed / "smoke.jsonl").write_text(text)

    with pytest.raises(RatchetError, match=said):
        smoke.read(changed)


def test_the_decimals_are_those_of_judged_scores() -> None:
    """Fewer would hide a difference, more would find one where the CPU is another."""
    assert smoke.DECIMALS == evaluation.DECIMALS


def test_the_candidate_says_which_model_was_judged(folder: Path) -> None:
    """Not the bundle beside it, which is what is looked for."""
    assert smoke.read(folder / "candidate").model == bundle.digest(folder / "candidate" / "bundle")

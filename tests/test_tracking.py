"""MLflow gets one run for each outputs; a server that is down or slow costs a line of text and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from ratchet import bundle, export, files, params, tracking
from ratchet.errors import RatchetError
from ratchet.problem import Problem
from rehearsal.ports import free_port
from rehearsal.project import PARAMS

PIPELINE = "stages:\n  export:\n    cmd: 'true'\n    outs:\n      - bundle\n"
LOAD = """
import sys
import mlflow.pyfunc
import pandas as pd

model = mlflow.pyfunc.load_model(sys.argv[1])
print(model.predict(pd.read_parquet(sys.argv[2])).tolist())
"""


def throws(count: int = 200) -> pd.DataFrame:
    random = np.random.default_rng(3)
    turns = pd.array(random.integers(0, 10, count), dtype="Int64")
    turns[::7] = pd.NA
    force = np.where(np.arange(count) % 9, random.uniform(0, 10, count), np.nan)
    return pd.DataFrame(
        {
            "throw": range(count),
            "day": [f"2013-01-{1 + i % 28:02d}" for i in range(count)],
            "metal": pd.array(random.choice(["gold", "iron", None], count), dtype="str"),
            "side": pd.array(random.choice(["up", "down"], count), dtype="str"),
            "force": force,
            "turns": turns,
            "head": (np.nan_to_num(force) + random.normal(size=count) > 5).astype(float),
        }
    )


def write_bundle(folder: Path, scratch: Path, seed: int = 0) -> None:
    frame = throws()
    (scratch / "requirements.txt").write_text("numpy==2.4.6 \\\n    --hash=sha256:00\n", encoding="utf-8")
    pipeline = Problem("toy_coins").estimator({"kind": "forest"}, seed).fit(frame.drop(columns="head"), frame["head"])
    origin = export.Origin({"2013-01": "a" * 64}, {"model": {"kind": "forest"}}, 0.25)
    with files.directory(folder) as new:
        export.build(Problem("toy_coins"), pipeline, origin, {"treelite": scratch / "requirements.txt"}, new)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs of a small problem, as `dvc repro` leaves them."""
    root = tmp_path_factory.mktemp("template")
    write_bundle(root / "bundle", tmp_path_factory.mktemp("scratch"))
    batch = {"rows": 200, "labelled": 200, "quarantined": 0}
    dataset = {"train": {"2013-01": {**batch, "sha256": "a" * 64}}, "test": {"2013-02": {**batch, "sha256": "b" * 64}}}
    files.write_json(root / "data/dataset.json", {"task": "binary", "target": "head", **dataset})
    files.write_parquet(root / "data/periods/2013-02/rows.parquet", throws())
    files.write_json(root / "model/training.json", {"threshold": 0.25, "cost_ratio": 2.0, "rows": 200, "folds": []})
    metrics = {"rows": 200, "log_loss": 0.5, "roc_auc": None, "baseline": {"rate": {"log_loss": 0.625}}}
    files.write_json(root / "evaluation/metrics.json", metrics)
    files.write_json(root / "evaluation/evaluation.json", {"metrics": []})
    files.write_text(root / "card/MODEL_CARD.md", "# Coins\n")
    given = PARAMS.read_text(encoding="utf-8").replace("problem: flights", "problem: toy_coins")
    files.write_text(root / "params.yaml", given)
    files.write_text(root / "dvc.yaml", PIPELINE)
    return root


@pytest.fixture
def fresh(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the outputs where nothing was ever recorded, and no tracking server set."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return shutil.copytree(template, tmp_path / "project")


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow's without any run; it takes seconds to make."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def root(fresh: Path, empty_database: Path) -> Path:
    """The same with an empty database."""
    shutil.copy(empty_database, fresh / "mlflow.db")
    return fresh


def record(root: Path) -> tracking.Recorded:
    return tracking.record(root, params.load(root / "params.yaml"))


def client(root: Path) -> MlflowClient:
    return MlflowClient(tracking.tracking_uri(root))


def test_a_run_holds_what_the_outputs_say(root: Path) -> None:
    """Parameters, metrics, datasets by digest, tags, the card and the model; a figure that is null is left out."""
    recorded = record(root)

    run = client(root).get_run(recorded.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.learning_rate"] == "0.05"
    assert run.data.params["data.checks.rows"] == "[0.7, 1.4]"
    assert run.data.params["threshold"] == "0.25"
    assert run.data.metrics == {"rows": 200, "log_loss": 0.5, "baseline.rate.log_loss": 0.625}
    assert run.data.tags["ratchet.model_digest"] == bundle.digest(root / "bundle")
    assert len(run.data.tags["ratchet.lock_digest"]) == 64
    inputs = {(i.dataset.name, i.dataset.digest, i.tags[0].value) for i in run.inputs.dataset_inputs}
    assert inputs == {("toy_coins 2013-01", "a" * 36, "training"), ("toy_coins 2013-02", "b" * 36, "testing")}
    assert json.loads(run.inputs.dataset_inputs[0].dataset.profile)["rows"] == 200
    assert len(run.outputs.model_outputs) == 1
    artifacts = {item.path for item in client(root).list_artifacts(recorded.run_id)}
    assert artifacts == {"MODEL_CARD.md", "evaluation.json"}


def test_nothing_is_written_but_the_database_and_its_artifacts(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded from another folder, the run still lies beside the outputs, and nothing anywhere else."""
    before = {path.name for path in fresh.iterdir()}
    elsewhere = fresh.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    record(fresh)

    assert {path.name for path in fresh.iterdir()} - before == {"mlflow.db", "mlruns"}
    assert list(elsewhere.iterdir()) == []


def test_the_commit_is_a_tag(root: Path) -> None:
    """The commit that is checked out when the run is recorded, where there is one."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "--quiet"], cwd=root, check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "x"], cwd=root, check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout

    recorded = record(root)

    assert client(root).get_run(recorded.run_id).data.tags["mlflow.source.git.commit"] == head.strip()


def test_the_same_outputs_are_one_run(root: Path) -> None:
    """Recorded twice, there is one run and one version, and the second time says so."""
    first, second = record(root), record(root)

    assert (first.is_new, second.is_new) == (True, False)
    assert second.run_id == first.run_id
    assert len(client(root).search_runs(["1"])) == 1
    assert [str(v) for v in tracking.versions(root)] == [f"   1  {first.digest}  challenger"]
    assert str(second).startswith(
        f"already recorded: model {first.digest[:12]} is version 1, run {first.run_id} in sqli"
    )


def test_another_lock_with_the_same_model_is_another_run_of_the_same_version(root: Path) -> None:
    """The model digest names the version, model digest and lock digest together name the run."""
    first = record(root)
    out = "    - path: bundle\n      md5: d41d8cd98f00b204e9800998ecf8427e\n"
    lock = f"schema: '2.0'\nstages:\n  export:\n    cmd: other\n    outs:\n{out}"
    (root / "dvc.lock").write_text(lock, encoding="utf-8")

    second = record(root)

    assert second.is_new
    assert second.run_id != first.run_id
    assert second.version == first.version == "1"
    assert len(tracking.versions(root)) == 1


def test_a_run_cut_off_by_a_kill_is_recorded_anew(root: Path) -> None:
    """What a kill has left unfinished is removed; one finished run remains."""
    digests = tracking.read(root, params.load(root / "params.yaml"))
    server = client(root)
    tags = {tracking.MODEL_DIGEST: digests.model_digest, tracking.LOCK_DIGEST: digests.lock_digest}
    cut_off = server.create_run(server.create_experiment("ratchet"), tags=tags).info.run_id

    recorded = record(root)

    assert recorded.is_new
    assert [run.info.run_id for run in server.search_runs(["1"])] == [recorded.run_id]
    assert server.get_run(cut_off).info.lifecycle_stage == "deleted"


def test_a_promoted_challenger_is_champion_and_the_next_model_challenges_it(root: Path) -> None:
    """Aliases follow the digests: the champion is no challenger, not even when it is recorded again."""
    champion = record(root).digest
    tracking.promote(champion[:10], root)
    record(root)
    assert [(v.version, v.aliases) for v in tracking.versions(root)] == [("1", ("champion",))]

    write_bundle(root / "bundle", root.parent, seed=1)
    challenger = record(root).digest

    assert [(v.digest, v.aliases) for v in tracking.versions(root)] == [
        (champion, ("champion",)),
        (challenger, ("challenger",)),
    ]
    tracking.promote(challenger, root)
    assert [v.aliases for v in tracking.versions(root)] == [(), ("champion",)]


def test_an_unknown_digest_cannot_be_promoted(root: Path) -> None:
    """The error says where to look for those that can."""
    record(root)

    with pytest.raises(
        RatchetError, match=r"no versions of toy_coins have a model digest that begins with 0000\n`ratchet"
    ):
        tracking.promote("0000", root)


def test_the_registered_model_loads_in_a_fresh_process_with_its_own_code(root: Path) -> None:
    """MLflow alone loads it, where neither the problem's package nor the project is at hand, and scores the same."""
    record(root)
    holdout = root / "data/periods/2013-02/rows.parquet"
    frame = pd.read_parquet(holdout).drop(columns="head")
    frame.to_parquet(root.parent / "rows.parquet")
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking.tracking_uri(root), "MLFLOW_DISABLE_TELEMETRY": "true"}

    done = subprocess.run(
        [sys.executable, "-c", LOAD, "models:/toy_coins@challenger", str(root.parent / "rows.parquet")],
        cwd=root.parent,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )

    assert json.loads(done.stdout) == bundle.load(root / "bundle").score(frame).tolist()


def test_the_model_has_signature_example_and_requirements_and_no_pickle(root: Path) -> None:
    """What a server of MLflow's needs to know about the model lies beside it as text."""
    record(root)

    (model,) = (root / "mlruns" / "models").glob("m-*/artifacts")
    described = (model / "MLmodel").read_text(encoding="utf-8")
    assert '{"type": "double", "name": "force", "required": false}' in " ".join(described.split())
    assert json.loads((model / "input_example.json").read_text())["columns"][0] == "throw"
    assert "numpy==2.4.6\n" in (model / "requirements.txt").read_text() + "\n"
    assert not list(model.rglob("*.pkl"))


def test_incomplete_outputs_are_not_recorded(fresh: Path) -> None:
    """A file that is missing is named before MLflow is asked at all."""
    (fresh / "model/training.json").unlink()

    with pytest.raises(RatchetError, match=r"training\.json: cannot be read"):
        record(fresh)

    assert not (fresh / "mlflow.db").exists()


def test_an_unreadable_database_is_one_line(root: Path) -> None:
    """A file that is no database is an error of ours, with MLflow's address and its first reason."""
    (root / "mlflow.db").write_bytes(b"no database" * 100)

    with pytest.raises(RatchetError, match=r"^MLflow at sqlite:///.*mlflow\.db: .*file is not a database") as caught:
        record(root)

    assert "\n" not in str(caught.value)


def test_a_server_that_is_down_costs_one_line(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: the line names the address without its password, and what to do later."""
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
    said: list[str] = []

    is_recorded = tracking.record_bounded(fresh, timeout=60, echo=said.append)

    assert not is_recorded
    assert said == [
        f"not recorded: MLflow at http://127.0.0.1:{port}: Connection refused; "
        "the outputs are complete, `ratchet track` records the run later"
    ]


def test_a_server_that_never_answers_is_left_after_the_timeout(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts the connection and is silent: the child is killed, and nothing of it goes on."""
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")
        start = time.monotonic()

        is_recorded = tracking.record_bounded(fresh, timeout=8, echo=said.append)

        took = time.monotonic() - start
        server.settimeout(0)
        connection, _ = server.accept()  # the child did call
        connection.close()
    assert not is_recorded
    assert 8 <= took < 12
    assert said == [
        f"not recorded: MLflow at http://127.0.0.1:{port}: no answer within 8 s; "
        "the outputs are complete, `ratchet track` records the run later"
    ]


def test_a_slow_server_is_given_up_before_the_timeout(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request is bounded too, and the user's own bounds are kept."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

        with pytest.raises(RatchetError, match=r"^MLflow at http://127\.0\.0\.1:\d+: .*timed out"):
            record(fresh)


def test_the_local_database_takes_the_run_in_a_child_process(root: Path) -> None:
    """What the child says is passed on, and the run is there."""
    said: list[str] = []

    is_recorded = tracking.record_bounded(root, timeout=120, echo=said.append)

    (version,) = tracking.versions(root)
    assert is_recorded
    assert said == [
        f"recorded: model {version.digest[:12]} is version 1, run {version.run_id} in {tracking.tracking_uri(root)}"
    ]


def test_a_runner_whose_disk_is_thrown_away_records_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a server would keep it; no database is made."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said: list[str] = []

    is_recorded = tracking.record_bounded(root, timeout=120, echo=said.append, command=["false"])

    assert not is_recorded
    assert said == ["not recorded: the disk of this runner is thrown away, and MLFLOW_TRACKING_URI names no server"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real MLflow server on loopback."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", f"{tmp_path}/store"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment = {**os.environ, **quiet}
    process = subprocess.Popen(
        [*command, *stores],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    assert process.stdout is not None
    log = []
    for line in process.stdout:
        log.append(line)
        if "Uvicorn running" in line:
            break
    else:
        pytest.fail("".join(log))
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGKILL)  # with its workers
    process.communicate()


def test_a_server_takes_run_model_and_aliases(fresh: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`MLFLOW_TRACKING_URI` redirects everything, the artifacts too; nothing is left beside the outputs."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)

    recorded = record(fresh)
    tracking.promote(recorded.digest, fresh)

    assert recorded.uri == server
    assert not record(fresh).is_new
    assert [v.aliases for v in tracking.versions(fresh)] == [("champion",)]
    assert not (fresh / "mlflow.db").exists()
    assert not (fresh / "mlruns").exists()
    assert list((fresh.parent / "store").rglob("model.treelite"))


def test_credentials_are_never_shown() -> None:
    """Neither user nor password of a URI reaches a log; anything else stays as it is."""
    assert tracking.shown("https://me:secret@example.org:5000/x") == "https://example.org:5000/x"
    assert tracking.shown("sqlite:////tmp/mlflow.db") == "sqlite:////tmp/mlflow.db"

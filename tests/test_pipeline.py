"""The DVC pipeline, driven end to end as a user drives it, in copies of the repository.

Most tests put the tiny regression of tests/problems/toy_delays in the place of the flights: the same dvc.yaml, the same
stage scripts, another package in `src/`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import project
from project import Project
from ratchet import params

pytestmark = pytest.mark.xdist_group("pipeline")

ROOT = Path(__file__).resolve().parents[1]
AFTER_INGEST = ["assemble", "train", "export", "evaluate", "card", "track"]
CLOSED_PORT = "http://127.0.0.1:9"

# Every Python process that finds this leaves a file that says which program it was and which files it has imported.
TRACER = """
import atexit, json, os, sys

def leave():
    files = sorted({os.path.realpath(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)})
    with open(os.path.join(os.environ["TRACES"], f"{os.getpid()}.json"), "w") as file:
        json.dump({"program": sys.argv[0], "files": files}, file)

atexit.register(leave)
"""


@pytest.fixture(scope="session")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny problem with three periods, reproduced from nothing and committed. Tests work on twins of it."""
    made = project.delays(tmp_path_factory.mktemp("delays") / "champion")
    made.repro(**tracing(made))
    made.commit("The champion")
    return made


@pytest.fixture
def twin(champion: Project, tmp_path: Path) -> Project:
    return champion.twin(tmp_path / "twin")


# --- what runs -------------------------------------------------------------------------------------------------------


def test_a_regression_goes_through_the_same_pipeline(champion: Project) -> None:
    """Another problem package, another task, not linear trees: every output is there and says so."""
    evaluation = champion.read("evaluation/evaluation.json")

    assert champion.read("bundle/manifest.json")["kind"] == "skops"
    assert champion.read("bundle/manifest.json")["problem"] == "delays"
    assert evaluation["task"] == "regression"
    assert evaluation["threshold"] is None
    assert evaluation["clusters"] == 31
    assert [case["passed"] for case in evaluation["behaviour"]] == [True, True, True]
    metrics = champion.read("evaluation/metrics.json")
    assert metrics["mae"] < 0.75 * metrics["baseline"]["mean"]["mae"]
    assert "regression" in (champion.root / "card" / "MODEL_CARD.md").read_text().lower()
    assert (champion.root / "card" / "card.html").is_file()


def test_nothing_runs_when_nothing_has_changed(twin: Project) -> None:
    """A second `dvc repro` runs no stage and leaves the working tree clean."""
    done = twin.dvc("repro")

    assert (done.code, done.ran) == (0, [])
    assert "Data and pipelines are up to date." in done.out
    assert twin.run("git", "status", "--porcelain").out == ""


def test_a_new_period_costs_its_own_ingest(champion: Project, twin: Project, tmp_path: Path) -> None:
    """One `ingest` and the stages after it; the result is that of a copy which had the period from the beginning."""
    periods = ["2021-01", "2021-02", "2021-03", "2021-04"]
    twin.edit(data__periods=periods)

    ran = twin.repro(OMP_NUM_THREADS="1")

    assert ran == ["ingest@2021-04", *AFTER_INGEST]
    dataset = twin.read("data/dataset.json")
    assert (list(dataset["train"]), list(dataset["test"])) == (periods[:3], periods[3:])
    scratch = project.delays(tmp_path / "scratch", data__periods=periods)
    scratch.repro(OMP_NUM_THREADS="2")
    assert twin.hashes() == scratch.hashes()
    assert twin.model_digest == scratch.model_digest != champion.model_digest
    assert twin.lock_digest == scratch.lock_digest != champion.lock_digest


def test_a_linear_model_is_the_same_bytes_on_any_processor(champion: Project, twin: Project) -> None:
    """With all the loops that NumPy has here as with those for AVX2; its kernel of BLAS is the same everywhere."""
    done = twin.dvc("repro", "--force", "--no-run-cache", NPY_DISABLE_CPU_FEATURES="")

    assert (done.code, done.ran) == (0, ["pin", "ingest@2021-01", "ingest@2021-02", "ingest@2021-03", *AFTER_INGEST]), (
        done.out
    )
    assert twin.hashes() == champion.hashes()
    assert twin.model_digest == champion.model_digest
    assert (twin.root / "dvc.lock").read_bytes() == (champion.root / "dvc.lock").read_bytes()
    assert_another_kernel_gives_the_same_figures(twin)


def test_a_removed_period_leaves_nothing_behind(champion: Project, twin: Project) -> None:
    """No `ingest` runs, and files, model digest and lock digest are those of a project that never saw the period."""
    twin.edit(data__periods=["2021-01", "2021-02", "2021-03", "2021-04"])
    twin.repro()
    twin.edit(data__periods=["2021-01", "2021-02", "2021-03"])

    ran = twin.repro()

    assert [stage for stage in ran if stage.startswith("ingest")] == []
    assert not (twin.root / "data" / "periods" / "2021-04").exists()
    assert "2021-04" not in (twin.root / "data" / "dataset.json").read_text()
    assert twin.hashes() == champion.hashes()
    assert twin.model_digest == champion.model_digest
    assert twin.lock_digest == champion.lock_digest
    assert twin.repro() == []


def test_lost_outputs_are_made_again_byte_for_byte(champion: Project, twin: Project) -> None:
    """Outputs removed and the cache emptied: the same files, and the same dvc.lock."""
    twin.forget()
    assert twin.hashes() == {}

    ran = twin.repro()

    assert "train" in ran
    assert twin.hashes() == champion.hashes()
    assert twin.run("git", "status", "--porcelain").out == ""


def test_an_experiment_on_a_parameter_of_the_model_ingests_nothing(twin: Project) -> None:
    """`dvc exp run -S model.alpha=10` trains anew, and `dvc exp show` puts its metrics beside the champion's."""
    done = twin.dvc("exp", "run", "--name", "stronger", "--set-param", "model.alpha=10")

    assert done.code == 0, done.out
    assert done.ran == ["train", "export", "evaluate", "card", "track"]
    shown = json.loads(twin.dvc("exp", "show", "--json").out)
    (experiment,) = [found for entry in shown for found in entry.get("experiments") or []]
    assert experiment["name"] == "stronger"
    data = experiment["revs"][0]["data"]
    assert data["params"]["params.yaml"]["data"]["model"]["alpha"] == 10
    assert data["metrics"]["evaluation/metrics.json"]["data"] == twin.read("evaluation/metrics.json")


def test_differences_are_shown_by_dvc(champion: Project, twin: Project) -> None:
    """`dvc params diff`, `dvc metrics diff` and `dvc plots diff` compare the workspace with the commit."""
    twin.edit(model__alpha=1000.0)
    twin.repro("evaluate")

    params = json.loads(twin.dvc("params", "diff", "--json").out)
    metrics = json.loads(twin.dvc("metrics", "diff", "--json").out)
    plots = twin.dvc("plots", "diff")

    assert params == {"params.yaml": {"model.alpha": {"old": 1.0, "new": 1000.0, "diff": 999.0}}}
    mae = metrics["evaluation/metrics.json"]["mae"]
    assert mae["old"] == champion.read("evaluation/metrics.json")["mae"]
    assert mae["new"] == twin.read("evaluation/metrics.json")["mae"] > mae["old"]
    assert plots.code == 0, plots.out
    page = (twin.root / "dvc_plots" / "index.html").read_text()
    assert "How often" in page or "predicted" in page


def test_pushed_outputs_are_pulled_by_another_clone(champion: Project, twin: Project, tmp_path: Path) -> None:
    """The default remote is a folder; a clone that is pointed at it gets every output, and has nothing to run."""
    pushed = twin.dvc("push")
    assert pushed.code == 0, pushed.out
    subprocess.run(["git", "clone", "--quiet", str(twin.root), str(tmp_path / "clone")], check=True)
    clone = Project(tmp_path / "clone")
    remote = str(twin.root / ".ratchet" / "remote")
    assert clone.dvc("remote", "modify", "--local", "local", "url", remote).code == 0

    pulled = clone.dvc("pull")

    assert pulled.code == 0, pulled.out
    assert clone.hashes() == champion.hashes()
    assert clone.repro() == []


# --- what a stage depends on -----------------------------------------------------------------------------------------


def test_stages_declare_the_code_they_use(champion: Project) -> None:
    """Every module of `src/` that a stage has imported is among its dependencies, so a change to it runs the stage."""
    assert undeclared(champion) == {}


def tracing(made: Project) -> dict[str, str]:
    """Environment variables with which every stage of `made` leaves a trace beside the project."""
    traces = made.root.parent / "traces"
    traces.mkdir()
    (traces / "sitecustomize.py").write_text(TRACER)
    return {"PYTHONPATH": os.pathsep.join([str(traces), str(made.root / "src")]), "TRACES": str(traces)}


def assert_another_kernel_gives_the_same_figures(made: Project) -> None:
    """Nehalem's kernel, which every processor has, is forced past our setting: another model, but not to a reader."""
    model, figures = made.hashes(["model"]), made.read("evaluation/metrics.json")
    anew = ["--force", "--no-run-cache", "--downstream", "train"]
    done = made.dvc("repro", *anew, OPENBLAS_CORETYPE="Nehalem")

    assert (done.code, done.ran) == (0, ["train", "export", "evaluate", "card", "track"]), done.out
    assert made.hashes(["model"]) != model
    assert made.read("evaluation/metrics.json") == figures


def undeclared(made: Project) -> dict[str, list[str]]:
    """Stage to the modules it has imported and does not declare, of a project that was reproduced with `tracing`."""
    stages = yaml.safe_load((made.root / "dvc.yaml").read_text())["stages"]
    problem = params.load(made.root / "params.yaml").problem
    imported = imported_by_stage(made.root.resolve(), made.root.parent / "traces")
    assert sorted(imported) == sorted(stages)
    missing = {
        stage: sorted(name for name in modules if not is_declared(name, stages[stage], problem))
        for stage, modules in imported.items()
    }
    return {stage: names for stage, names in missing.items() if names}


def imported_by_stage(root: Path, traces: Path) -> dict[str, set[str]]:
    """Stage to the files of `src/` that its process has imported; `track` works in a child.

    Those of the `src/` of this repository, of which `root` is a copy, keep their whole path: no stage declares them.
    """
    found: dict[str, set[str]] = {}
    for path in traces.glob("*.json"):
        trace = json.loads(path.read_text())
        program = Path(trace["program"])
        if program.parent.name == "pipelines" or program == root / "src" / "ratchet" / "tracking.py":
            stage = program.stem if program.parent.name == "pipelines" else "track"
            names = {name for name in trace["files"] if name.startswith((f"{root}/src/", f"{ROOT}/src/"))}
            found.setdefault(stage, set()).update(name.removeprefix(f"{root}/") for name in names)
    return found


def is_declared(name: str, stage: dict[str, Any], problem: str) -> bool:
    deps = [dep.replace("${problem}", problem) for dep in stage.get("do", stage)["deps"]]
    return any(name == dep or name.startswith(f"{dep}/") for dep in deps)


def test_a_helper_counts_and_a_card_trains_nothing(twin: Project) -> None:
    """A module that `features.py` imports is the model's; another sentence of the card is another card."""
    helper, features = "src/delays/model/units.py", "src/delays/model/features.py"
    (twin.root / helper).write_text("KILOMETRES = 100\n")
    twin.replace(features, 'row["distance"] / 100', 'row["distance"] / KILOMETRES')
    twin.replace(features, "from typing import Any\n", "from typing import Any\n\nfrom .units import KILOMETRES\n")
    assert twin.repro() == ["train", "export", "evaluate", "card", "track"]
    before = twin.model_digest

    twin.replace(helper, "100", "50")
    assert twin.repro() == ["train", "export", "evaluate", "card", "track"]
    assert twin.model_digest != before

    twin.replace("src/delays/card.yaml", "The trains are made up.", "No train is real.")
    assert twin.repro() == ["card", "track"]
    assert "No train is real." in (twin.root / "card" / "MODEL_CARD.md").read_text()


def test_a_module_that_no_stage_depends_on_stops_the_first_stage(twin: Project) -> None:
    """Beside the folders DVC would not see it; the words say where to put it."""
    (twin.root / "src/delays/units.py").write_text("KILOMETRES = 100\n")
    twin.edit(train__seed=1)

    done = twin.dvc("repro")

    assert done.code != 0
    assert "error: src/delays/units.py stands in none of data, model and expectations" in done.out
    assert done.ran == ["train"]


# --- without an active environment, and in experiments ---------------------------------------------------------------


def test_no_environment_need_be_active(champion: Project, twin: Project) -> None:
    """`.venv/bin/dvc` with another `python` on PATH: stages take the project's own, whose uv is there, too."""
    done = twin.bare("repro", "--single-item", "--force", "pin", "card", "track")

    assert done.code == 0, done.out
    assert done.ran == ["pin", "card", "track"]
    assert f"in sqlite:///{twin.root}/mlflow.db" in done.out
    assert twin.hashes() == champion.hashes()


def test_without_any_environment_the_words_say_how_to_make_one(twin: Project) -> None:
    """No `.venv`, and a `python` that has nothing of what is needed."""
    other = twin.other_python()

    done = twin.run(
        "sh", "pipelines/run.sh", "pin", PATH=other, VIRTUAL_ENV="", CONDA_PREFIX="", DVC_ROOT=str(twin.root)
    )

    assert done.code == 2
    assert done.out == "error: no Python here has what the pipeline needs; `make install` puts it into .venv\n"


def test_queued_experiments_run_the_queued_code_and_are_recorded(champion: Project, twin: Project) -> None:
    """Not the workspace's code as it is when the queue is run; the run goes into the project's own database.

    DVC starts the worker of a queue as `dvc`, so that must be on PATH; a link will do.
    """
    features = twin.root / "src/delays/model/features.py"
    workspace = features.read_text()
    features.write_text(workspace.replace('"] / 100', '"] / 1000'))
    assert twin.bare("exp", "run", "--queue", "--name", "queued").code == 0
    features.write_text(f"raise RuntimeError('the code of the workspace')\n{workspace}")

    done = twin.bare("exp", "run", "--run-all")

    features.write_text(workspace)
    assert done.code == 0, done.out
    applied = twin.bare("exp", "apply", "queued")
    assert applied.code == 0, applied.out
    assert '"] / 1000' in features.read_text()
    assert twin.repro() == []
    assert twin.model_digest != champion.model_digest
    assert twin.model_digest in twin.ratchet("registry").out


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_bad_batch_stops_the_pipeline_and_nothing_is_lost(twin: Project) -> None:
    """The error names the column, the rule, how many rows and a sample; every earlier output stays."""
    before = twin.hashes()
    twin.replace("src/delays/data/source.py", "rows.loc[month,", "rows.loc[list(range(101)) if month == 4 else month,")
    twin.edit(data__periods=["2021-01", "2021-02", "2021-03", "2021-04"])

    done = twin.dvc("repro")

    assert done.code != 0
    assert "error: 2021-04: " in done.out
    assert re.search(r"distance: greater_than\(0\).*101", done.out), done.out
    assert "Traceback" not in done.out
    assert {name: digest for name, digest in twin.hashes().items() if name in before} == before
    assert not (twin.root / "data" / "periods" / "2021-04").exists()


def test_an_unknown_period_is_told_and_costs_nothing(twin: Project) -> None:
    """A month that the source does not have."""
    before = twin.hashes()
    twin.edit(data__periods=["2021-01", "2021-02", "2021-03", "2021-13"])

    done = twin.dvc("repro")

    assert done.code != 0
    assert "error: there are no trains of '2021-13'; the months are 2021-01 to 2021-12" in done.out
    assert "Traceback" not in done.out
    assert twin.hashes() == before


def test_changed_code_gives_other_rows_until_they_are_taken_in(champion: Project, twin: Project) -> None:
    """Of several periods at once; what the message says is done to the letter, and a second time changes nothing."""
    before, locked = twin.hashes(), (twin.root / "dvc.lock").read_text()
    twin.replace("src/delays/data/source.py", "distance.round(1)", "(distance + (month >= 2)).round(1)")

    stopped = twin.dvc("repro")

    assert stopped.code != 0
    assert "error: 2021-02: code revised: src/delays/data has changed and gives other rows (336 of them)" in stopped.out
    assert twin.hashes() == before
    assert twin.dvc("repro", "--force", "ingest@2021-02").code != 0

    accepted = follow(twin, stopped.out)

    assert "2021-02: 0 rows added, 0 removed, 335 changed; 335 before, 335 after\n" in accepted.out
    assert "2021-03: 0 rows added, 0 removed, 371 changed; 371 before, 371 after\n" in accepted.out
    assert "2021-01" not in accepted.out
    written = (twin.root / "revisions.json").read_text()
    assert twin.repro()[-len(AFTER_INGEST) :] == AFTER_INGEST
    changed = {name for name, digest in twin.hashes(["data"]).items() if before[name] != digest}
    assert {Path(name).parent.name for name in changed} == {"data", "2021-02", "2021-03"}
    assert twin.model_digest != champion.model_digest

    again = follow(twin, stopped.out)

    assert again.out == accepted.out
    assert (twin.root / "revisions.json").read_text() == written
    assert twin.repro() == []
    (twin.root / "dvc.lock").write_text(locked)  # a run of the pull request starts from main's
    twin.repro("assemble")
    assert twin.repro("assemble") == []


def test_a_source_that_changes_is_told_from_code_that_does(champion: Project, twin: Project) -> None:
    """The code reads a file that stands elsewhere; a draft of what it gives is no reason to be asked twice."""
    feed = twin.root.parent / "feed"
    feed.write_text("0")
    reads = f"(distance + int(open({str(feed)!r}).read())).round(1)"
    twin.replace("src/delays/data/source.py", "distance.round(1)", reads)
    twin.repro("assemble")
    twin.commit("The champion of a feed")
    feed.write_text("1")

    stopped = twin.dvc("repro", "--force", "ingest@2021-02")

    assert "2021-02: source revised: to the same code it gives other rows (336 of them) than dvc.lock" in stopped.out
    follow(twin, stopped.out)
    first = json.loads((twin.root / "revisions.json").read_text())
    twin.repro("assemble")
    feed.write_text("2")
    follow(twin, stopped.out)
    second = json.loads((twin.root / "revisions.json").read_text())
    assert sorted(second) == sorted(first) == ["2021-01", "2021-02", "2021-03"]
    assert [entry["was"] for entry in second.values()] == [entry["was"] for entry in first.values()]
    assert [entry["now"] for entry in second.values()] != [entry["now"] for entry in first.values()]
    twin.repro("assemble")
    twin.commit("Taken in")
    feed.write_text("1")  # an entry lets one change pass, once
    assert "2021-02: source revised" in twin.dvc("repro", "--force", "ingest@2021-02").out
    feed.write_text("2")
    assert follow(twin, stopped.out).out == "every period gives the rows that were locked\n"


def test_an_entry_that_counts_other_rows_is_refused(twin: Project) -> None:
    """What a maintainer reads is what the rows show, where those before are in the cache."""
    twin.replace("src/delays/data/source.py", "distance.round(1)", "(distance + (month == 2)).round(1)")
    assert twin.ratchet("accept-revision", "2021-02").code == 0
    twin.replace("revisions.json", '"changed": 335', '"changed": 3')

    done = twin.dvc("repro", "ingest@2021-02")

    assert done.code != 0
    assert "revisions.json: 2021-02: the rows do not differ as it says" in done.out


def follow(made: Project, said: str) -> project.Done:
    """Do what an error advises, to the letter."""
    advised = re.search(r"`ratchet (accept-revision [^`]+)`", said)
    assert advised, said
    done = made.ratchet(*advised[1].split())
    assert done.code == 0, done.out
    return done


def test_a_tracking_server_that_is_down_fails_no_run(champion: Project, twin: Project) -> None:
    """The stage says that nothing was recorded, and why, and the run succeeds."""
    done = twin.dvc("repro", "--single-item", "--force", "track", MLFLOW_TRACKING_URI=CLOSED_PORT)

    assert done.code == 0, done.out
    assert f"not recorded: MLflow at {CLOSED_PORT}: Connection refused" in done.out
    assert twin.hashes() == champion.hashes()


def test_params_that_are_no_yaml_are_told_with_their_line(twin: Project) -> None:
    """DVC reads params.yaml first, so the words are DVC's: the file, the line and the column."""
    before = twin.hashes()
    twin.replace("params.yaml", "problem: delays", "problem: [delays")

    done = twin.dvc("repro")

    assert done.code != 0
    assert "params.yaml" in done.out
    assert re.search(r"line \d+, column \d+", done.out), done.out
    assert "Traceback" not in done.out
    assert twin.hashes() == before


def test_a_misspelt_parameter_is_told_by_its_name(twin: Project) -> None:
    """A key that nobody reads stops the stage whose section it stands in, and changes nothing."""
    before = twin.hashes()
    twin.replace("params.yaml", "  seed: 0", "  seed: 0\n  sed: 1")

    done = twin.dvc("repro")

    assert done.code != 0
    assert "error: params.yaml: train.sed: Extra inputs are not permitted" in done.out
    assert "Traceback" not in done.out
    assert twin.hashes() == before


def test_a_misspelt_policy_is_told_by_the_judge(champion: Project, twin: Project) -> None:
    """`gate:` belongs to no stage; `ratchet compare` reads it, and refuses."""
    twin.replace("params.yaml", "  delta:", "  detla:")

    done = twin.ratchet("compare", str(champion.root), ".")

    assert done.code == 2
    assert "params.yaml: gate.delta: Field required" in done.out
    assert "params.yaml: gate.detla: Extra inputs are not permitted" in done.out


# --- what is made of the outputs -------------------------------------------------------------------------------------


def test_two_versions_are_judged(champion: Project, twin: Project) -> None:
    """A regression that shrinks everything to the mean is blocked; verdict and reports lie in build/report."""
    twin.edit(model__alpha=100000.0)
    twin.repro()

    done = twin.ratchet("compare", str(champion.root), ".")

    assert done.code == 0, done.out
    report = twin.root / "build" / "report"
    verdict = json.loads((report / "verdict.json").read_text())
    assert verdict["verdict"] == "block"
    assert verdict["primary"]["metric"] == "mae"
    assert verdict["primary"]["high"] < 0
    assert verdict["champion"]["digest"] == champion.model_digest
    assert verdict["challenger"]["digest"] == twin.model_digest
    assert done.out.startswith(verdict["sentence"])
    assert (report / "report.md").is_file()
    assert (report / "report.html").is_file()


def test_the_digests_are_printed(champion: Project) -> None:
    """`ratchet digest` prints what identifies the model and the lock."""
    done = champion.ratchet("digest")

    assert done.out == f"model {champion.model_digest}\nlock  {champion.lock_digest}\n"


@pytest.mark.parametrize("verb", ["compare", "score"])
def test_a_bundle_that_was_changed_is_refused(champion: Project, twin: Project, verb: str) -> None:
    """One byte of the model is another; neither verb uses it."""
    model = twin.root / "bundle" / "model.skops"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    arguments = {
        "compare": [str(champion.root), "."],
        "score": ["bundle", "data/periods/2021-03/rows.parquet"],
    }

    done = twin.ratchet(verb, *arguments[verb])

    assert done.code == 2
    assert "bundle/model.skops: is not the file its manifest names" in done.out
    assert "Traceback" not in done.out


# --- the flights -----------------------------------------------------------------------------------------------------


def test_flights_are_the_same_bytes_on_any_number_of_threads_and_any_width_of_vectors(tmp_path: Path) -> None:
    """Built from scratch, and step by step. The bundle is trees, the dependencies are declared."""
    periods = ["2013-01", "2013-02", "2013-03"]
    single = project.flights(tmp_path / "single", data__periods=periods)
    steps = project.flights(tmp_path / "steps", data__periods=periods[:2])
    steps.dvc("repro", "assemble", OMP_NUM_THREADS="2")
    steps.edit(data__periods=periods)

    single.repro(OMP_NUM_THREADS="1", **tracing(single))
    ran = steps.repro(OMP_NUM_THREADS="2", NPY_DISABLE_CPU_FEATURES="")  # with all that NumPy has, be it AVX512

    assert ran == ["pin", "ingest@2013-03", *AFTER_INGEST]
    assert single.hashes() == steps.hashes()
    assert single.model_digest == steps.model_digest
    assert single.lock_digest == steps.lock_digest
    assert single.read("bundle/manifest.json")["kind"] == "treelite"
    assert undeclared(single) == {}
    assert_another_kernel_gives_the_same_figures(single)

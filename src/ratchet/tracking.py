"""MLflow: one run for each folder of outputs, and a registry whose aliases say who is champion and who challenger.

What is recorded is a copy of what the outputs say already, so a tracking server that is down loses nothing: the run is
recorded later, and recording it twice is recording it once.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ratchet import bundle, data, files, lock
from ratchet import params as parameters
from ratchet.errors import RatchetError, told_to_the_user
from ratchet.params import flattened

if TYPE_CHECKING:
    import pandas as pd

    from ratchet.params import Params

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL_DIGEST, LOCK_DIGEST, PROBLEM = "ratchet.model_digest", "ratchet.lock_digest", "ratchet.problem"
TRACK = (sys.executable, "-m", "ratchet.tracking")
EXAMPLE_ROWS = 3

# Defaults for what the user has not set: give up early, be quiet, send nobody any statistics, and log nothing of the
# folder that happens to be the current one.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
}

# MLflow keeps this text beside the bundle and runs it to load the model: nothing is pickled, and the bundle scores with
# its own code.
_LOADER = '''\
"""Loads a Ratchet bundle as an MLflow model."""

import sys
from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Bundle(PythonModel):
    def load_context(self, context):
        folder = Path(context.artifacts["bundle"])
        sys.path[:0] = map(str, folder.glob("*.whl"))
        from ratchet import bundle

        self.bundle = bundle.load(folder)

    def predict(self, context, model_input: pd.DataFrame, params=None):
        return self.bundle.score(model_input)


set_model(Bundle())
'''


@dataclass(frozen=True)
class Recorded:
    """A run in MLflow.

    Attributes:
        run_id: MLflow's name of the run.
        version: The registered version of its model.
        digest: The model digest.
        uri: Where it was recorded, without credentials.
        is_new: Whether it was not there before.
    """

    run_id: str
    version: str
    digest: str
    uri: str
    is_new: bool

    def __str__(self) -> str:
        """One line for a person."""
        known = "recorded" if self.is_new else "already recorded"
        return f"{known}: model {self.digest[:12]} is version {self.version}, run {self.run_id} in {self.uri}"


@dataclass(frozen=True)
class Version:
    """A version in the registry: one for each distinct model."""

    version: str
    digest: str
    run_id: str
    aliases: tuple[str, ...]

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.version:>4}  {self.digest}  {', '.join(self.aliases)}".rstrip()


@dataclass(frozen=True)
class Outputs:
    """What a folder of outputs says about its run; see `read`."""

    problem: str
    model_digest: str
    lock_digest: str
    commit: str | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    datasets: Mapping[tuple[str, str], Mapping[str, Any]]


def record(root: Path, params: Params, home: Path | None = None) -> Recorded:
    """Record the outputs in `root` as one run, and its model as a version with the alias `challenger`.

    `home` is the project whose `mlflow.db` is used: `root`, unless that is the copy in which DVC runs an experiment.

    The same outputs (model digest and lock digest) recorded again are the run that is there already. A run that a kill
    has left unfinished is removed and recorded anew. The champion is never made a challenger of itself.

    Raises:
        RatchetError: The outputs are incomplete, or MLflow cannot be reached.
    """
    return store(home or root, root, read(root, params), params.tracking.experiment, CHALLENGER)


def store(root: Path, folder: Path, outputs: Outputs, experiment: str, alias: str | None) -> Recorded:
    """Record what is said of a folder as one run, and its model as a version; what is there already stays.

    Args:
        root: The project, whose `mlflow.db` is used unless `MLFLOW_TRACKING_URI` says otherwise.
        folder: Holds the bundle, evaluation/evaluation.json and card/MODEL_CARD.md.
        outputs: What is said of them.
        experiment: Its name in MLflow.
        alias: What the version is called from now on, if it is not the champion.

    Raises:
        RatchetError: MLflow cannot be reached.
    """
    with _client(root) as client:
        number = _experiment(client, root, experiment)
        run_id = _finished_run(client, number, outputs)
        is_new = run_id is None
        if run_id is None:
            run_id = _record_run(client, number, folder, outputs)
        version = _version_of(client, outputs) or _register(client, outputs, run_id)
        if alias is not None and CHAMPION not in version.aliases:
            client.set_registered_model_alias(outputs.problem, alias, version.version)
        if is_new:
            client.set_terminated(run_id)  # the last step: an unfinished run is one that a kill has cut off
    return Recorded(run_id, version.version, outputs.model_digest, shown(tracking_uri(root)), is_new)


def record_bounded(
    root: Path,
    timeout: float,
    echo: Callable[[str], None] = print,
    command: Sequence[str] = TRACK,
    home: Path | None = None,
) -> bool:
    """Record the outputs in `root` in a child process that has `timeout` seconds, see `record`; whether it succeeded.

    A failure is told in one line and is no error: the outputs are complete without MLflow. A runner of GitHub's,
    whose disk is thrown away, tells a server only.
    """
    if os.environ.get("GITHUB_ACTIONS") and not os.environ.get("MLFLOW_TRACKING_URI"):
        echo("not recorded: the disk of this runner is thrown away, and MLFLOW_TRACKING_URI names no server")
        return False
    home = (home or root).resolve()
    process = subprocess.Popen(
        [*command, str(home)],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        reason = f"MLflow at {shown(tracking_uri(home))}: no answer within {timeout:g} s"
    else:
        if process.returncode == 0:
            echo(out.strip())
            return True
        reason = (err.strip().splitlines() or [f"exit code {process.returncode}"])[-1].removeprefix("error: ")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # with whatever it has started itself
            process.communicate()
    echo(f"not recorded: {reason}; the outputs are complete, `ratchet track` records the run later")
    return False


def promote(digest: str, root: Path = Path()) -> Version:
    """Move the alias `champion` to the version with that model digest, which is then no challenger any more.

    Args:
        digest: The model digest, or a beginning of it that only one version has.
        root: The project.

    Raises:
        RatchetError: No version, or more than one, has that digest, or MLflow cannot be reached.
    """
    name = parameters.load(root / "params.yaml").problem
    with _client(root) as client:
        fitting = [version for version in _versions(client, name) if version.digest.startswith(digest)]
        if len(fitting) != 1:
            raise RatchetError(
                f"MLflow at {shown(tracking_uri(root))}: {len(fitting) or 'no'} versions of {name} have a model digest "
                f"that begins with {digest}\n`ratchet registry` lists them, `ratchet track` records what is missing"
            )
        (found,) = fitting
        client.set_registered_model_alias(name, CHAMPION, found.version)
        if CHALLENGER in found.aliases:
            client.delete_registered_model_alias(name, CHALLENGER)
    return replace(found, aliases=(CHAMPION,))


def versions(root: Path = Path()) -> tuple[Version, ...]:
    """Every registered version of the project's problem, in their order.

    Raises:
        RatchetError: MLflow cannot be reached.
    """
    name = parameters.load(root / "params.yaml").problem
    with _client(root) as client:
        return _versions(client, name)


def tracking_uri(root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or the file `mlflow.db` at the root of the project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root.resolve() / 'mlflow.db'}"


def shown(uri: str) -> str:
    """A tracking URI without the user and the password in it."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else uri


def read(root: Path, params: Params) -> Outputs:
    """What the outputs in `root` say, checked before anyone is asked to record it.

    Raises:
        RatchetError: A file of the outputs is missing or damaged.
    """
    opened = bundle.load(root / "bundle")
    training = files.read_json(root / "model" / "training.json")
    dataset = files.read_json(root / data.DATASET)
    flat = flattened({**params.model_dump(mode="json"), "threshold": training["threshold"]})
    return Outputs(
        problem=params.problem,
        model_digest=opened.digest,
        lock_digest=lock.digest_of(root),
        commit=_commit(root),
        params={name: value if isinstance(value, str) else json.dumps(value) for name, value in flat.items()},
        metrics={
            name: float(value)
            for name, value in flattened(files.read_json(root / "evaluation" / "metrics.json")).items()
            if value is not None
        },
        datasets={
            (context, period): facts
            for context, part in (("training", "train"), ("testing", "test"))
            for period, facts in sorted(dataset[part].items())
        },
    )


def signature(schema: Mapping[str, Any]) -> Any:
    """MLflow's signature of a bundle, from the JSON Schema of one row."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    required = set(schema["required"])
    return ModelSignature(
        inputs=Schema([ColSpec(_kind(rule), name, name in required) for name, rule in schema["properties"].items()]),
        outputs=Schema([ColSpec("double")]),
    )


@contextmanager
def _client(root: Path) -> Iterator[Any]:
    """MLflow's client; whatever goes wrong with it is one line of ours."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient
    from sqlalchemy.exc import SQLAlchemyError

    uri = tracking_uri(root)
    try:
        yield MlflowClient(tracking_uri=uri)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise RatchetError(f"MLflow at {shown(uri)}: {_reason(error).replace(uri, shown(uri))}") from error


def _reason(error: BaseException) -> str:
    """What the operating system said, `Connection refused`, not the exceptions around it; without any, their text."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    inner = next((e for e in reversed(chain) if isinstance(e, OSError)), None)
    said = str(error) if inner is None else inner.strerror or str(inner)
    return (said.strip().splitlines() or [type(error).__name__])[0]


def _experiment(client: Any, root: Path, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # A server knows where its artifacts go; a file beside the project would put them wherever it is called from.
    place = None if os.environ.get("MLFLOW_TRACKING_URI") else (root.resolve() / "mlruns").as_uri()
    return str(client.create_experiment(name, artifact_location=place))


def _finished_run(client: Any, experiment: str, outputs: Outputs) -> str | None:
    """The run of these outputs; removes those that were never finished."""
    same = f"tags.`{MODEL_DIGEST}` = '{outputs.model_digest}' and tags.`{LOCK_DIGEST}` = '{outputs.lock_digest}'"
    finished = None
    for run in client.search_runs([experiment], same):
        if run.info.status == "FINISHED":
            finished = str(run.info.run_id)
        else:
            client.delete_run(run.info.run_id)
    return finished


def _record_run(client: Any, experiment: str, root: Path, outputs: Outputs) -> str:
    from mlflow.entities import Metric, Param

    run_id = str(client.create_run(experiment, tags=_tags(outputs), run_name=outputs.model_digest[:12]).info.run_id)
    now = int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, now, 0) for name, value in sorted(outputs.metrics.items())],
        params=[Param(name, value) for name, value in sorted(outputs.params.items())],
    )
    client.log_inputs(run_id, datasets=_inputs(outputs))
    for path in ("evaluation/evaluation.json", "card/MODEL_CARD.md"):
        client.log_artifact(run_id, str(root / path))
    _log_model(client, experiment, run_id, root, outputs)
    return run_id


def _tags(outputs: Outputs) -> dict[str, str]:
    tags = {PROBLEM: outputs.problem, MODEL_DIGEST: outputs.model_digest, LOCK_DIGEST: outputs.lock_digest}
    return tags if outputs.commit is None else {**tags, "mlflow.source.git.commit": outputs.commit}


def _inputs(outputs: Outputs) -> list[Any]:
    """Each period as a dataset. MLflow takes 36 digits of the SHA-256 of its rows; the profile holds them all."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(
                name=f"{outputs.problem} {period}",
                digest=facts["sha256"][:36],
                source_type="local",
                source=json.dumps({"uri": str(data.PERIODS / period / data.ROWS)}),
                profile=json.dumps(dict(facts), sort_keys=True),
            ),
            [InputTag("mlflow.data.context", context)],
        )
        for (context, period), facts in outputs.datasets.items()
    ]


def _log_model(client: Any, experiment: str, run_id: str, root: Path, outputs: Outputs) -> None:
    """Log the bundle as a model; MLflow's client instead of its fluent functions, which keep state in the process."""
    import mlflow
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    opened = bundle.load(root / "bundle")
    logged = client.create_logged_model(experiment, "model", run_id, {MODEL_DIGEST: outputs.model_digest})
    with tempfile.TemporaryDirectory() as scratch:
        loader, saved = Path(scratch, "loader.py"), Path(scratch, "model")
        loader.write_text(_LOADER, encoding="utf-8")
        save_model(
            path=str(saved),
            python_model=str(loader),
            artifacts={"bundle": str(opened.folder.resolve())},
            signature=signature(opened.schema),
            input_example=_example(root, opened, outputs),
            pip_requirements=[f"mlflow=={mlflow.__version__}", *_requirements(opened.folder)],
            mlflow_model=Model(logged.artifact_location, run_id, model_id=logged.model_id, model_uuid=logged.model_id),
        )
        client.log_model_artifacts(logged.model_id, str(saved))
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    client.finalize_logged_model(logged.model_id, "READY")


def _example(root: Path, opened: bundle.Bundle, outputs: Outputs) -> pd.DataFrame | None:
    """Rows that show what the model takes; a release came without any."""
    period = next(period for context, period in outputs.datasets if context == "testing")
    path = root / data.PERIODS / period / data.ROWS
    if not path.exists():
        return None
    rows = files.read_parquet(path).head(EXAMPLE_ROWS)
    return rows[[name for name in opened.schema["properties"] if name in rows]]


def _requirements(folder: Path) -> list[str]:
    """The bundle's pinned packages without their hashes, which MLflow does not pass on."""
    text = (folder / bundle.REQUIREMENTS).read_text(encoding="utf-8")
    return re.findall(r"^[\w.\[\]-]+==[^\\#\n]*[^\\#\s]", text, re.MULTILINE)


def _register(client: Any, outputs: Outputs, run_id: str) -> Version:
    name, digest = outputs.problem, outputs.model_digest
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    (output,) = client.get_run(run_id).outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    made = client.create_model_version(
        name, logged.artifact_location, run_id, tags={MODEL_DIGEST: digest}, model_id=logged.model_id
    )
    return Version(str(made.version), digest, run_id, ())


def _version_of(client: Any, outputs: Outputs) -> Version | None:
    return next((v for v in _versions(client, outputs.problem) if v.digest == outputs.model_digest), None)


def _versions(client: Any, name: str) -> tuple[Version, ...]:
    models = client.search_registered_models(f"name = '{name}'")
    alias_of = [(str(number), alias) for model in models for alias, number in sorted(model.aliases.items())]
    found = [
        Version(
            version=str(v.version),
            digest=v.tags.get(MODEL_DIGEST, ""),
            run_id=str(v.run_id),
            aliases=tuple(alias for number, alias in alias_of if number == str(v.version)),
        )
        for v in client.search_model_versions(f"name = '{name}'")
    ]
    return tuple(sorted(found, key=lambda version: int(version.version)))


def _kind(rule: Mapping[str, Any]) -> Any:
    """MLflow's type of a column; whole numbers that may be missing come as several types, none of which it converts."""
    from mlflow.types.schema import AnyType

    kinds = {rule["type"]} if isinstance(rule["type"], str) else set(rule["type"])
    if "string" in kinds:
        return "string"
    if "integer" in kinds:
        return AnyType() if "null" in kinds else "long"  # type: ignore[no-untyped-call]
    return "double"


def _commit(root: Path) -> str | None:
    """The commit that is checked out, None outside of git."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


if __name__ == "__main__":
    with told_to_the_user():
        sys.stdout.write(f"{record(Path(), parameters.load(), Path(sys.argv[1]))}\n")

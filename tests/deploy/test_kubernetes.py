"""A state as resources of Kubernetes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ratchet.deploy import kubernetes, traefik
from ratchet.deploy.state import SLOTS, STRATEGIES, State, Strategy
from ratchet.deploy.strategy import plan
from state_example import REPOSITORY, alone, arm


def two(strategy: Strategy) -> State:
    """A newcomer beside model-v1."""
    return plan(alone(1), arm(2), strategy)


def resource(state: State, kind: str, name: str) -> dict[str, Any]:
    """The specification of a resource of the routes."""
    (found,) = (one for one in kubernetes.routes(state) if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return dict(found["spec"])


def test_arms_are_named_by_their_digest() -> None:
    """On top of the environment's overlay; both slots are filled, so none is without pods."""
    found = kubernetes.kustomization(two("canary"))

    assert found.pop("replacements")
    assert found == {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../../kubernetes/production", "routes.yaml"],
        "images": [
            {"name": "model-blue", "newName": REPOSITORY, "digest": f"sha256:{1:064x}"},
            {"name": "model-green", "newName": REPOSITORY, "digest": f"sha256:{2:064x}"},
        ],
    }


def test_an_empty_slot_has_no_pods() -> None:
    """Its image is left as it is: nothing pulls it."""
    found = kubernetes.kustomization(two("all-at-once"))

    assert found["replicas"] == [{"name": "model-blue", "count": 0}]
    assert [image["name"] for image in found["images"]] == ["model-green"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_emptied_goes_last(strategy: Strategy) -> None:
    """Argo CD waits for one wave before the next: new pods, then routes, then the pods that had answered."""
    state = two(strategy)
    waves = {one["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] for one in kubernetes.routes(state)}
    left = [yaml.safe_load(one["patch"]) for one in kubernetes.kustomization(state).get("patches", [])]

    assert waves == {"1"}
    assert [one["metadata"] for one in left] == [
        {"name": f"model-{slot}", "annotations": {"argocd.argoproj.io/sync-wave": "2"}}
        for slot in SLOTS
        if slot not in state.arms
    ]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_weights_are_those_of_the_file(strategy: Strategy) -> None:
    """Slots that answer nothing are left out: Traefik takes no service without pods."""
    state = two(strategy)

    weighted = resource(state, "TraefikService", "model-answer")["weighted"]

    assert {one["name"]: one["weight"] for one in weighted["services"]} == {
        f"model-{slot}": weight for slot, weight in state.weights.items() if weight
    }
    assert all((one["kind"], one["port"]) == ("Service", "http") for one in weighted["services"])
    assert ("sticky" in weighted) == (strategy == "ab")


def test_a_shadow_gets_copies_of_predictions() -> None:
    """And of nothing else."""
    state = two("shadow")

    assert resource(state, "TraefikService", "model-copies")["mirroring"] == {
        "name": "model-answer",
        "kind": "TraefikService",
        "mirrorBody": True,
        "maxBodySize": 1_048_576,
        "mirrors": [
            {
                "name": "model-green",
                "kind": "Service",
                "port": "http",
                "serversTransport": "model-arms",
                "percent": 100,
            }
        ],
    }
    routes = resource(state, "IngressRoute", "model")["routes"]
    assert [(paths(route)[0], route["services"][0]["name"]) for route in routes] == [
        ("/predict", "model-copies"),
        ("/info", "model-answer"),
    ]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_paths_are_let_in(strategy: Strategy) -> None:
    """As under Compose, and of one host alone; never the metrics."""
    found = resource(two(strategy), "IngressRoute", "model")

    assert found["entryPoints"] == ["web"]
    assert [path for route in found["routes"] for path in paths(route)] == [*traefik.PREDICTIONS, *traefik.ABOUT]
    assert "/metrics" not in {*traefik.PREDICTIONS, *traefik.ABOUT}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_whatever_a_resource_names_is_there(strategy: Strategy) -> None:
    """Middlewares, transports and services of Traefik; the rest is in the overlay."""
    text = kubernetes.files(two(strategy))["routes.yaml"]
    made = {(one["kind"], one["metadata"]["name"]) for one in yaml.safe_load_all(text)}

    assert named(list(yaml.safe_load_all(text))) - made <= {("Service", "model-blue"), ("Service", "model-green")}
    assert all(one["apiVersion"] == "traefik.io/v1alpha1" for one in yaml.safe_load_all(text))


def paths(route: dict[str, Any]) -> list[str]:
    """The paths that a route lets in; they must all be asked under its host."""
    found = re.fullmatch(r"Host\(`host`\) && \((.+)\)", route["match"])
    assert found is not None, route["match"]
    return [path.removeprefix("Path(`").removesuffix("`)") for path in found[1].split(" || ")]


def named(node: Any) -> set[tuple[str, str]]:
    """Everything that is named below a node, with its kind."""
    if isinstance(node, list):
        return set().union(*map(named, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    found = {(node["kind"], node["name"])} if {"kind", "name"} <= node.keys() else set()
    found |= {("Middleware", one["name"]) for one in node.get("middlewares", [])}
    found |= {("ServersTransport", node["serversTransport"])} if "serversTransport" in node else set()
    return found.union(*map(named, node.values()))

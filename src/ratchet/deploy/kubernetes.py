"""The state of an environment as resources of Kubernetes: images by digest, empty slots without pods, Traefik's routes.

    for name, text in files(state).items(): …       kustomization.yaml, routes.yaml

They stand on the overlay that main's `deploy/kubernetes` has for the environment, whose `host.yaml` says under which
name it is asked: behind one Traefik the routes of two environments differ in nothing else. The weights are those of the
file provider. There is no fallback to a warm arm: Traefik's custom resources know no health of a service, and pods that
are not ready are left out by Kubernetes itself.
"""

from __future__ import annotations

import json
from typing import Any

from ratchet.deploy import traefik
from ratchet.deploy.state import SLOTS, State

Resource = dict[str, Any]

API = "traefik.io/v1alpha1"
PORT = "http"
"""Name of the port of each slot's Service."""

_ROUTING, _LEAVING = ({"argocd.argoproj.io/sync-wave": wave} for wave in ("1", "2"))
"""Argo CD routes to pods once they are ready (wave 0), and then takes away those that are not asked any more."""
_NAMED = {
    "source": {"kind": "ConfigMap", "name": "model-host", "fieldPath": "data.host"},
    "targets": [
        {
            "select": {"kind": "IngressRoute", "name": "model"},
            "fieldPaths": ["spec.routes.*.match"],
            "options": {"delimiter": "`", "index": 1},  # what stands between the first two: Host(`…`)
        }
    ],
}
"""How kustomize puts the overlay's name of the environment into the routes."""


def files(state: State) -> dict[str, str]:
    """The files of a state, by name; equal states give equal text."""
    return {
        "kustomization.yaml": traefik.dump(state, kustomization(state)),
        "routes.yaml": traefik.dump(state, *routes(state)),
    }


def kustomization(state: State) -> Resource:
    """The overlay of the environment, with what the state says of each slot."""
    arms = state.arms
    found: Resource = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"../../kubernetes/{state.environment}", "routes.yaml"],
        "images": [_image(f"model-{slot}", arm.image) for slot, arm in arms.items()],
        "replacements": [_NAMED],
    }
    empty = [slot for slot in SLOTS if slot not in arms]
    if empty:
        found["replicas"] = [{"name": f"model-{slot}", "count": 0} for slot in empty]
        found["patches"] = [{"patch": _leaving(f"model-{slot}")} for slot in empty]
    return found


def routes(state: State) -> list[Resource]:
    """Who answers, as Traefik's custom resources."""
    answer = [{**_service(slot), "weight": weight} for slot, weight in state.weights.items() if weight]
    sticky = {"sticky": traefik.STICKY} if state.sticky else {}
    entry = "model-copies" if state.mirror else "model-answer"
    found = [
        _resource("Middleware", "model-again", {"retry": traefik.again(alone=len(answer) == 1)}),
        _resource("ServersTransport", "model-arms", traefik.TRANSPORT),
        _resource("TraefikService", "model-answer", {"weighted": {"services": answer, **sticky}}),
    ]
    if state.challenger and state.mirror:
        copies = {
            "name": "model-answer",
            "kind": "TraefikService",
            "mirrorBody": True,
            "maxBodySize": traefik.MIRRORED,
            "mirrors": [{**_service(state.challenger), "percent": state.mirror}],
        }
        found.append(_resource("TraefikService", "model-copies", {"mirroring": copies}))
    rules = [_rule(traefik.PREDICTIONS, entry), _rule(traefik.ABOUT, "model-answer")]
    return [*found, _resource("IngressRoute", "model", {"entryPoints": [traefik.ENTRY], "routes": rules})]


def _image(name: str, reference: str) -> Resource:
    where, _, digest = reference.partition("@")
    return {"name": name, "newName": where, "digest": digest}


def _leaving(deployment: str) -> str:
    """The patch by which a Deployment without pods comes after the routes: until then its pods still answer."""
    named = {"name": deployment, "annotations": _LEAVING}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": named})


def _service(slot: str) -> Resource:
    return {"name": f"model-{slot}", "kind": "Service", "port": PORT, "serversTransport": "model-arms"}


def _rule(paths: tuple[str, ...], service: str) -> Resource:
    return {
        "match": f"Host(`host`) && ({traefik.matching(paths)})",
        "kind": "Rule",
        "middlewares": [{"name": "model-again"}],
        "services": [{"name": service, "kind": "TraefikService"}],
    }


def _resource(kind: str, name: str, spec: Resource) -> Resource:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, "annotations": _ROUTING}, "spec": spec}

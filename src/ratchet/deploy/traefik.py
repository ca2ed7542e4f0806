"""The routes of a state, for Traefik's file provider.

    text = render(state, "http://{}:3000".format)

    router predictions ── again ── model     the challenger's copies, where it gets some, and then
    router about       ── again ── answer    who answers: by weights, or the champion with a warm arm behind it
                                   blue, green

Only what callers need is let in; /metrics is not. Where two arms may answer, each is watched: by a check every second,
and by its answers, so that one failure takes it out at once and `again` asks the other. An arm that is alone is not
watched: Traefik would answer in its place, and an arm that is slow to say that it is well still beats that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ratchet.deploy.state import SLOTS, Slot, State

Config = dict[str, Any]

ENTRY = "web"
"""The entry point of the static configuration that callers come in by."""
PREDICTIONS = ("/predict", "/predict_batch")
ABOUT = ("/info", "/docs", "/openapi.json", "/livez", "/readyz")
COOKIE = "ratchet_arm"
MIRRORED = 1_048_576
"""Bytes of a request at most of which a copy is sent: what the service takes unless it is told otherwise."""
REPEATED = 65_536
"""Bytes of a request at most that is asked again. Traefik sets as much aside for each one, so it is less."""

_CHECK = {"path": "/readyz", "interval": "1s", "unhealthyInterval": "1s", "timeout": "1s"}
STICKY = {
    "cookie": {"name": COOKIE, "secure": True, "httpOnly": True, "sameSite": "lax", "maxAge": 30 * 24 * 3600},
}
TRANSPORT = {
    "maxIdleConnsPerHost": 200,  # Go's own default is 2: every further caller would pay for a new connection
    "forwardingTimeouts": {
        "dialTimeout": "1s",
        "responseHeaderTimeout": "5s",  # a frozen arm takes connections, and never answers
        "idleConnTimeout": "3s",  # before an arm closes them: the image after 120, `bentoml serve` after 5
    },
}


def configuration(state: State, address: Callable[[Slot], str], sick: Collection[Slot] = ()) -> Config:
    """What Traefik is to do.

    Args:
        state: Who takes part, and with which share.
        address: Where Traefik reaches a slot, "http://blue:3000".
        sick: Slots that are left out, unless nothing else may answer: an error is still better than nothing. A
            challenger that only gets copies never answers, whoever is sick.

    Returns:
        Plain data, in the shape of Traefik's dynamic configuration.
    """
    weights, fallback = _answering(state, frozenset(sick))
    mirror = state.challenger if state.mirror and state.challenger not in sick else None
    watched = {*weights, fallback} - {None} if len(weights) > 1 or fallback else set()
    used = [slot for slot in SLOTS if slot in {*weights, fallback, mirror}]
    services: Config = {slot: _arm(address(slot), watched=slot in watched or slot == mirror) for slot in used}
    services |= {"answer": _answer(weights, fallback, sticky=state.sticky)}
    if mirror:
        copies = {"name": mirror, "percent": state.mirror}
        services["model"] = {
            "mirroring": {"service": "answer", "mirrorBody": True, "maxBodySize": MIRRORED, "mirrors": [copies]}
        }
    return {
        "http": {
            "routers": {
                "predictions": _router(PREDICTIONS, "model" if mirror else "answer"),
                "about": _router(ABOUT, "answer"),
            },
            "middlewares": {"again": {"retry": again(alone=not watched)}},
            "services": services,
            "serversTransports": {"arms": TRANSPORT},
        }
    }


def render(state: State, address: Callable[[Slot], str], sick: Collection[Slot] = ()) -> str:
    """The configuration as YAML; equal states give equal text."""
    return dump(state, configuration(state, address, sick))


def dump(state: State, *documents: Mapping[str, Any]) -> str:
    """YAML that says what it was made from."""
    import yaml

    text = yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=120)
    return (
        f"# Rendered from {state.environment}/state.json of the branch deploy; whoever edits it is overwritten.\n{text}"
    )


def again(*, alone: bool) -> Config:
    """What asks again where an arm could not be reached, or was lost: a prediction changes nothing, so it is safe."""
    lost = ["502"] if alone else ["502", "503", "504"]  # an arm that is alone and slow is not asked twice
    return {
        "attempts": 3,
        "initialInterval": "50ms",
        "maxRequestBodyBytes": REPEATED,
        "status": lost,
        "retryNonIdempotentMethod": True,
    }


def matching(paths: Collection[str]) -> str:
    """The rule that lets these paths in."""
    return " || ".join(f"Path(`{path}`)" for path in paths)


def _answering(state: State, sick: frozenset[Slot]) -> tuple[dict[Slot, int], Slot | None]:
    """The weights of those that answer, and who takes over from the only one."""
    well = {slot: weight for slot, weight in state.weights.items() if weight and slot not in sick}
    warm = state.warm if state.warm not in sick else None
    if well:
        return well, warm
    return {warm or state.champion: 100}, None


def _answer(weights: Mapping[Slot, int], fallback: Slot | None, *, sticky: bool) -> Config:
    if fallback:
        return {"failover": {"service": next(iter(weights)), "fallback": fallback}}
    weighted: Config = {"services": [{"name": slot, "weight": weight} for slot, weight in weights.items()]}
    if len(weights) > 1:
        weighted["healthCheck"] = {}  # hears of a sick arm from the arm's own check
    if sticky:
        weighted["sticky"] = STICKY
    return {"weighted": weighted}


def _arm(url: str, *, watched: bool) -> Config:
    balancer: Config = {"servers": [{"url": url}], "serversTransport": "arms", "passHostHeader": True}
    if watched:
        balancer["healthCheck"] = dict(_CHECK)
        balancer["passiveHealthCheck"] = {"maxFailedAttempts": 1, "failureWindow": "1s"}
    return {"loadBalancer": balancer}


def _router(paths: Collection[str], service: str) -> Config:
    return {"rule": matching(paths), "entryPoints": [ENTRY], "middlewares": ["again"], "service": service}

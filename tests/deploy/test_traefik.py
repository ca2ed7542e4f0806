"""The routes of a state: as data, and as the real Traefik follows them in front of two small arms."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ratchet.deploy import traefik
from ratchet.deploy.state import SLOTS, STRATEGIES, Slot, State, Strategy
from ratchet.deploy.strategy import plan
from rehearsal.ports import free_port
from state_example import alone, arm

pytestmark = pytest.mark.xdist_group("traefik")

TRAEFIK = Path(sys.executable).with_name("traefik")


def services(state: State, *sick: Slot) -> dict[str, Any]:
    """The services of a state."""
    return dict(traefik.configuration(state, "http://{}:3000".format, sick)["http"]["services"])


def two(strategy: Strategy) -> State:
    """A newcomer beside model-v1."""
    return plan(alone(1), arm(2), strategy)


class TestConfiguration:
    """What stands in the file."""

    @pytest.mark.parametrize(
        ("strategy", "answer"),
        [
            ("all-at-once", {"weighted": {"services": [{"name": "green", "weight": 100}]}}),
            ("blue-green", {"failover": {"service": "green", "fallback": "blue"}}),
            (
                "canary",
                {
                    "weighted": {
                        "services": [{"name": "blue", "weight": 90}, {"name": "green", "weight": 10}],
                        "healthCheck": {},
                    }
                },
            ),
            ("shadow", {"weighted": {"services": [{"name": "blue", "weight": 100}]}}),
            (
                "ab",
                {
                    "weighted": {
                        "services": [{"name": "blue", "weight": 50}, {"name": "green", "weight": 50}],
                        "healthCheck": {},
                        "sticky": {
                            "cookie": {
                                "name": "ratchet_arm",
                                "secure": True,
                                "httpOnly": True,
                                "sameSite": "lax",
                                "maxAge": 2592000,
                            }
                        },
                    }
                },
            ),
        ],
    )
    def test_each_strategy_is_a_diff_one_can_read(self, strategy: Strategy, answer: dict[str, Any]) -> None:
        """Who answers is one entry of the file."""
        assert services(two(strategy))["answer"] == answer

    def test_a_shadow_gets_bounded_copies_and_answers_nobody(self) -> None:
        """Copies of predictions alone: /info and the rest go past it."""
        http = traefik.configuration(two("shadow"), "http://{}:3000".format)["http"]

        assert http["services"]["model"] == {
            "mirroring": {
                "service": "answer",
                "mirrorBody": True,
                "maxBodySize": 1_048_576,
                "mirrors": [{"name": "green", "percent": 100}],
            }
        }
        assert {name: router["service"] for name, router in http["routers"].items()} == {
            "predictions": "model",
            "about": "answer",
        }

    @pytest.mark.parametrize(
        ("strategy", "watched"),
        [("all-at-once", []), ("blue-green", ["blue", "green"]), ("canary", ["blue", "green"]), ("shadow", ["green"])],
    )
    def test_an_arm_that_answers_alone_is_not_watched(self, strategy: Strategy, watched: list[str]) -> None:
        """Taking it out would leave nobody."""
        found = services(two(strategy))

        assert [slot for slot in SLOTS if "healthCheck" in found.get(slot, {}).get("loadBalancer", {})] == watched
        assert [
            slot for slot in SLOTS if "passiveHealthCheck" in found.get(slot, {}).get("loadBalancer", {})
        ] == watched

    @pytest.mark.parametrize(
        ("strategy", "sick", "left"),
        [
            ("canary", ["green"], ["blue"]),
            ("canary", ["blue"], ["green"]),
            ("canary", ["blue", "green"], ["blue"]),
            ("blue-green", ["green"], ["blue"]),
            ("blue-green", ["blue"], ["green"]),
            ("blue-green", ["blue", "green"], ["green"]),
            ("all-at-once", ["green"], ["green"]),
            ("shadow", ["green"], ["blue"]),
            ("shadow", ["blue"], ["blue"]),
        ],
    )
    def test_a_sick_arm_is_left_out_where_another_may_answer(
        self, strategy: Strategy, sick: list[Slot], left: list[str]
    ) -> None:
        """The champion stays in when nobody else may: an error beats nothing. A shadow never answers."""
        answer = services(two(strategy), *sick)["answer"]

        assert [one["name"] for one in answer["weighted"]["services"]] == left

    def test_a_sick_champion_still_has_a_shadow_beside_it(self) -> None:
        """And a sick shadow gets nothing."""
        assert "model" in services(two("shadow"), "blue")
        assert "model" not in services(two("shadow"), "green")

    def test_equal_states_give_equal_text(self) -> None:
        """It says what it was made from."""
        text = traefik.render(two("ab"), "http://{}:3000".format)

        assert text == traefik.render(two("ab"), "http://{}:3000".format)
        assert text.startswith("# Rendered from production/state.json of the branch deploy")
        assert yaml.safe_load(text) == traefik.configuration(two("ab"), "http://{}:3000".format)


@dataclass
class Small:
    """An arm that says its name, and counts."""

    name: str
    port: int = field(default_factory=free_port)  # the same after a stop
    predicted: int = 0
    is_well: bool = True
    _server: uvicorn.Server | None = None

    def start(self) -> None:
        """Serve, at the port it had."""
        app = Starlette(
            routes=[
                Route("/predict", self._predict, methods=["POST"]),
                *(Route(path, self._other) for path in ("/info", "/readyz", "/metrics")),
            ]
        )
        found = socket.socket()
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", self.port))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=self._server.run, kwargs={"sockets": [found]}, daemon=True)
        thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        """Answer nobody any more."""
        assert self._server is not None
        self._server.should_exit = True
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/info", timeout=1)
            except httpx.TransportError:
                return
            time.sleep(0.05)

    async def _predict(self, request: Request) -> Response:
        await request.body()
        self.predicted += 1
        return PlainTextResponse(self.name, 200 if self.is_well else 500)

    async def _other(self, _: Request) -> Response:
        return PlainTextResponse(self.name, 200 if self.is_well else 503)


@dataclass
class Front:
    """Traefik in front of two arms."""

    folder: Path
    web: str
    api: str
    arms: dict[Slot, Small]
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20))
    _marks: int = 0

    def route(self, state: State) -> None:
        """Follow a state; returns when Traefik does."""
        text = traefik.render(state, lambda slot: f"http://127.0.0.1:{self.arms[slot].port}")
        held = self.folder / "dynamic" / "traefik.yaml"
        if held.exists() and held.read_text() == text:  # which is no change to Traefik, either
            return
        self._put("traefik.yaml", text)
        # It counts a reload before its routers change, so a router of ours, written last, says when they have.
        self._marks += 1
        mark = {"rule": f"Path(`/mark-{self._marks}`)", "entryPoints": ["web"], "service": "noop@internal"}
        self._put("mark.yaml", yaml.safe_dump({"http": {"routers": {"mark": mark}}}))
        until(lambda: self.client.get(f"{self.web}/mark-{self._marks}").status_code == 418)

    def _put(self, name: str, text: str) -> None:
        new = self.folder / "new.tmp"
        new.write_text(text)
        new.replace(self.folder / "dynamic" / name)

    def predict(self, times: int = 1, body: bytes = b"{}", **headers: str) -> Counter[str]:
        """Who answered how often; failures by their status."""
        answers = [self.client.post(f"{self.web}/predict", content=body, headers=headers) for _ in range(times)]
        return Counter(one.text if one.is_success else str(one.status_code) for one in answers)


def until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The real program; its log has to stay empty of errors."""
    folder = tmp_path_factory.mktemp("traefik")
    (folder / "dynamic").mkdir()
    web, api = free_port(), free_port()
    static = {
        "entryPoints": {"web": {"address": f"127.0.0.1:{web}"}, "traefik": {"address": f"127.0.0.1:{api}"}},
        "providers": {
            "providersThrottleDuration": "50ms",
            "file": {"directory": str(folder / "dynamic"), "watch": True},
        },
        "api": {"insecure": True},
        "metrics": {"prometheus": {}},
        "log": {"level": "ERROR", "filePath": str(folder / "log")},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
    }
    (folder / "static.yaml").write_text(yaml.safe_dump(static))
    arms: dict[Slot, Small] = {slot: Small(slot) for slot in SLOTS}
    for one in arms.values():
        one.start()
    process = subprocess.Popen([TRAEFIK, f"--configFile={folder / 'static.yaml'}"])
    made = Front(folder, f"http://127.0.0.1:{web}", f"http://127.0.0.1:{api}", arms)
    try:
        until(lambda: process.poll() is not None or (_listens(web) and _listens(api)), 60)
        assert process.poll() is None, (folder / "log").read_text()
        yield made
    finally:
        process.terminate()
        process.wait(10)
        made.client.close()
        for one in arms.values():
            one.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(autouse=True)
def _well(request: pytest.FixtureRequest) -> None:
    """Both arms are well when a test begins."""
    if "front" in request.fixturenames:
        for one in request.getfixturevalue("front").arms.values():
            one.is_well = True


class TestTraefik:
    """What the real program makes of it."""

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_it_takes_every_configuration(self, front: Front, strategy: Strategy) -> None:
        """Each router and service is enabled, and nothing is logged as an error."""
        front.route(two(strategy))

        for kind in ("routers", "services", "middlewares"):
            found = front.client.get(f"{front.api}/api/http/{kind}").json()
            assert [(one["name"], one.get("error")) for one in found if one["status"] != "enabled"] == []
        log = front.folder / "log"
        assert not log.exists() or log.read_text() == ""

    def test_the_shares_are_as_they_are_said(self, front: Front) -> None:
        """To the request, for Traefik deals them out in turn, as soon as it has found both arms well."""
        front.route(two("canary"))
        until(lambda: front.predict(100) == {"blue": 90, "green": 10})

        front.route(two("blue-green"))
        until(lambda: front.predict(20) == {"green": 20})

    def test_a_shadow_gets_every_prediction_and_answers_none(self, front: Front) -> None:
        """It does not even get what is no prediction."""
        front.route(two("shadow"))
        shadow = front.arms["green"]
        before = shadow.predicted

        assert front.predict(30) == {"blue": 30}

        until(lambda: shadow.predicted == before + 30)
        assert front.client.get(f"{front.web}/info").text == "blue"

    def test_a_large_request_passes_a_shadow_by(self, front: Front) -> None:
        """It is answered all the same."""
        front.route(two("shadow"))
        before = front.arms["green"].predicted

        assert front.predict(1, b"x" * 1_048_577) == {"blue": 1}
        assert front.predict(1, b"x" * 1_048_576) == {"blue": 1}

        until(lambda: front.arms["green"].predicted == before + 1)

    def test_who_was_answered_by_an_arm_stays_with_it(self, front: Front) -> None:
        """By a cookie that scripts cannot read, and that only goes over TLS."""
        front.route(two("ab"))
        first = front.client.post(f"{front.web}/predict", content=b"{}")
        cookie = first.headers["set-cookie"]
        front.client.cookies.clear()

        assert cookie.split("; ")[1:] == ["Path=/", "Max-Age=2592000", "HttpOnly", "Secure", "SameSite=Lax"]
        assert front.predict(20, cookie=cookie.split(";")[0]) == {first.text: 20}

    @pytest.mark.parametrize(
        "path", ["/metrics", "/", "/healthz", "/predict/x", "/predict_batch/../metrics", "//metrics"]
    )
    def test_nothing_else_is_let_in(self, front: Front, path: str) -> None:
        """Above all not the metrics."""
        front.route(alone(1))

        assert front.client.get(f"{front.web}{path}").status_code == 404

    @pytest.mark.parametrize("strategy", ["canary", "blue-green", "ab"])
    def test_an_arm_that_is_gone_fails_nobody(self, front: Front, strategy: Strategy) -> None:
        """Whoever met it is asked again, and the other one answers from then on."""
        state = two(strategy)
        front.route(state)
        gone: Slot = "green" if strategy == "blue-green" else "blue"
        other: Slot = "blue" if gone == "green" else "green"
        front.arms[gone].stop()
        try:
            assert front.predict(40) == {other: 40}
        finally:
            front.arms[gone].start()
        until(lambda: gone in front.predict(20))

    def test_an_arm_that_answers_with_errors_is_left_after_the_first(self, front: Front) -> None:
        """It comes back when it says that it is well."""
        front.route(two("ab"))
        front.arms["green"].is_well = False

        answers = front.predict(60)

        assert answers["500"] <= 3, answers
        assert answers["blue"] >= 57
        front.arms["green"].is_well = True
        until(lambda: "green" in front.predict(10))

    def test_a_sick_arm_that_is_alone_is_still_asked(self, front: Front) -> None:
        """Its own error says more than Traefik's."""
        front.route(alone(1))
        front.arms["blue"].is_well = False

        assert front.predict(5) == {"500": 5}

"""Arms as processes behind a real Traefik: what the rehearsal runs instead of containers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy_example import A, B, Tiny, one, warm
from ratchet.deploy.apply import reconcile
from rehearsal.engine import Processes


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Processes]:
    """Tiny arms, and the static configuration of a host."""
    with Processes(Tiny(tmp_path), tmp_path / "host") as found:
        yield found


def test_it_answers_behind_the_static_configuration_of_a_host(engine: Processes) -> None:
    """On free ports; what is inside stays inside."""
    reconcile(engine, one("blue", A))

    assert httpx.post(f"{engine.url}/predict", json={}).json() == {"model": A.model}
    assert httpx.get(f"{engine.inner}/ping").text == "OK"
    assert httpx.get(f"{engine.url}/metrics").status_code == 404
    assert 'service="blue@file"' in httpx.get(f"{engine.inner}/metrics").text


def test_what_crashed_no_longer_runs(engine: Processes) -> None:
    """And reconciling starts it again."""
    reconcile(engine, one("blue", A))
    engine.kill("blue")
    assert dict(engine.running()) == {}

    report = reconcile(engine, one("blue", A))

    assert report.is_well
    assert httpx.post(f"{engine.url}/predict", json={}).is_success


def test_what_is_frozen_runs_and_says_nothing(engine: Processes) -> None:
    """Until it is thawed."""
    reconcile(engine, warm("blue", A, B))
    engine.freeze("blue")

    assert dict(engine.running()) == {"blue": A.image, "green": B.image}
    assert reconcile(engine, warm("blue", A, B), respite=0).sick == {"blue": "model-v1 does not answer: timed out"}
    engine.thaw("blue")
    assert reconcile(engine, warm("blue", A, B), respite=5).is_well


def test_nothing_is_left_when_it_ends(tmp_path: Path) -> None:
    """Neither an arm, nor a frozen one, nor Traefik."""
    with Processes(Tiny(tmp_path), tmp_path / "host") as engine:
        reconcile(engine, warm("blue", A, B))
        engine.freeze("green")
        started = [process.pid for process in (*engine.arms.values(), engine.traefik) if process]

    assert len(started) == 3
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_its_routes_survive_its_traefik(engine: Processes) -> None:
    """Traefik that crashed is started again with what it has to do."""
    reconcile(engine, one("blue", A))
    assert engine.traefik is not None
    engine.traefik.kill()
    engine.traefik.wait()

    reconcile(engine, one("blue", A))

    assert httpx.post(f"{engine.url}/predict", json={}).is_success

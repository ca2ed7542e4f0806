"""The service as it is started: `bentoml serve` on real bundles, asked over HTTP."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from service_example import FLIGHT, JSON, Running, plain, serving

from ratchet import bundle

pytestmark = pytest.mark.xdist_group("service")


def test_a_row_is_answered_with_its_judged_score(service: Running, flights_bundle: Path) -> None:
    """Every row of a month's start scores over HTTP as through the bundle, to the last bit."""
    opened = bundle.load(flights_bundle)
    with httpx.Client(base_url=service.url, headers=JSON) as client:
        for row in plain("toy_departures", 200, flights_bundle):
            answer = client.post("/predict", content=json.dumps(row)).json()
            assert answer["score"] == opened.score_row(row)
            assert answer["decision"] == (answer["score"] >= 0.25)
            assert answer["model"] == opened.digest


TEXT = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=2, max_size=2)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {
            "year": st.integers(2000, 2100),
            "month": st.integers(1, 12),
            "day": st.integers(1, 31),
            "sched_dep_time": st.integers(-(2**63), 2**63 - 1),
            "sched_arr_time": st.integers(-(2**63), 2**63 - 1),
            "carrier": TEXT,
            "flight": st.integers(1, 9999),
            "origin": st.sampled_from(["EWR", "JFK", "LGA"]),
            "dest": st.sampled_from(["IAH", "MIA", "XXX"]),
            "distance": st.integers(1, 12000),
        },
        optional={
            "plane_engine": st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
            "plane_year": st.none() | st.floats(1930, 2100),
            "plane_seats": st.none() | st.integers(1, 900) | st.floats(1, 900),
            "dewp": st.none() | st.floats(-70, 100),
            "wind_speed": st.none() | st.floats(0, 150),
            "visib": st.none() | st.floats(0, 10),
        },
    )
)
def test_whatever_the_schema_allows_scores_as_in_the_bundle(
    service: Running, flights_bundle: Path, row: dict[str, Any]
) -> None:
    """Also what no holdout has: dates that are none, clocks of 64 bits, unseen categories, text of any script."""
    answer = service.post("/predict", row)
    assert answer.status_code == 200, answer.text
    assert answer.json()["score"] == _opened(flights_bundle).score_row(row)


def _opened(folder: Path, kept: dict[Path, bundle.Bundle] = {}) -> bundle.Bundle:  # noqa: B006
    return kept.setdefault(folder, kept.get(folder) or bundle.load(folder))


def test_a_batch_answers_each_of_its_rows(service: Running, flights_bundle: Path) -> None:
    """A thousand rows, in order, each with an id of its own."""
    rows = plain("toy_departures", 1000, flights_bundle)
    answer = service.post("/predict_batch", {"rows": rows}, **{"X-Request-Id": "night-7"}).json()
    assert [item["score"] for item in answer["predictions"]] == bundle.load(flights_bundle).score_rows(rows).tolist()
    assert [answer["predictions"][i]["id"] for i in (0, 999)] == ["night-7-0", "night-7-999"]


def test_what_says_nothing_about_a_row_gets_a_name_from_us(service: Running) -> None:
    """Ids are the caller's when they are short and plain, and never repeat when they are ours."""
    named = service.post("/predict", FLIGHT, **{"X-Request-Id": "order-17"})
    assert (named.json()["id"], named.headers["X-Request-Id"]) == ("order-17", "order-17")
    first, second = (service.post("/predict", FLIGHT, **{"X-Request-Id": "a b" * 99}).json()["id"] for _ in range(2))
    assert first != second
    assert len(first) < 30


def test_info_says_what_is_served(service: Running, flights_bundle: Path) -> None:
    """Model, threshold and what it was trained on; what is not known is null."""
    info = service.get("/info").json()
    assert info == {
        "model": bundle.digest(flights_bundle),
        "problem": "toy_departures",
        "task": "binary",
        "threshold": 0.25,
        "release": None,
        "commit": None,
        "record": None,
        "verdict_url": None,
        "source": None,
        "trained_on": ["2013-01"],
        "bento": None,
    }


def test_health_is_told_apart_from_readiness(service: Running) -> None:
    """Both are 200 on a service that is well; BentoML's name for the first works, too."""
    assert [service.get(path).status_code for path in ("/livez", "/healthz", "/readyz")] == [200, 200, 200]


def test_a_treelite_bundle_is_served_without_pandas_and_scikit_learn(service: Running) -> None:
    """Nothing of either is mapped into the worker, though both are installed here, and one row is no place for them."""
    (worker,) = service.workers()
    maps = Path(f"/proc/{worker}/maps").read_text()
    assert "/numpy/" in maps
    assert "/pandas/" not in maps
    assert "/sklearn/" not in maps


def test_metrics_are_one_exposition_that_holds_what_is_promised(service: Running) -> None:
    """Alerts, the dashboard and `ratchet status` read these names."""
    before = service.metrics()
    service.post("/predict", FLIGHT)
    service.post("/predict_batch", {"rows": [FLIGHT, FLIGHT]})
    service.post("/predict", {})
    after = service.metrics()

    def rose(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert rose('ratchet_requests_total{code="200",route="/predict"}') == 1
    assert rose('ratchet_requests_total{code="422",route="/predict"}') == 1
    assert rose('ratchet_requests_total{code="200",route="/predict_batch"}') == 1
    assert rose('ratchet_request_seconds_count{route="/predict"}') == 2
    assert (rose("ratchet_rows_total"), rose("ratchet_score_count")) == (3, 3)
    assert sum(rose(f'ratchet_decisions_total{{decision="{word}"}}') for word in ("true", "false")) == 3
    assert after["ratchet_log_queue_rows"] == 0
    assert 'ratchet_score_bucket{le="0.05"}' in after
    families = list(text_string_to_metric_families(service.get("/metrics").text))
    assert len({family.name for family in families}) == len(families)
    (info,) = (family for family in families if family.name == "ratchet_model_info")
    assert info.samples[0].labels["problem"] == "toy_departures"


def test_unknown_paths_are_counted_as_one(service: Running) -> None:
    """A scanner must not make a time series of every path it tries."""
    for path in ("/wp-login.php", "/.env", "/predict/"):
        assert service.get(path).status_code == 404
    assert not [name for name in service.metrics() if "wp-login" in name or ".env" in name]


def test_a_wrong_method_says_which_is_right(service: Running) -> None:
    """405 with Allow, as HTTP wants it."""
    assert service.get("/predict").headers["allow"] == "POST"
    answer = httpx.delete(service.url + "/info")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert httpx.head(service.url + "/readyz").status_code == 200


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml"])
def test_a_body_that_is_not_said_to_be_json_is_refused(service: Running, kind: str) -> None:
    """415; browsers send forms across sites without asking, but no JSON."""
    assert service.post("/predict", FLIGHT, **{"content-type": kind}).status_code == 415


def test_a_compressed_body_is_refused(service: Running) -> None:
    """It could be of any size."""
    assert service.post("/predict", b"\x1f\x8b", **{"content-encoding": "gzip"}).status_code == 415


def test_a_charset_is_no_other_kind(service: Running) -> None:
    """Many clients send one."""
    assert service.post("/predict", FLIGHT, **{"content-type": "Application/JSON; charset=utf-8"}).status_code == 200


def test_a_batch_of_too_many_is_refused(service: Running) -> None:
    """One row more than the bound."""
    answer = service.post("/predict_batch", {"rows": [FLIGHT] * 1001})
    assert (answer.status_code, answer.json()["details"][0]["rule"]) == (422, "a list of 1 to 1000 rows")


def test_a_hundred_megabytes_are_refused_early(service: Running) -> None:
    """With or without a length: the answer is 413, it comes before the body has gone, and memory stays."""
    service.post("/predict", FLIGHT)
    before, sent = service.resident(), 0

    def endless() -> Any:
        nonlocal sent
        for _ in range(1600):
            sent += 65_536
            yield b" " * 65_536

    assert service.post("/predict", b" " * 100_000_000).status_code == 413
    answer = httpx.post(service.url + "/predict", content=endless(), headers=JSON, timeout=30)
    assert answer.status_code == 413
    assert sent < 90_000_000
    assert service.resident() - before < 8_000_000


def _open(service: Running) -> socket.socket:
    host, _, port = service.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


HEAD = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize("begun", [b"", b'{"year": 2013, '])
def test_a_body_that_never_ends_is_given_up(service: Running, begun: bytes) -> None:
    """408 after the time that a body may take (two seconds here), and others are answered meanwhile."""
    with _open(service) as slow:
        slow.sendall(HEAD + b"content-length: 500\r\n\r\n" + begun)
        assert service.post("/predict", FLIGHT).status_code == 200
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_caller_who_hangs_up_harms_nobody(service: Running) -> None:
    """Half a body, then nothing."""
    for _ in range(20):
        with _open(service) as gone:
            gone.sendall(HEAD + b"content-length: 500\r\n\r\n{")
    assert service.post("/predict", FLIGHT).status_code == 200


def test_bytes_that_are_no_http_harm_nobody(service: Running) -> None:
    """400 from the server, and it goes on."""
    with _open(service) as strange:
        strange.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")
        strange.recv(4096)
    assert service.get("/livez").status_code == 200


def test_memory_does_not_grow_with_requests(service: Running) -> None:
    """BentoML's own stack keeps 4 KB of every request for a minute; 4,800 of ours leave less than 2 MB."""

    def send(count: int) -> None:
        with httpx.Client(base_url=service.url, headers=JSON) as client:
            for _ in range(count):
                assert client.post("/predict", content=body).status_code == 200

    body = json.dumps(FLIGHT)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, [300] * 4))
        before = service.resident()
        list(pool.map(send, [1200] * 4))
    assert service.resident() - before < 2_000_000


def test_a_regression_without_trees_is_served_as_well(delays_bundle: Path, tmp_path: Path) -> None:
    """Through scikit-learn: a score, no decision; and the token that its callers must bring."""
    opened = bundle.load(delays_bundle)
    rows = plain("toy_delays", 5, delays_bundle)
    (tmp_path / "token").write_text("s3cret\n")
    with serving(delays_bundle, tmp_path, RATCHET_TOKEN_FILE=str(tmp_path / "token")) as service:
        bearer = {"authorization": "Bearer s3cret"}
        one = service.post("/predict", rows[0], **bearer).json()
        assert (one["score"], one["decision"]) == (opened.score_row(rows[0]), None)
        many = service.post("/predict_batch", {"rows": rows}, **bearer).json()
        assert [item["score"] for item in many["predictions"]] == opened.score_rows(rows).tolist()

        for wrong in ("", "Bearer", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret"):
            answer = service.post("/predict", rows[0], authorization=wrong)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert service.post("/predict_batch", {"rows": rows}).status_code == 401
        assert [service.get(path).status_code for path in ("/info", "/readyz", "/metrics")] == [200, 200, 200]
        assert service.get("/openapi.json").json()["paths"]["/predict"]["post"]["security"] == [{"token": []}]


def test_several_workers_report_as_one_and_log_what_they_answer(flights_bundle: Path, tmp_path: Path) -> None:
    """Whichever of them is asked; each logs into a file of its own, and identity and reference are the service's."""
    reference = flights_bundle.parent / "reference.json"
    reference.write_text('{"score_mean": 0.25, "decision_share": 0.5, "rows": 100}')
    told = {
        "RATCHET_WORKERS": "2",
        "RATCHET_LOG": str(tmp_path / "log"),
        "RATCHET_RELEASE": "model-v7",
        "RATCHET_RELEASED": "1700000000",
        "RATCHET_COMMIT": "c0ffee",
        "RATCHET_SOURCE": "https://github.com/ada/flights",
        "RATCHET_RECORD": "verdicts/12/a.json",
    }
    try:
        with serving(flights_bundle, tmp_path / "run", **told) as service:
            assert len(service.workers()) == 2
            for i in range(60):  # each on a connection of its own, so that both workers get some
                assert service.post("/predict", FLIGHT, **{"X-Request-Id": f"r{i}"}).status_code == 200
            metrics = service.metrics()
            assert metrics['ratchet_requests_total{code="200",route="/predict"}'] == 60
            assert metrics["ratchet_rows_total"] == 60
            assert metrics["ratchet_score_reference_mean"] == 0.25
            assert metrics["ratchet_decision_reference_share"] == 0.5
            assert metrics["ratchet_model_released_timestamp_seconds"] == 1_700_000_000
            digest = bundle.digest(flights_bundle)
            labels = f'commit="c0ffee",model="{digest}",problem="toy_departures",release="model-v7"'
            assert metrics[f"ratchet_model_info{{{labels}}}"] == 1
            url = "https://github.com/ada/flights/blob/records/verdicts/12/a.json"
            assert service.get("/info").json()["verdict_url"] == url
    finally:
        reference.unlink()
    lines = [json.loads(line) for path in (tmp_path / "log").rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(f"r{i}" for i in range(60))


def test_two_services_on_one_machine_count_for_themselves(
    service: Running, flights_bundle: Path, tmp_path: Path
) -> None:
    """BentoML keeps the figures of all of them in one folder, and deletes it when another starts."""
    service.post("/predict", FLIGHT)
    before = service.metrics()["ratchet_rows_total"]
    home = service.log.parent / "bentoml"
    with serving(flights_bundle, tmp_path, BENTOML_HOME=str(home)) as other:
        other.post("/predict", FLIGHT)
        assert other.metrics()["ratchet_rows_total"] == 1
    assert service.metrics()["ratchet_rows_total"] == before


def test_being_told_to_end_it_finishes_what_it_began(flights_bundle: Path, tmp_path: Path) -> None:
    """It says that it is not ready, answers on, and then a body that was under way is still answered."""
    body = json.dumps(FLIGHT).encode()
    with serving(flights_bundle, tmp_path, RATCHET_DRAIN_SECONDS="2.5", RATCHET_LOG=str(tmp_path / "log")) as service:
        with _open(service) as slow:
            slow.sendall(HEAD + b"x-request-id: slow\r\ncontent-length: %d\r\n\r\n" % len(body) + body[:20])
            time.sleep(0.3)
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert service.get("/readyz").status_code == 503
            assert service.post("/predict", FLIGHT).status_code == 200
            time.sleep(2.5)
            assert service.process.poll() is None
            slow.sendall(body[20:])
            answer = slow.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert service.process.wait(10) == 0
    logged = "".join(path.read_text() for path in (tmp_path / "log").rglob("*.jsonl"))
    assert '"id":"slow"' in logged


def test_no_request_is_lost_when_it_ends(flights_bundle: Path, tmp_path: Path) -> None:
    """Four callers who, as a proxy does, ask /readyz first and send batches until it says no: every one is answered."""
    body = json.dumps({"rows": [FLIGHT] * 200})
    with serving(flights_bundle, tmp_path, RATCHET_DRAIN_SECONDS="2") as service:

        def ask() -> list[int]:
            statuses = []
            while service.get("/readyz").status_code == 200:
                statuses.append(service.post("/predict_batch", body).status_code)
            return statuses

        with ThreadPoolExecutor(4) as pool:
            callers = [pool.submit(ask) for _ in range(4)]
            time.sleep(0.5)
            service.process.send_signal(signal.SIGTERM)
            statuses = [status for caller in callers for status in caller.result(30)]
        assert service.process.wait(10) == 0
    assert set(statuses) == {200}


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("RATCHET_BUNDLE", "/nowhere", "error: /nowhere/manifest.json: cannot be read"),
        ("RATCHET_MAX_ROWS", "many", "error: RATCHET_MAX_ROWS=many: "),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(variable: str, value: str, told: str, tmp_path: Path) -> None:
    """Exit code 2 and no traceback, instead of workers that start and die."""
    command = [str(Path(sys.executable).with_name("bentoml")), "serve", "ratchet.serving.service:Service"]
    environment = os.environ | {variable: value, "BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run(
        [*command, "--port", "0"],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr

"""The description of the API: true, complete, and readable without a network."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from service_example import Running

from ratchet import bundle
from ratchet.serving import openapi
from ratchet.serving.settings import Settings, read

pytestmark = pytest.mark.xdist_group("service")


@pytest.fixture(scope="module")
def description(service: Running) -> Any:
    """As it is served."""
    return service.get("/openapi.json").json()


def test_a_row_is_described_as_it_is_checked(description: Any) -> None:
    """Ranges, lists, patterns, descriptions and examples come from the problem's schema; integers have 64 bits."""
    row = description["components"]["schemas"]["Row"]
    assert description["openapi"] == "3.1.0"
    assert row["additionalProperties"] is False
    assert row["properties"]["month"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 12,
        "description": "Month of the scheduled departure",
        "examples": [7],
    }
    assert row["properties"]["origin"]["enum"] == ["EWR", "JFK", "LGA"]
    assert row["properties"]["sched_dep_time"]["minimum"] == -(2**63)
    assert "private" not in row["properties"]["tailnum"]


def test_each_answer_is_described(description: Any) -> None:
    """The refusals, too; 401 only where a token is asked for."""
    responses = description["paths"]["/predict"]["post"]["responses"]
    assert sorted(responses) == ["200", "400", "408", "413", "415", "422"]


def test_the_examples_work(service: Running, description: Any) -> None:
    """They are what people send first."""
    for path in ("/predict", "/predict_batch"):
        content = description["paths"][path]["post"]["requestBody"]["content"]
        assert service.post(path, content["application/json"]["example"]).status_code == 200


def test_a_token_and_bounds_are_part_of_the_description(flights_bundle: Path) -> None:
    """Whoever reads it knows what to bring, and how much at once."""
    opened = bundle.load(flights_bundle)
    settings = read({"RATCHET_TOKEN": "x", "RATCHET_MAX_ROWS": "7", "RATCHET_RELEASE": "model-v3"})
    found = openapi.describe(opened.schema, opened.manifest, settings)
    assert found["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert "401" in found["paths"]["/predict"]["post"]["responses"]
    assert found["components"]["schemas"]["Batch"]["properties"]["rows"]["maxItems"] == 7
    assert found["info"]["version"] == "model-v3"


def test_a_regression_has_a_score_without_bounds_and_no_decision(delays_bundle: Path) -> None:
    """Other than a probability."""
    opened = bundle.load(delays_bundle)
    prediction = openapi.describe(opened.schema, opened.manifest, Settings())["components"]["schemas"]["Prediction"]
    assert "minimum" not in prediction["properties"]["score"]
    assert prediction["properties"]["decision"]["type"] == "null"


def test_the_page_needs_no_network(service: Running) -> None:
    """Everything is in it: no address to load anything from."""
    answer = service.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "SwaggerUIBundle({url:" in answer.text
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//", answer.text)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_shows_every_operation(service: Running, tmp_path: Path) -> None:
    """Rendered, with a form for each."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    shown = subprocess.run(
        [*command, "--virtual-time-budget=8000", "--dump-dom", f"{service.url}/docs"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert re.findall(r'data-path="([^"]+)"', shown) == [
        "/predict",
        "/predict_batch",
        "/info",
        "/livez",
        "/readyz",
        "/metrics",
    ]


def test_schemathesis_finds_nothing(service: Running, tmp_path: Path) -> None:
    """It makes requests of the description, good and bad: every answer is documented, none is a 5xx, memory stays."""
    service.post("/predict", {})
    before = service.resident()
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("st")), "run", f"{service.url}/openapi.json", "--checks", "all"),
            *("--max-examples", "40", "--phases", "examples,coverage,fuzzing", "--seed", "1"),
            *("--generation-database", "none", "--no-color"),
        ],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert not [name for name in service.metrics() if re.search(r'code="5', name)]
    assert service.resident() - before < 6_000_000

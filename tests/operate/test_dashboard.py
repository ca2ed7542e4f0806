"""The dashboard: what it asks Prometheus is understood there, and is about metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from operate_example import World, until

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "ratchet.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
OURS = {
    "ratchet_requests_total",
    "ratchet_request_seconds",
    "ratchet_rows_total",
    "ratchet_score",
    "ratchet_decisions_total",
    "ratchet_score_reference_mean",
    "ratchet_decision_reference_share",
    "ratchet_log_rows_total",
    "ratchet_log_queue_rows",
    "ratchet_model_info",
    "ratchet_model_released_timestamp_seconds",
}
"""What the service exposes: the contract."""
TRAEFIK = {
    "traefik_router_requests_total",
    "traefik_router_request_duration_seconds",
    "traefik_service_server_up",
}
PROMETHEUS = {"up", "ALERTS", "process_resident_memory_bytes"}
WORDS = re.compile(r"[a-zA-Z_:][\w:]*")

pytestmark = pytest.mark.xdist_group("operate")
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs prometheus (Debian: prometheus)"
)


def expressions() -> Iterator[tuple[str, str]]:
    """Title and expression of each query of the dashboard."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def names(expression: str) -> set[str]:
    """The metrics of an expression: words that are neither labels, values, functions nor operators."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    bare = re.sub(r"\b(by|on|ignoring|group_left|group_right|without) ?\([^)]*\)", "", bare)
    called = set(re.findall(r"([a-z_]+) ?\(", bare))
    found = set(WORDS.findall(bare)) - called - {"and", "or", "unless", "sum", "max", "min", "count"}
    return {re.sub(r"(seconds|score)_(?:bucket|sum|count)$", r"\1", name) for name in found}


def recorded() -> set[str]:
    """Names of the recording rules."""
    return {rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}


class TestFile:
    """The file as it is."""

    def test_metrics_are_read_from_expressions(self) -> None:
        """Neither labels, functions nor durations are metrics."""
        share = 'sum by (slot, le) (rate(ratchet_score_bucket{route=~"/predict.*"}[5m])) / on () group_left () up'
        expression = f"{share} and a:b:c > 0"

        assert names(expression) == {"ratchet_score", "up", "a:b:c"}

    def test_dashboard_and_rules_name_only_metrics_that_exist(self) -> None:
        """Of the service's contract, Traefik's, Prometheus' own, and those that the rules record."""
        asked = [expression for _, expression in expressions()]
        asked += [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]

        unknown = (
            {name for expression in asked for name in names(expression)} - OURS - TRAEFIK - PROMETHEUS - recorded()
        )

        assert unknown == set()

    def test_every_metric_of_the_service_is_shown_or_watched(self) -> None:
        """One that nobody looks at need not be exposed."""
        asked = [expression for _, expression in expressions()]
        asked += [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]

        assert {name for expression in asked for name in names(expression)} >= OURS

    def test_panels_are_told_apart(self) -> None:
        """Each has an id, a title and a description of its own, and a place that no other takes."""
        panels = DASHBOARD["panels"]

        assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
        assert all(panel["description"] for panel in panels)
        assert [
            (a["title"], b["title"]) for a, b in combinations(panels, 2) if overlap(a["gridPos"], b["gridPos"])
        ] == []
        assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in panels) == 24

    def test_what_is_provisioned_fits(self) -> None:
        """The source that the panels name, the folder that Compose mounts, and the interval of the scrapes."""
        folder = GRAFANA / "provisioning"
        (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
        (provider,) = yaml.safe_load((folder / "dashboards" / "ratchet.yml").read_text())["providers"]
        compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]
        scrapes = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))

        uids = {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
        assert uids == {source["uid"]}
        assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose["grafana"]["volumes"]
        assert source["url"] == "http://prometheus:9090"
        assert source["jsonData"]["timeInterval"] == scrapes["global"]["scrape_interval"]


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two panels share a cell."""
    return all(one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh"))


@needs_prometheus
class TestQueries:
    """What a real Prometheus says, which watches two real arms."""

    def test_every_query_is_understood_and_shows_something(self, world: World) -> None:
        """While all is well, only the alerts and the annotation have nothing to show."""
        until(lambda: len(world.query("slot:score:mean1d")) == 2 and len(world.query("users:seconds:p99_5m")) == 1)

        def empty() -> set[str]:
            return {title for title, expression in expressions() if not world.query(filled(expression))}

        until(lambda: empty() == {"What fires", "Another model"})

    def test_the_table_of_what_runs(self, world: World) -> None:
        """A line for each slot, whose shares sum to one."""
        queries: list[dict[str, Any]] = next(p for p in DASHBOARD["panels"] if p["title"] == "What runs")["targets"]
        info, share, released = (world.query(filled(query["expr"])) for query in queries)

        assert {(line["metric"]["slot"], line["metric"]["release"]) for line in info} == {
            ("blue", "model-v1"),
            ("green", "model-v2"),
        }
        assert sum(float(line["value"][1]) for line in share) == pytest.approx(1)
        assert {line["metric"]["slot"] for line in released} == {"blue", "green"}


def filled(expression: str) -> str:
    """An expression with what Grafana would put in for its variables."""
    return expression.replace("$__rate_interval", "20s").replace("[1h]", "[10s]")

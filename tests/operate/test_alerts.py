"""The alert rules: by promtool on made-up series, and by Prometheus on the real service with faults injected."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from operate_example import BREAKS, QUICK, REFUSED, RULES, SLOWS, World, quickened, until

FOLDER = RULES.parent
ROOT = FOLDER.parents[1]
HAS_PROMETHEUS = shutil.which("prometheus") is not None and shutil.which("promtool") is not None
needs_prometheus = pytest.mark.skipif(not HAS_PROMETHEUS, reason="needs prometheus and promtool (Debian: prometheus)")

pytestmark = pytest.mark.xdist_group("operate")


def rules() -> list[dict[str, Any]]:
    """All rules."""
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


class TestFiles:
    """The files as they are."""

    def test_every_alert_is_complete(self) -> None:
        """Waits a while, says how urgent it is, and tells what is wrong in words."""
        for name, rule in ALERTS.items():
            assert rule["for"] in QUICK, name
            assert rule["labels"]["severity"] in {"page", "ticket"}, name
            assert set(rule["annotations"]) == {"summary", "description"}, name

    def test_every_alert_has_its_chapter(self) -> None:
        """docs/operating.md says of each what it means and what to do, and of no other."""
        text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")

        assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == set(ALERTS)

    def test_every_alert_is_tested_to_fire_and_to_end(self) -> None:
        """In the files for promtool."""
        fires, ends = set(), set()
        for path in FOLDER.glob("*_test.yml"):
            for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
                for check in test["alert_rule_test"]:
                    if check["exp_alerts"]:
                        fires.add(check["alertname"])
                    elif check["alertname"] in fires:
                        ends.add(check["alertname"])

        assert fires == set(ALERTS)
        assert ends == set(ALERTS)

    def test_a_duration_that_is_not_known_is_no_guess(self) -> None:
        """The rules that are played are the real ones: a new duration has to be named here."""
        with pytest.raises(KeyError):
            quickened("for: 7m")


@needs_prometheus
class TestPromtool:
    """What Prometheus' own tool says."""

    @pytest.mark.parametrize("name", ["alerts_test.yml", "alerts_days_test.yml"])
    def test_the_rules_fire_and_end(self, name: str) -> None:
        """On the series that the file describes."""
        done = subprocess.run(
            ["promtool", "test", "rules", name], cwd=FOLDER, capture_output=True, text=True, check=False
        )

        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_hosts_configuration_is_valid(self) -> None:
        """As Prometheus reads it."""
        done = subprocess.run(
            ["promtool", "check", "config", "--syntax-only", "prometheus.yml"],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_clusters_configuration_is_valid(self, tmp_path: Path) -> None:
        """All but how pods are found: Debian's Prometheus is built without that."""
        given = yaml.safe_load((FOLDER / "kubernetes.yml").read_text(encoding="utf-8"))
        found = [scrape.pop("kubernetes_sd_configs") for scrape in given["scrape_configs"]]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(given))
        done = subprocess.run(
            ["promtool", "check", "config", "--syntax-only", "prometheus.yml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert [each[0]["role"] for each in found] == ["pod", "pod"]

    @pytest.mark.parametrize(
        ("router", "counts"),
        [
            ("flights-production-model-6f1c0de2a4b5c6d7e8f9@kubernetescrd", True),
            ("", True),  # a metric of Traefik's that is not by router
            ("flights-staging-model-6f1c0de2a4b5c6d7e8f9@kubernetescrd", False),
            ("shop-cart-0123456789abcdef0123@kubernetescrd", False),
        ],
    )
    def test_a_cluster_watches_one_environment(self, router: str, counts: bool) -> None:
        """Pods of its namespace, and of a shared Traefik what it answered for it: the rules would add up the rest."""
        given = yaml.safe_load((FOLDER / "kubernetes.yml").read_text(encoding="utf-8"))
        model, proxy = given["scrape_configs"]
        (rule,) = proxy["metric_relabel_configs"]

        assert model["kubernetes_sd_configs"] == [{"role": "pod", "namespaces": {"names": ["flights-production"]}}]
        assert (rule["source_labels"], rule["action"]) == (["router"], "keep")
        assert bool(re.fullmatch(rule["regex"], router)) is counts

    def test_host_and_cluster_are_watched_by_the_same_rules(self) -> None:
        """The same jobs, rules and intervals."""
        host, cluster = (
            yaml.safe_load((FOLDER / name).read_text(encoding="utf-8")) for name in ("prometheus.yml", "kubernetes.yml")
        )

        assert host["global"] == cluster["global"]
        assert host["rule_files"] == cluster["rule_files"] == ["alerts.yml"]
        assert [each["job_name"] for each in host["scrape_configs"]] == ["model", "traefik"]
        assert [each["job_name"] for each in cluster["scrape_configs"]] == ["model", "traefik"]


@contextmanager
def told(world: World, *expected: tuple[str, str]) -> Iterator[None]:
    """A fault, which the block injects and heals: what is expected fires before it ends, and nothing afterwards."""
    until(lambda: world.firing() == set())
    began = time.monotonic()
    yield
    healed = time.monotonic()
    until(lambda: world.firing() == set())
    print(
        f"{sorted(expected)}: fired and healed in {healed - began:.0f} s, quiet {time.monotonic() - healed:.0f} s later"
    )


def fires(world: World, *expected: tuple[str, str]) -> None:
    """Wait until they do, all at once."""
    seen: set[tuple[str, str]] = set()

    def reached() -> bool:
        nonlocal seen
        seen = world.firing()
        return seen >= set(expected)

    try:
        until(reached)
    except AssertionError as error:
        raise AssertionError(f"{sorted(set(expected) - seen)} did not fire, {sorted(seen)} did") from error


@needs_prometheus
class TestFaults:
    """The real service, the real Traefik, the real Prometheus."""

    def test_nothing_fires_while_all_is_well(self, world: World) -> None:
        """With people who ask, both arms up, and every figure there that the rules look at."""
        until(lambda: len(world.query("slot:score:mean1d")) == 2 and len(world.query("users:requests:rate5m")) == 1)
        time.sleep(3)

        assert world.firing() == set()

    def test_a_model_that_fails(self, world: World) -> None:
        """People see it; it is the green arm, and it is worse than the blue one."""
        expected = [("ArmErrors", "green"), ("ArmWorse", "green"), ("UsersSeeErrors", "")]
        green = world.engine.probe("green")

        with (
            told(world, *expected),
            world.always(
                lambda: world.ask(green, force=BREAKS),
                lambda: world.ask(world.engine.url, force=BREAKS) if time.monotonic() % 1 < 0.2 else None,
            ),
        ):
            fires(world, *expected)

    def test_a_model_that_is_slow(self, world: World) -> None:
        """People wait: measured where they come in."""
        with told(world, ("UsersWait", "")), world.always(lambda: world.ask(world.engine.url, force=SLOWS)):
            fires(world, ("UsersWait", ""))

    def test_a_caller_whose_rows_are_refused(self, world: World) -> None:
        """A force that the schema does not allow."""
        blue = world.engine.probe("blue")

        with told(world, ("RequestsRefused", "blue")), world.always(lambda: world.ask(blue, force=REFUSED)):
            fires(world, ("RequestsRefused", "blue"))

    def test_rows_that_are_not_what_they_were(self, world: World) -> None:
        """All of gold and thrown hard: scores and decisions leave what was judged, in both arms."""
        expected = [(name, slot) for name in ("ScoresShifted", "DecisionsShifted") for slot in ("blue", "green")]

        with told(world, *expected):
            world.shift = lambda row: row | {"force": 9.0, "metal": "gold"}
            fires(world, *expected)
            world.shift = lambda row: row

    def test_a_prediction_log_whose_target_is_gone(self, world: World) -> None:
        """A file stands where its folder was. Requests are answered all the same."""
        away = world.predictions.with_name("away")

        with told(world, ("PredictionsLost", "green")):
            world.predictions.rename(away)
            world.predictions.touch()
            fires(world, ("PredictionsLost", "green"))
            answer = world.ask(world.engine.probe("green"))
            world.predictions.unlink()
            away.rename(world.predictions)

        assert answer == 200

    def test_an_arm_that_is_killed(self, world: World) -> None:
        """It is told as down; what is left is a model of fifty days ago."""
        with told(world, ("ArmDown", "green"), ("ModelStale", "")):
            world.engine.kill("green")
            fires(world, ("ArmDown", "green"), ("ModelStale", ""))
            world.start("green")

    def test_arms_that_hang(self, world: World) -> None:
        """Both are there, and neither says anything."""
        with told(world, ("NothingAnswers", "")):
            for slot in ("blue", "green"):
                world.engine.freeze(slot)
            fires(world, ("NothingAnswers", ""))
            for slot in ("blue", "green"):
                world.engine.thaw(slot)

    def test_a_proxy_that_is_gone(self, world: World) -> None:
        """Nobody gets through, so nobody asks."""
        until(lambda: len(world.query('sum(increase(ratchet_requests_total{route=~"/predict.*"}[10m])) > 100')) == 1)
        with told(world, ("ProxyDown", ""), ("NoTraffic", "")):
            assert world.engine.traefik is not None
            world.engine.traefik.kill()
            world.engine.traefik.wait()
            fires(world, ("ProxyDown", ""), ("NoTraffic", ""))
            world.route()

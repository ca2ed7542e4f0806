"""The host's services, and Docker Compose as an engine: with a stand-in for the program `docker`, and the rest real."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from deploy_example import A, B, Tiny, one, warm
from ratchet.cli import cli
from ratchet.deploy.apply import Watch
from ratchet.deploy.compose import Compose, opened
from ratchet.deploy.state import State, render
from ratchet.errors import RatchetError
from rehearsal.engine import Processes

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
STATIC: dict[str, Any] = yaml.safe_load((DEPLOY / "traefik" / "traefik.yaml").read_text())
ARMS = ("blue", "green")


def has_compose() -> bool:
    """Whether this machine has Docker's client with Compose."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


class TestServices:
    """deploy/compose.yaml."""

    def test_it_is_valid(self) -> None:
        """By Compose's own schema."""
        command = [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.compose-spec"]

        done = subprocess.run([*command, DEPLOY / "compose.yaml"], capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stdout

    @pytest.mark.skipif(not has_compose(), reason="needs docker compose")
    def test_docker_compose_reads_it(self, tmp_path: Path) -> None:
        """With what the branch says of an environment."""
        (tmp_path / "compose.env").write_text(f"BLUE_IMAGE={A.image}\nCOMPOSE_PROFILES=blue\n")
        command = ["docker", "compose", "--file", DEPLOY / "compose.yaml", "--env-file", tmp_path / "compose.env"]

        done = subprocess.run([*command, "config", "--format", "json"], capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stderr
        services = json.loads(done.stdout)["services"]
        assert sorted(services) == ["blue", "grafana", "prometheus", "traefik"]
        assert services["blue"]["image"] == A.image

    @pytest.mark.parametrize("name", SERVICES)
    def test_every_service_is_hardened_and_bounded(self, name: str) -> None:
        """It cannot write to its own files, gain rights, or take the host's memory; it is looked after."""
        service = SERVICES[name]

        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
        assert service.keys() >= {"mem_limit", "cpus", "healthcheck", "logging"}

    def test_nobody_from_outside_reaches_anything_but_traefik(self) -> None:
        """All other ports are the host's own."""
        published = {name: [str(port) for port in service.get("ports", [])] for name, service in SERVICES.items()}

        outside = [(name, port) for name, ports in published.items() for port in ports if not port.startswith("127.")]
        assert outside == [("traefik", "${PORT:-8080}:8000")]
        assert published["blue"] == published["green"] == ["127.0.0.1::3000"]

    def test_both_slots_are_the_same(self) -> None:
        """But for the image, and the profile that turns each on."""
        blue, green = ({**SERVICES[name], "image": "", "profiles": []} for name in ARMS)

        assert blue == green
        assert [SERVICES[name]["image"] for name in ARMS] == ["${BLUE_IMAGE:-empty}", "${GREEN_IMAGE:-empty}"]
        assert [SERVICES[name]["profiles"] for name in ARMS] == [["blue"], ["green"]]

    def test_an_arm_may_write_its_predictions(self) -> None:
        """A new volume is root's, unless the image has a folder there that is the arm's."""
        image = (DEPLOY / "Dockerfile").read_text().rpartition("\nFROM ")[2]
        arm = SERVICES["blue"]
        (place,) = [str(volume).rpartition(":")[2] for volume in arm["volumes"]]
        user, _, group = arm["user"].partition(":")

        assert f"install --directory --owner={user} --group={group} {place}\n" in image
        assert f"\nUSER {arm['user']}\n" in image

    @pytest.mark.parametrize("name", sorted(SERVICES.keys() - set(ARMS)))
    def test_what_others_make_has_a_full_version(self, name: str) -> None:
        """Not a tag that moves."""
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", SERVICES[name]["image"])

    @pytest.mark.parametrize("name", sorted(SERVICES.keys() - set(ARMS)))
    def test_what_is_mounted_is_there(self, name: str) -> None:
        """Each folder and file of this repository; Docker would make an empty folder of one that is not."""
        sources = [str(volume).split(":")[0] for volume in SERVICES[name]["volumes"]]

        assert [
            source
            for source in sources
            if source.startswith("./") and "$" not in source and not (DEPLOY / source).exists()
        ] == []

    def test_traefik_listens_where_compose_publishes(self) -> None:
        """And reads the file that apply writes, in a folder that is mounted."""
        ports = [str(port).split(":")[-1] for port in SERVICES["traefik"]["ports"]]

        assert [entry["address"] for entry in STATIC["entryPoints"].values()] == [f":{port}" for port in ports]
        assert STATIC["providers"]["file"]["filename"] == "/etc/traefik/dynamic/traefik.yaml"
        assert any(":/etc/traefik/dynamic:ro" in volume for volume in SERVICES["traefik"]["volumes"])

    def test_traefik_lets_nobody_look_in_or_calls_home(self) -> None:
        """No dashboard, no API, no news about versions."""
        assert STATIC.keys() == {"entryPoints", "providers", "metrics", "ping", "log", "global"}
        assert STATIC["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}


_DOCKER = '''#!{python}
"""What `docker compose` does to the services of a file, as far as apply asks: the containers are a JSON file."""
import json, os, re, sys
from pathlib import Path
import yaml

here, said, options = Path({folder!r}), sys.argv[1:], {{}}
with (here / "calls").open("a") as calls:
    calls.write(" ".join(said[said.index("--env-file") + 2:]) + "\\n")
assert said.pop(0) == "compose"
while said[0].startswith("--"):
    options |= dict([(said.pop(0), said.pop(0))])
there = json.loads((here / "containers").read_text())
given = dict(line.split("=", 1) for line in Path(options["--env-file"]).read_text().split()) | os.environ
services = yaml.safe_load(Path(options["--file"]).read_text())["services"]
verb, names = said[0], [name for name in said[1:] if name in services]
fill = lambda text: re.sub(r"\\$\\{{(\\w+):-([^}}]*)\\}}", lambda found: given.get(found[1]) or found[2], text)
if verb == "up":
    for name in names:
        image = fill(services[name]["image"])
        if image.endswith("0" * 8 + "dead"):
            sys.exit(f"Error response from daemon: manifest unknown: {{image}}")
        labels = ",".join(f"{{key}}={{fill(value)}}" for key, value in services[name].get("labels", {{}}).items())
        there[name] = {{"Service": name, "Image": image, "State": "running", "Labels": f"maker=docker,{{labels}}"}}
elif verb == "stop":
    for name in names:
        there[name]["State"] = "exited"
elif verb == "rm":
    for name in names:
        assert there.pop(name)["State"] == "exited"
elif verb == "ps":
    print("\\n".join(json.dumps(container) for container in there.values()))
elif verb == "port":
    if names[0] not in there:
        sys.exit(f'service "{{names[0]}}" is not running')
    print((here / f"port-{{there[names[0]]['Image'][-64:]}}-{{said[-1]}}".replace("/", "-")).read_text())
else:
    sys.exit(f"unknown docker command: {{verb}}")
(here / "containers").write_text(json.dumps(there))
'''


class Host:
    """A folder with a clone of the branch, and a stand-in for Docker: its arms and its Traefik are real processes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clone = folder, folder / "clone"
        shutil.copytree(DEPLOY, self.clone)
        (folder / "containers").write_text("{}")
        self.docker = folder / "docker"
        self.docker.write_text(_DOCKER.format(python=sys.executable, folder=str(folder)))
        self.docker.chmod(0o755)
        self.processes = Processes(Tiny(folder), folder / "host")

    def put(self, state: State) -> None:
        """What the branch says."""
        place = self.clone / state.environment
        place.mkdir(exist_ok=True)
        (place / "state.json").write_text(render(state))
        images = [f"{slot.upper()}_IMAGE={arm.image}\n" for slot, arm in state.arms.items()]
        (place / "compose.env").write_text("".join([*images, f"COMPOSE_PROFILES={','.join(state.arms)}\n"]))

    def publish(self, compose: Compose) -> None:
        """Real arms and a real Traefik behind the ports that the stand-in names."""
        for slot, arm in (("blue", A), ("green", B)):
            self.processes.start(slot, arm.image)  # type: ignore[arg-type]
            self._port(arm.image, 3000, self.processes.probe(slot))  # type: ignore[arg-type]
        compose.routes.path.parent.mkdir(parents=True)
        compose.routes.path.write_text("http: {}\n")
        self.processes.follow(compose.routes.path)
        self._port(SERVICES["traefik"]["image"], 8082, self.processes.inner)

    def calls(self) -> list[str]:
        """What changed anything, since the last time this was asked."""
        path = self.folder / "calls"
        found = path.read_text().splitlines()
        path.unlink()
        return [call for call in found if not re.search(r"^ps|\bport\b", call)]

    def _port(self, image: str, inside: int, url: str) -> None:
        (self.folder / f"port-{image[-64:]}-{inside}".replace("/", "-")).write_text(url.removeprefix("http://"))


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host."""
    made = Host(tmp_path)
    yield made
    made.processes.stop_all()


@pytest.fixture
def compose(host: Host) -> Compose:
    """Its engine, with everything that runs behind it."""
    found = Compose(host.clone, "production", str(host.docker))
    host.publish(found)
    return found


ENTRY = "up --detach --no-deps --quiet-pull traefik"
BESIDE = "up --detach --no-deps --quiet-pull prometheus grafana"


class TestCompose:
    """What `ratchet deploy apply` calls."""

    def test_a_switch_starts_routes_and_stops(self, host: Host, compose: Compose) -> None:
        """The new arm first; the old one when it gets no requests any more."""
        watch = Watch(compose, host.clone, "production", host.folder / "reached.json")
        host.put(one("blue", A))
        first = watch.look()
        started = host.calls()
        host.put(one("green", B))

        second = watch.look()

        assert (first.is_well, second.is_well) == (True, True), second.lines()
        assert started == ["--profile blue up --detach --no-deps --quiet-pull blue", ENTRY, BESIDE]
        assert host.calls() == [
            "--profile green up --detach --no-deps --quiet-pull green",
            ENTRY,
            *("--profile blue stop blue", "--profile blue rm --force blue"),
            BESIDE,
        ]
        assert dict(compose.running()) == {"green": B.image}

    def test_the_routes_name_the_services(self, host: Host, compose: Compose) -> None:
        """As they are called inside the network; the file is the host's own, not the branch's."""
        host.put(warm("blue", A, B))

        Watch(compose, host.clone, "production", host.folder / "reached.json").look()

        assert compose.routes.path == host.clone / ".ratchet" / "production" / "routes" / "traefik.yaml"
        services = yaml.safe_load(compose.routes.path.read_text())["http"]["services"]
        urls = [services[slot]["loadBalancer"]["servers"] for slot in ARMS]
        assert urls == [[{"url": "http://blue:3000"}], [{"url": "http://green:3000"}]]

    def test_a_dashboard_that_cannot_be_had_holds_nothing_up(self, host: Host, compose: Compose) -> None:
        """The switch goes through, the old arm is stopped; what is missing is told, and the exit code is 1."""
        host.put(one("blue", A))
        watch = Watch(compose, host.clone, "production", host.folder / "reached.json")
        watch.look()
        path = host.clone / "compose.yaml"
        path.write_text(path.read_text().replace(SERVICES["grafana"]["image"], "grafana/grafana:0.0.00000000dead"))
        host.put(one("green", B))

        found = watch.look()

        assert dict(compose.running()) == {"green": B.image}
        assert found.traffic == "green (model-v2) 100 %"
        assert (found.sick, found.held, found.is_well) == ({}, None, False)
        assert "prometheus and grafana: docker compose up" in found.lines()[-2]

    def test_what_docker_says_is_told(self, host: Host, compose: Compose) -> None:
        """An image that cannot be pulled is a sick arm; the other goes on."""
        host.put(one("blue", A))
        watch = Watch(compose, host.clone, "production", host.folder / "reached.json")
        watch.look()
        host.put(warm("green", type(B)(B.release, B.model, f"ghcr.io/ada/coins@sha256:{'0' * 60}dead"), A))

        report = watch.look()

        assert "manifest unknown: ghcr.io/ada/coins" in report.sick["green"]
        assert report.traffic == "blue (model-v1) 100 %"

    def test_a_host_without_docker_is_told(self, host: Host) -> None:
        """With what it needs."""
        with pytest.raises(RatchetError, match="no-such-program: is not installed"):
            Compose(host.clone, "production", "no-such-program").running()

    def test_only_one_process_looks_after_an_environment(self, host: Host) -> None:
        """Two would stop each other's arms."""
        host.put(one("blue", A))

        with opened(host.clone, "production"), pytest.raises(RatchetError, match="another `ratchet deploy apply`"):  # noqa: SIM117
            with opened(host.clone, "production"):
                pass

    @pytest.mark.parametrize("text", ['[{"Service": "blue", "Image": "i", "State": "running"}]', "blue Up", "[]", "{}"])
    def test_a_list_that_is_not_understood_is_told(self, host: Host, tmp_path: Path, text: str) -> None:
        """That of an older version, say; nothing at all is a host on which nothing runs."""
        docker = tmp_path / "other"
        docker.write_text(f"#!/bin/sh\nprintf '%s' '{text}'\n")
        docker.chmod(0o755)

        with pytest.raises(
            RatchetError, match=r"lists what is not understood: .*\na host needs Compose 2\.24 or later"
        ):
            Compose(host.clone, "production", str(docker)).running()
        docker.write_text("#!/bin/sh\n")
        assert dict(Compose(host.clone, "production", str(docker)).running()) == {}

    @pytest.mark.parametrize("how", ["file", "variable", "service"])
    def test_settings_that_change_make_new_arms(
        self, host: Host, compose: Compose, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        """As another image does: a new arm answers before the old one is stopped. Only once."""
        host.put(one("blue", A))
        watch = Watch(compose, host.clone, "production", host.folder / "reached.json")
        watch.look()
        host.calls()
        if how == "file":
            (host.clone / "service.env").write_text("RATCHET_MAX_ROWS=10\n")
        elif how == "variable":
            monkeypatch.setenv("PREDICTIONS", "/srv/predictions")
        else:
            path = host.clone / "compose.yaml"
            path.write_text(path.read_text().replace("mem_limit: 768m", "mem_limit: 1g"))

        report = watch.look()

        assert report.is_well, report.lines()
        assert [call for call in host.calls() if call not in {ENTRY, BESIDE}] == [
            "--profile green up --detach --no-deps --quiet-pull green",
            *("--profile blue stop blue", "--profile blue rm --force blue"),
            "--profile blue up --detach --no-deps --quiet-pull blue",
            *("--profile green stop green", "--profile green rm --force green"),
        ]
        assert dict(compose.running()) == {"blue": A.image}
        assert watch.look().done == ()

    def test_where_the_branch_keeps_no_digest_nothing_is_compared(self, host: Host, compose: Compose) -> None:
        """Its `compose.yaml` is older than this program: arms would be made anew at every look."""
        path = host.clone / "compose.yaml"
        path.write_text(re.sub(r"  labels:\n    ratchet.configuration: \$\{ARM.*\n", "", path.read_text()))
        host.put(one("blue", A))
        watch = Watch(compose, host.clone, "production", host.folder / "reached.json")
        watch.look()
        (host.clone / "service.env").write_text("RATCHET_MAX_ROWS=10\n")

        assert watch.look().done == ()

    def test_a_branch_that_names_no_arm_is_told(self, host: Host, compose: Compose) -> None:
        """With the file."""
        (host.clone / "compose.yaml").write_text("services: {}\n")

        with pytest.raises(RatchetError, match=r"compose\.yaml: does not say how blue runs: KeyError"):
            compose.start("blue", A.image)


class TestVerb:
    """`ratchet deploy apply`."""

    @pytest.fixture
    def run(self, host: Host, compose: Compose, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
        """Runs it with the stand-in as `docker`."""
        monkeypatch.setenv("PATH", str(host.folder), prepend=":")
        return lambda *arguments: CliRunner().invoke(cli, ["deploy", "apply", str(host.clone), *arguments])

    def test_it_says_what_it_did(self, host: Host, run: Callable[..., Any]) -> None:
        """Exit code 0; the second time there is nothing to say but who answers."""
        host.put(warm("blue", A, B))

        first, second = run("production"), run("production")

        assert (first.exit_code, second.exit_code) == (0, 0), first.output
        assert first.output.splitlines()[0] == f"blue: started model-v1, {A.image}"
        assert second.output == "traffic: blue (model-v1) 100 %\n"

    def test_a_sick_arm_is_exit_code_1(
        self, host: Host, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is named."""
        host.put(warm("blue", A, B))
        assert run("production").exit_code == 0
        host.processes.stop("green")
        monkeypatch.setattr("ratchet.deploy.apply.RESPITE", 0.0)

        done = run("production")

        assert done.exit_code == 1
        assert "green: model-v2 does not answer" in done.output

    def test_it_goes_on_and_says_what_is_new(self, host: Host, compose: Compose) -> None:
        """Once; it ends when it is told to, and leaves the arms alone."""
        host.put(warm("blue", A, B))
        command = [sys.executable, "-m", "ratchet", "deploy", "apply", str(host.clone), "production", "--watch", "1"]
        path = os.pathsep.join([str(host.folder), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}

        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(6)]
            time.sleep(2.5)
            host.put(warm("green", B, A))
            later = [process.stdout.readline() for _ in range(2)]
            process.terminate()

        assert said[-1] == "traffic: blue (model-v1) 100 %\n"
        assert later == ["routes: green (model-v2) 100 %\n", "traffic: green (model-v2) 100 %\n"]
        assert dict(compose.running()) == {"blue": A.image, "green": B.image}

    def test_it_goes_on_although_the_first_look_fails(self, host: Host, compose: Compose) -> None:
        """A host that starts before its Docker does; what is wrong is said once."""
        host.put(warm("blue", A, B))
        working = host.docker.read_text()
        host.docker.write_text("#!/bin/sh\necho Cannot connect to the Docker daemon >&2\nexit 1\n")
        command = [sys.executable, "-m", "ratchet", "deploy", "apply", str(host.clone), "production", "--watch", "1"]
        path = os.pathsep.join([str(host.folder), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}

        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(2)]
            time.sleep(1.5)
            host.docker.write_text(working)
            later = process.stdout.readline()
            process.terminate()

        assert said == [
            "error: docker compose ps --all --format json: fails\n",
            "Cannot connect to the Docker daemon\n",
        ]
        assert later == f"blue: started model-v1, {A.image}\n"

    def test_an_environment_that_has_nothing_is_told(self, host: Host, run: Callable[..., Any]) -> None:
        """Nothing is made."""
        done = run("staging")

        assert isinstance(done.exception, RatchetError)
        assert "staging/state.json: does not exist" in str(done.exception)
        assert not (host.clone / ".ratchet" / "staging").exists()

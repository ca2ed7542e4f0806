"""Stand-in for the docker command: what `ratchet smoke` and release.yml use of it, on the registry at a desk.

run --detach, port, logs, inspect --format '{{.State.Running}}', rm --force. What it starts is a process of this
machine, see rehearsal/registry.py: an image's root is always read-only, /tmp is not, and its user has no capability.

pull, save, compose run: the archive holds the image's name alone, for Trivy that lists what is in it. What is known
against the image it is not asked, since that database is on the network: what it would look for is written down.
"""

import argparse
import itertools
import json
import os
import re
import secrets
import signal
import sys
from pathlib import Path

sys.path[:0] = [os.environ["REHEARSAL_ROOT"], str(Path(os.environ["REHEARSAL_ROOT"], "src"))]

import spdx  # noqa: E402
import yaml  # noqa: E402

from ratchet.errors import RatchetError  # noqa: E402
from rehearsal.ports import free_port  # noqa: E402
from rehearsal.registry import Registry  # noqa: E402


def main() -> int:
    """Do what the command line says."""
    given = arguments().parse_args()
    registry = Registry.from_environment()
    place = registry.folder / "containers"
    verbs = {"run": run, "port": port, "logs": logs, "inspect": inspect, "rm": remove}
    verbs |= {"pull": save, "save": save, "compose": compose}
    try:
        return verbs[given.verb](given, registry, place)
    except (RatchetError, OSError) as error:
        print(f"docker: {error}", file=sys.stderr)
        return 125


def arguments() -> argparse.ArgumentParser:
    """The part of docker's command line that there is."""
    parser = argparse.ArgumentParser(prog="docker", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("run")
    for switch in ("--detach", "--read-only"):
        one.add_argument(switch, action="store_true", required=switch == "--detach")
    for option in ("--tmpfs", "--cap-drop", "--security-opt", "--env", "--publish", "--memory", "--cpus"):
        one.add_argument(option, action="append", default=[])
    one.add_argument("image")
    scanning(verbs)
    for name in ("port", "logs", "inspect", "rm"):
        verb = verbs.add_parser(name)
        if name == "logs":
            verb.add_argument("--tail", type=int)
        if name == "inspect":
            verb.add_argument("--format", choices=["{{.State.Running}}"], required=True)
        if name == "rm":
            verb.add_argument("--force", action="store_true")
        verb.add_argument("container")
        if name == "port":
            verb.add_argument("inside")
    return parser


def scanning(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The part by which an image is looked into."""
    pulled = verbs.add_parser("pull")
    pulled.add_argument("--quiet", action="store_true", required=True)
    pulled.add_argument("image")
    verbs.add_parser("save").add_argument("image")
    one = verbs.add_parser("compose")
    one.add_argument("--file", type=Path, required=True)
    one.add_argument("run", choices=["run"])
    for switch in ("--rm", "--no-TTY"):
        one.add_argument(switch, action="store_true", required=True)
    one.add_argument("service")


def run(given: argparse.Namespace, registry: Registry, place: Path) -> int:
    """Start an image, and print what it is called from now on."""
    name = secrets.token_hex(32)
    place.mkdir(parents=True, exist_ok=True)
    found = free_port()
    environment = dict(one.split("=", maxsplit=1) for one in given.env)
    process = registry.run(given.image, found, environment, place / f"{name}.log")
    about = {"image": given.image, "pid": process.pid, "port": found, "published": given.publish}
    (place / f"{name}.json").write_text(json.dumps(about))
    print(name)
    return 0


def port(given: argparse.Namespace, _: Registry, place: Path) -> int:
    """Where a port of the container is on this machine; only one is there, whatever its name inside."""
    about = read(place, given.container)
    if not any(wish.endswith(f":{given.inside}") for wish in about["published"]):
        print(f"docker: no public port '{given.inside}' published", file=sys.stderr)
        return 1
    print(f"127.0.0.1:{about['port']}")
    return 0


def logs(given: argparse.Namespace, _: Registry, place: Path) -> int:
    """What it printed, or the last lines of it."""
    read(place, given.container)
    lines = (place / f"{given.container}.log").read_text(errors="replace").splitlines()
    print("\n".join(lines[-given.tail :] if given.tail else lines))
    return 0


def inspect(given: argparse.Namespace, _: Registry, place: Path) -> int:
    """Whether it runs."""
    print("true" if runs(read(place, given.container)["pid"]) else "false")
    return 0


def remove(given: argparse.Namespace, _: Registry, place: Path) -> int:
    """End it at once, as docker does, and forget it."""
    number = read(place, given.container)["pid"]
    if runs(number):
        if not given.force:
            print(f"docker: container {given.container} is running", file=sys.stderr)
            return 1
        os.killpg(number, signal.SIGKILL)
    for ending in ("json", "log"):
        (place / f"{given.container}.{ending}").unlink()
    print(given.container)
    return 0


def save(given: argparse.Namespace, registry: Registry, _: Path) -> int:
    """An archive of an image, as far as its name; what a pull prints, too."""
    registry.digest(given.image)
    print(given.image)
    return 0


def compose(given: argparse.Namespace, registry: Registry, _: Path) -> int:
    """Run a service that is Trivy on an archive."""
    service = yaml.safe_load(given.file.read_text())["services"][given.service]
    if not re.fullmatch(r"ghcr\.io/aquasecurity/trivy:[\d.]+@sha256:[0-9a-f]{64}", service["image"]):
        raise RatchetError(f"{given.file}: {given.service}: only Trivy is rehearsed, pinned by its digest")
    verb, *words = service["command"]
    options = {word: after for word, after in itertools.pairwise([*words, ""]) if word.startswith("--")}
    inside = Path(options.pop("--input"))
    (outside,) = [source for source, target, *_ in mounted(service) if inside.is_relative_to(target)]
    image = Path(given.file.parent, outside, inside.name).read_text().strip()
    if verb == "image" and options == {"--format": "spdx-json", "--quiet": ""}:
        print(json.dumps(spdx.listed(image, registry.root(image), registry.kind(image)), indent=2, sort_keys=True))
        return 0
    note = registry.folder / "scans" / f"{registry.digest(image).removeprefix('sha256:')}.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(options) + "\n")
    print(f"::notice::{image} was not scanned: in a rehearsal there is no database of vulnerabilities")
    return 0


def mounted(service: dict) -> list[list[str]]:
    """Folder outside, folder inside, mode."""
    return [volume.split(":") for volume in service["volumes"]]


def read(place: Path, name: str) -> dict:
    """What is known of a container."""
    path = place / f"{name}.json"
    if not path.exists():
        message = f"no such container: {name}"
        raise FileNotFoundError(message)
    return json.loads(path.read_text())


def runs(number: int) -> bool:
    """Whether the process is there, and more than the memory of one."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())

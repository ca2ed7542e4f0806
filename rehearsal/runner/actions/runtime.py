"""What the stand-in actions share: inputs, outputs, and calls to the runner. Standard library only.

The runner puts a copy beside each stand-in's main.py. A stand-in knows what GitHub's own action would: its inputs, the
variables of its job, and the address and token of the service behind the runner.
"""

import base64
import glob
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any, NoReturn

Answer = tuple[int, bytes, Message]
"""Status, body, headers."""


def given(name: str) -> str:
    """An input of the action, as text."""
    return os.environ.get(f"INPUT_{name.upper().replace(' ', '_')}", "").strip()


def is_on(name: str) -> bool:
    """A boolean input."""
    return given(name).lower() == "true"


def remember(**values: str) -> None:
    """Keep values for what the action does after the job's steps."""
    _add("GITHUB_STATE", values)


def remembered(name: str) -> str:
    """A value that was kept."""
    return os.environ.get(f"STATE_{name}", "")


def output(**values: object) -> None:
    """Set outputs of the step; underscores in names become dashes."""
    _add("GITHUB_OUTPUT", {name.replace("_", "-"): value for name, value in values.items()})


def add_path(folder: Path) -> None:
    """Put a folder first on PATH of the steps that follow."""
    with Path(os.environ["GITHUB_PATH"]).open("a", encoding="utf-8") as file:
        file.write(f"{folder}\n")


def _add(variable: str, values: Mapping[str, object]) -> None:
    with Path(os.environ[variable]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())


def fail(message: str) -> NoReturn:
    """End the step as failed."""
    print(f"::error::{message}")
    sys.exit(1)


@contextmanager
def registry() -> Iterator[Any]:
    """The registry at the desk that runs the rehearsal (rehearsal/registry.py); what it refuses ends the step."""
    root = os.environ["REHEARSAL_ROOT"]
    sys.path[:0] = [root, str(Path(root, "src"))]
    from ratchet.errors import RatchetError
    from rehearsal.registry import Registry

    try:
        yield Registry.from_environment()
    except RatchetError as error:
        fail(str(error))


def await_job() -> None:
    """Return when the forge knows that this job runs: only then may its token what the job declares."""
    while call("GET", f"_runner/jobs/{os.environ['GITHUB_JOB']}")[0] == 202:  # a reviewer takes their time
        pass


def call(method: str, path: str, body: bytes | None = None, /, **query: str) -> Answer:
    """Ask the service behind the runner. Ends the step when it cannot be reached."""
    url = f"{os.environ['ACTIONS_RESULTS_URL']}{path}?{urllib.parse.urlencode(query)}"
    return request(method, url, os.environ["ACTIONS_RUNTIME_TOKEN"], body)


def artifacts(method: str, **asked: str) -> Any:
    """Call GitHub's service for the artifacts of this run; its answer. Ends the step when it is refused."""
    claims = os.environ["ACTIONS_RUNTIME_TOKEN"].split(".")[1]
    scope = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["scp"].split(":")
    body = {"workflow_run_backend_id": scope[1], "workflow_job_run_backend_id": scope[2], **asked}
    path = f"twirp/github.actions.results.api.v1.ArtifactService/{method}"
    status, said, _ = call("POST", path, json.dumps(body).encode())
    answer = json.loads(said)
    if status != 200:
        fail(f"Failed to {method}: ({status}): {answer.get('msg') or answer.get('message')}")
    return answer


def request(method: str, url: str, token: str = "", body: bytes | None = None) -> Answer:
    """A request, mostly with a token. Ends the step when there is no answer."""
    headers = {"Content-Type": "application/octet-stream", "Accept": "application/vnd.github+json"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {"x-ms-blob-type": "BlockBlob"}
    asked = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310 - the forge's own address
    try:
        with urllib.request.urlopen(asked, timeout=300) as answer:  # noqa: S310
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers
    except OSError as error:
        fail(f"{method} {url}: {error}")


def files(patterns: str) -> tuple[list[Path], Path]:
    """The files that lines of paths and globs name, and the folder that they have in common.

    A folder stands for everything in it; lines with `!` take back.
    """
    lines = [line.strip() for line in patterns.splitlines() if line.strip()]
    wanted = [_absolute(line) for line in lines if not line.startswith("!")]
    refused = {file for line in lines if line.startswith("!") for file in _below(_absolute(line[1:]))}
    found = sorted({file for line in wanted for file in _below(line)} - refused)
    return found, _root(wanted)


def _absolute(line: str) -> str:
    return os.path.normpath(Path(os.environ["GITHUB_WORKSPACE"], Path(line).expanduser()))


def _below(pattern: str) -> list[Path]:
    places = [Path(name) for name in glob.glob(pattern, recursive=True, include_hidden=True)]  # noqa: PTH207 - absolute patterns
    inside = [Path(at, name) for place in places if place.is_dir() for at, _, names in os.walk(place) for name in names]
    return [place for place in places if place.is_file()] + inside


def _root(wanted: list[str]) -> Path:
    """The folder that paths in an archive are relative to: GitHub's least common one of what was searched."""
    starts = [Path(line) if not glob.has_magic(line) else _fixed(line) for line in wanted]
    if len(starts) == 1 and starts[0].is_file():
        return starts[0].parent
    return Path(os.path.commonpath(starts)) if starts else Path(os.environ["GITHUB_WORKSPACE"])


def _fixed(pattern: str) -> Path:
    parts = []
    for part in Path(pattern).parts:
        if glob.has_magic(part):
            break
        parts.append(part)
    return Path(*parts)

"""A workflow file, as far as it decides what runs: its events, jobs, permissions, concurrency, and actions it uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ratchet.errors import RatchetError
from rehearsal.runner import expressions

FOLDER = ".github/workflows"
SCOPES = (
    "actions",
    "artifact-metadata",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "id-token",
    "issues",
    "models",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "security-events",
    "statuses",
)
_DEFAULT_MINUTES = 360.0  # GitHub's, of a job


@dataclass(frozen=True)
class Job:
    """One job of a workflow.

    Attributes:
        identifier: Its key.
        name: What people read; may hold expressions.
        permissions: Declared for it or for the whole workflow; None when neither says anything.
        minutes: After which it is stopped.
        steps: As they stand.
        runs_on: Labels of the machine, one or several; may hold expressions.
        environment: What it deploys to; may hold expressions, empty when it says nothing.
        needs: The jobs that have to end before it.
        condition: Its `if:`, without `${{ }}`; empty when it says nothing.
    """

    identifier: str
    name: str
    permissions: Mapping[str, str] | None
    minutes: float
    steps: tuple[Mapping[str, Any], ...]
    runs_on: Any = "ubuntu-24.04"
    environment: str = ""
    needs: tuple[str, ...] = ()
    condition: str = ""

    @property
    def is_first(self) -> bool:
        """It needs no other job."""
        return not self.needs


@dataclass(frozen=True)
class Concurrency:
    """At most one run of a group at a time, and one that waits; both keys may hold expressions."""

    group: str
    cancel_in_progress: bool | str = False


@dataclass(frozen=True)
class Workflow:
    """A workflow file.

    Attributes:
        path: In its repository.
        name: By which `workflow_run` knows it.
        on: Event name to its filters.
        concurrency: Of its runs.
        jobs: By identifier.
        run_name: Of its runs; may hold expressions.
    """

    path: str
    name: str
    on: Mapping[str, Mapping[str, Any]]
    concurrency: Concurrency | None
    jobs: Mapping[str, Job]
    run_name: str = ""

    @property
    def inputs(self) -> Mapping[str, Mapping[str, Any]]:
        """What a dispatch may give it."""
        found = self.on.get("workflow_dispatch", {}).get("inputs") or {}
        return {name: about or {} for name, about in found.items()}


class _Loader(yaml.SafeLoader):
    """YAML 1.2 as GitHub reads it: `on` and `yes` are text."""


_Loader.yaml_implicit_resolvers = {
    letter: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp"}
    ]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(text: str | bytes, where: str) -> dict[str, Any]:
    """A mapping in YAML.

    Raises:
        RatchetError: It is none.
    """
    try:
        found = yaml.load(text, Loader=_Loader)  # noqa: S506 - derived from SafeLoader
    except yaml.YAMLError as error:
        raise RatchetError(f"{where}: is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise RatchetError(f"{where}: holds no keys")
    return found


def parse(path: str, text: str | bytes) -> Workflow:
    """Read a workflow file.

    Raises:
        RatchetError: It has no events or no jobs, or uses what cannot be rehearsed.
    """
    found = read_yaml(text, path)
    for key in ("on", "jobs"):
        if not found.get(key):
            raise RatchetError(f"{path}: has no `{key}:`")
    default = permissions(found.get("permissions"), path)
    jobs = {name: _job(path, name, job, default) for name, job in found["jobs"].items()}
    name = str(found.get("name") or path)
    return Workflow(path, name, _events(found["on"]), _concurrency(found), jobs, str(found.get("run-name") or ""))


def permissions(declared: Any, where: str) -> dict[str, str] | None:
    """`permissions:` as scope to level; None when nothing is declared.

    Raises:
        RatchetError: A scope or level that GitHub does not know.
    """
    if declared is None:
        return None
    if declared in ("read-all", "write-all"):
        return dict.fromkeys(SCOPES, declared.removesuffix("-all"))
    if not isinstance(declared, dict):
        raise RatchetError(f"{where}: permissions: {declared} is not a mapping, read-all or write-all")
    for scope, level in declared.items():
        if scope not in SCOPES or level not in ("read", "write", "none"):
            raise RatchetError(f"{where}: permissions: GitHub does not know `{scope}: {level}`")
    return {scope: level for scope, level in declared.items() if level != "none"}


def granted(job: Job, default: str, *, is_restricted: bool) -> dict[str, str]:
    """What the token of a job may do.

    Args:
        job: The job.
        default: The repository's setting, for a job that declares nothing: read or write.
        is_restricted: The run belongs to a fork's pull request, whose token only reads.
    """
    declared = job.permissions
    if declared is None:
        declared = dict.fromkeys(SCOPES, "write") if default == "write" else {"contents": "read", "packages": "read"}
    if not is_restricted:
        return dict(declared)
    return {scope: "read" for scope in declared if scope != "id-token"}


def uses(document: Any) -> Iterator[str]:
    """Every `uses:` in a workflow or a composite action, in order."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "uses" and isinstance(value, str):
                yield value
            else:
                yield from uses(value)
    elif isinstance(document, list):
        for item in document:
            yield from uses(item)


def _events(declared: Any) -> dict[str, Mapping[str, Any]]:
    if isinstance(declared, str):
        return {declared: {}}
    if isinstance(declared, list):
        return {name: {} for name in declared}
    return {name: _filters(about) for name, about in declared.items()}


def _filters(about: Any) -> Mapping[str, Any]:
    if isinstance(about, list):  # schedule: a list of crons
        return {"entries": about}
    return {
        key: [value] if isinstance(value, str) and key != "inputs" else value for key, value in (about or {}).items()
    }


def _concurrency(found: Mapping[str, Any]) -> Concurrency | None:
    declared = found.get("concurrency")
    if declared is None:
        return None
    if isinstance(declared, str):
        return Concurrency(declared)
    return Concurrency(str(declared["group"]), declared.get("cancel-in-progress", False))


def _job(path: str, name: str, found: Mapping[str, Any], default: dict[str, str] | None) -> Job:
    where = f"{path}: jobs.{name}"
    for key in ("uses", "concurrency", "container", "services"):
        if key in found:
            raise RatchetError(
                f"{where}.{key}: cannot be rehearsed\nwrite the job out in the workflow, or play it on GitHub"
            )
    declared = permissions(found.get("permissions"), where)
    minutes = found.get("timeout-minutes", _DEFAULT_MINUTES)
    environment = found.get("environment") or ""
    steps = tuple(found.get("steps") or ())
    needs = found.get("needs") or ()
    # A job that waits for its reviewers in the middle of a run is stopped here by the first thing that it asks for.
    if environment and found.get("needs") and not str([*steps, {}][0].get("uses")).startswith("actions/checkout@"):
        raise RatchetError(f"{where}: deploys after another job\nlet it begin with actions/checkout, to be rehearsed")
    return Job(
        identifier=name,
        name=str(found.get("name") or name),
        permissions=default if declared is None else declared,
        minutes=float(minutes) if isinstance(minutes, int | float) else _DEFAULT_MINUTES,
        steps=steps,
        runs_on=found.get("runs-on"),
        environment=str(environment["name"] if isinstance(environment, dict) else environment),
        needs=(needs,) if isinstance(needs, str) else tuple(needs),
        condition=expressions.bare(str(found.get("if", ""))),
    )

"""Workflow files as far as the API looks into them: names, and the inputs of a dispatch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from rehearsal.forge.git import Git
from rehearsal.forge.refusal import Refusal

FOLDER = ".github/workflows/"
MOST_INPUTS = 25
"""Inputs that a dispatch may have."""


@dataclass(frozen=True)
class Workflow:
    """A workflow file: `inputs` is None when it cannot be dispatched."""

    path: str
    name: str
    inputs: Mapping[str, Mapping[str, Any]] | None


def at(git: Git, commit: str) -> list[Workflow]:
    """The workflows of a commit, sorted by path."""
    entries = git.tree(commit, recursive=True, path=FOLDER)
    files = [one for one in entries if one.type == "blob" and one.path.endswith((".yml", ".yaml")) and one.sha]
    return [parse(one.path, git.blob(one.sha or "")) for one in files]


def parse(path: str, content: bytes) -> Workflow:
    """A workflow from its text; one that is no YAML has its path for a name and cannot be dispatched."""
    try:
        found = yaml.safe_load(content)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        return Workflow(path, path, None)
    return Workflow(path, str(found.get("name") or path), _inputs(found.get("on", found.get(True))))


def _inputs(on: Any) -> Mapping[str, Mapping[str, Any]] | None:
    """`on:` is a word, a list or a mapping; YAML reads its bare key as true."""
    names = [on] if isinstance(on, str) else on or []
    if "workflow_dispatch" not in names:
        return None
    declared = on.get("workflow_dispatch") if isinstance(on, dict) else None
    return {name: spec or {} for name, spec in ((declared or {}).get("inputs") or {}).items()}


def check_inputs(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a dispatch with the defaults of those that are missing.

    Raises:
        Refusal: 422, it cannot be dispatched, or the inputs do not fit.
    """
    if workflow.inputs is None:
        raise Refusal(422, "Workflow does not have 'workflow_dispatch' trigger")
    if len(workflow.inputs) > MOST_INPUTS:
        message = f"you may only define up to {MOST_INPUTS} `inputs` for a `workflow_dispatch` event"
        raise Refusal(422, message)
    unknown = sorted(set(given) - set(workflow.inputs))
    if unknown:
        raise Refusal(422, f"Unexpected inputs provided: {unknown}".replace("'", '"'))
    found = {}
    for name, spec in workflow.inputs.items():
        value = given.get(name, spec.get("default"))
        if spec.get("required") and value in (None, ""):
            raise Refusal(422, f"Required input '{name}' not provided")
        options = spec.get("options")
        if options and value is not None and value not in options:
            raise Refusal(422, f"Provided value '{value}' for input '{name}' not in the list of allowed values")
        found[name] = _text(value)
    return found


def _text(value: Any) -> str:
    """Inputs arrive in the event as text."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)

"""The machine that a run finds: its folder, variables, secrets, and the actions it uses. New for each attempt."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ratchet.errors import RatchetError
from rehearsal.forge import Forge, Run
from rehearsal.runner import plan, results, source, standins
from rehearsal.runner.act import RUNNERS, Invocation
from rehearsal.runner.service import Guest, Service
from rehearsal.runner.source import Source
from rehearsal.runner.standins import StandIns
from rehearsal.runner.workflow import Workflow

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Workshop:
    """What all runs share.

    Attributes:
        forge: Where the runs are.
        service: Behind the stand-in actions.
        standins: Where these actions are.
        folder: Each attempt has one of its own in it.
        environment: The Python environment for clones that have our lock; None: each makes its own.
    """

    forge: Forge
    service: Service
    standins: StandIns
    folder: Path
    environment: Path | None


@dataclass(frozen=True)
class Machine:
    """Ready to run: what act is asked, and the run as the service knows it.

    Attributes:
        invocation: For act.
        guest: The run.
        token: By which the service knows it.
        labels: Of the machine that each job asks for.
    """

    invocation: Invocation
    guest: Guest
    token: str
    labels: Mapping[str, list[str]]


def build(shop: Workshop, run: Run, found: Source, one: Workflow) -> Machine:
    """Make the folder of an attempt, and everything in it.

    Raises:
        RatchetError: An action has no stand-in, or no machine has the labels that a job asks for.
    """
    forge = shop.forge
    repository = forge.repository(run.repository)
    main = found.git.branch(repository.default_branch)
    used = source.remote_actions(found, run.path, [found.head, *([main] if main else [])])
    actions = standins.choose(used, shop.standins.actions)
    known = plan.contexts(forge, run, found, one)
    labels = {name: _found(plan.labels(job, known), repository.runners) for name, job in one.jobs.items()}
    folder = shop.folder / f"{run.id}-{run.attempt}"
    folder.mkdir(parents=True)
    source.extract(found, run.path, folder / "tree")
    token = results.runtime_token(run)
    guest = Guest(run, plan.scopes(run, found, repository))
    shop.service.guests[token] = guest
    held = {} if plan.is_restricted(run) else dict(repository.secrets)
    return Machine(
        Invocation(
            folder=folder,
            path=run.path,
            event=run.event,
            payload=run.payload,
            actor=run.actor,
            env={**_github(forge, run, found, one), **_runner(shop, run, folder, token), **_environment(shop, found)},
            secrets={**held, "GITHUB_TOKEN": forge.mint(run)},
            variables=repository.variables,
            runners=repository.runners,
            actions=actions,
            programs=shop.standins.programs,
        ),
        guest,
        token,
        labels,
    )


def _found(labels: list[str], runners: Sequence[str]) -> list[str]:
    """The labels, which a machine has; GitHub lets a job wait for a day for one."""
    missing = set(labels) - {"self-hosted", *RUNNERS, *runners}
    if missing:
        raise RatchetError(
            f"runs-on: {', '.join(sorted(missing))}: no machine of GitHub or of the repository is called so"
        )
    return labels


def clear(shop: Workshop, machine: Machine) -> None:
    """Take the machine down."""
    shop.service.guests.pop(machine.token, None)
    shutil.rmtree(machine.invocation.folder, ignore_errors=True)


def _github(forge: Forge, run: Run, found: Source, one: Workflow) -> dict[str, str]:
    facts = plan.contexts(forge, run, found, one)["github"]
    names = ["repository", "repository_owner", "ref", "ref_name", "ref_type", "run_id", "run_number", "run_attempt"]
    names += ["api_url", "server_url", "triggering_actor"]
    return {
        **{f"GITHUB_{name.upper()}": str(facts[name]) for name in names},
        "SHA_REF": found.sha,  # act's own name for it: becomes GITHUB_SHA
        "GITHUB_GRAPHQL_URL": f"{forge.url}/api/graphql",
        "GITHUB_WORKFLOW_REF": f"{run.repository}/{run.path}@{found.ref}",
        "GITHUB_WORKFLOW_SHA": found.sha,
    }


def _runner(shop: Workshop, run: Run, folder: Path, token: str) -> dict[str, str]:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        "ACTIONS_RESULTS_URL": f"{shop.forge.url}/",
        "ACTIONS_RUNTIME_TOKEN": token,
        "DVC_NO_ANALYTICS": "true",
        "DVC_SITE_CACHE_DIR": str(folder / "dvc"),  # the usual one keeps an entry for each folder there ever was
        "REHEARSAL_BUILDER": os.environ.get("REHEARSAL_BUILDER", "auto"),
        "REHEARSAL_CML": os.environ.get("REHEARSAL_CML", ""),
        "REHEARSAL_PYTHON": sys.executable,
        "REHEARSAL_REGISTRY": str(shop.forge.folder / "registry"),
        "REHEARSAL_ROOT": str(ROOT),
        "REHEARSAL_UV": shutil.which("uv", path=places) or "uv",
        # act gives steps a terminal, GitHub does not: nothing may wait for a key there, or draw.
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "MERMAID": "",  # the charts of a rehearsal inside the rehearsal are looked at by nobody
        "PAGER": "cat",
        "TERM": "dumb",
        "RUNNER_ENVIRONMENT": "github-hosted",
        "RUNNER_NAME": "rehearsal",
        "RUNNER_TRACKING_ID": f"rehearsal-{secrets.token_hex(6)}-{run.id}",
    }


def _environment(shop: Workshop, found: Source) -> dict[str, str]:
    """The shared environment, for whoever has the lock that it was made from."""
    ours = ROOT / "uv.lock"
    locks = {found.git.read(commit, "uv.lock") for commit in (found.sha, found.head)}
    if shop.environment is None or not ours.exists() or locks != {ours.read_bytes()}:
        return {}
    return dict.fromkeys(("UV_PROJECT_ENVIRONMENT", "REHEARSAL_ENVIRONMENT"), str(shop.environment))

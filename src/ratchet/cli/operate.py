"""Verbs for whoever looks after what runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ratchet.cli import root


@click.command(epilog="\b\nExample: GITHUB_REPOSITORY=ada/flights GITHUB_TOKEN=$(gh auth token) ratchet doctor")
@click.option("--live", is_flag=True, help="Run selftest.yml, too, and show what GitHub answered: a few minutes.")
def doctor(*, live: bool) -> None:
    """Look at a clone and its repository's settings, and say what to do; exit code 1 when something has to be."""
    from ratchet import doctor
    from ratchet.forge import Forge
    from ratchet.selftest import answers
    from ratchet.selftest import live as selftest

    forge = Forge.from_environment()
    checks = [doctor.problem(Path()), *doctor.examine(doctor.ask(forge))]
    click.echo("\n".join(doctor.told(checks)))
    is_well = doctor.healthy(checks)
    if live:
        click.echo(f"selftest.yml asks {forge.repository}; that takes a few minutes")
        found = selftest.ask(forge)
        click.echo("\n".join(answers.told(found)))
        is_well = is_well and found.well
    sys.exit(0 if is_well else 1)


@click.command(epilog="\b\nExample: ratchet status --url production=https://flights.example.org")
@click.option("--url", "urls", multiple=True, help="A service to be asked, too: https://… or production=https://…")
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON.")
def status(urls: tuple[str, ...], *, as_json: bool) -> None:
    """Say what runs where, since when, by whom and why.

    Ends with exit code 1 when a service that was asked is not ready, or runs what the branch deploy does not want.
    """
    from ratchet import status
    from ratchet.forge import Forge

    found = status.examine(status.gather(Forge.from_environment(), urls))
    click.echo(json.dumps(found.plain(), indent=2) if as_json else "\n".join(status.told(found)))
    sys.exit(0 if found.well else 1)


@click.command(epilog="\b\nExample: ratchet audit sha256:4f1c09aa")
@click.argument("digest")
def audit(digest: str) -> None:
    """Follow what ran back to its release, verdict, data and code, and check each link.

    DIGEST is that of an image, a model or a lock, the first 8 digits of it, or the tag of a release. Ends with exit
    code 1 when a link is broken.
    """
    from ratchet import audit
    from ratchet.forge import Forge

    links = audit.examine(audit.gather(Forge.from_environment(), digest))
    click.echo("\n".join(audit.told(links)))
    sys.exit(0 if audit.complete(links) else 1)


@click.command(epilog="\b\nExample: ratchet outcomes /var/log/predictions 2013-05 --out joined.parquet")
@click.argument("logs")
@click.argument("labels", nargs=-1, required=True)
@click.option("-o", "--out", type=root.FILE, help="Write predictions and their labels here, as Parquet.")
@click.option("--problem", help="Whose key joins them; by default that of params.yaml.")
def outcomes(logs: str, labels: tuple[str, ...], out: Path | None, problem: str | None) -> None:
    """Join logged predictions with the labels that came later, and say how good they were.

    LOGS is what the service has in RATCHET_LOG: a folder, or a URL. LABELS are periods that the problem fetches, or
    files of rows (Parquet, CSV or JSON lines) with the key and the target.
    """
    from ratchet import files, outcomes, params
    from ratchet.problem import Problem

    about = Problem(problem or params.load().problem)
    found = outcomes.join(outcomes.read(logs, about), outcomes.known(labels, about), about)
    if out:
        files.write_parquet(out, found.joined)
    click.echo(outcomes.told(found, about))


VERBS = (status, audit, outcomes, doctor)

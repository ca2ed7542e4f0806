"""Verbs for whoever looks after what runs."""

from __future__ import annotations

import sys

import click


@click.command(epilog="\b\nExample: GITHUB_REPOSITORY=ada/flights GITHUB_TOKEN=$(gh auth token) ratchet doctor")
def doctor() -> None:
    """Look at a repository's settings, and say what to click; exit code 1 when something has to be."""
    from ratchet import doctor
    from ratchet.forge import Forge

    checks = doctor.examine(doctor.ask(Forge.from_environment()))
    click.echo("\n".join(doctor.told(checks)))
    sys.exit(0 if doctor.healthy(checks) else 1)


VERBS = (doctor,)

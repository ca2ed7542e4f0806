"""Verbs of release.yml."""

from __future__ import annotations

import click

from ratchet.cli import root


@click.command(epilog="\b\nExample: ratchet release")
def release() -> None:
    """Release the model that main's dvc.lock names: the judged bytes, or the first model of a repository."""
    from ratchet import release
    from ratchet.forge import Forge

    click.echo(release.release(Forge.from_environment(), root.run_number()))


VERBS = (release,)

"""Verbs of drift.yml, and of whoever wants to know what it would say."""

from __future__ import annotations

from pathlib import Path

import click

from ratchet.cli import root

FOLDER = Path("build/drift")


@click.group(cls=root.Loop, epilog="\b\nExample: ratchet drift check --period 2013-05")
def drift() -> None:
    """Look at a new period, and propose a retraining when it is proven to help."""


@drift.command(epilog="\b\nExample: ratchet drift check --period 2013-05")
@click.option("--period", help="Which; by default the first after params.yaml that was not looked at as it is now.")
@click.option("-o", "--out", type=root.FOLDER, default=FOLDER, show_default=True, help="Folder of results.")
def check(period: str | None, out: Path) -> None:
    """Check a period, and where a retraining may help train one and judge it: the first job of drift.yml.

    Writes inquiry.json and the report. A challenger that was trained stays in the working tree, with its params.yaml
    and dvc.lock. Needs a token that reads: GITHUB_TOKEN.
    """
    from ratchet.forge import Forge
    from ratchet.retraining import inquiry

    found = inquiry.check(Forge.from_environment(), Path(), out, period or None)
    root.output("found", "true" if found else "false")
    root.output("trained", "true" if found and found.proof else "false")
    if found is None:
        click.echo("nothing new: every period that the source has was looked at as it is now")
    else:
        click.echo(f"{found.period}: {found.state}: {found.sentence}")


@drift.command(epilog="\b\nExample: ratchet drift answer build/drift")
@click.argument("folder", type=root.FOLDER, default=FOLDER)
def answer(folder: Path) -> None:
    """Do what a check has decided, and record it: the second job of drift.yml.

    A pull request, an issue, or nothing. A second time changes nothing. Needs a token that writes: GITHUB_TOKEN.
    """
    from ratchet import maintain
    from ratchet.forge import Forge
    from ratchet.retraining import answer

    forge = Forge.from_environment()
    for told in answer.answer(forge, folder, maintain.Deed(root.actor(forge), "", root.run_number())):
        click.echo(told)


VERBS = (drift,)

"""Verbs of selftest.yml."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ratchet.cli import root
from ratchet.errors import RatchetError

FOLDER = Path("build/selftest")


@click.group(cls=root.Loop, epilog="\b\nExample: ratchet selftest ask build/selftest")
def selftest() -> None:
    """Ask this GitHub whether it does what the loop takes for granted; `ratchet doctor --live` has it all asked."""


@selftest.command(epilog="\b\nExample: ratchet selftest ask build/selftest")
@click.argument("folder", type=root.FOLDER, default=FOLDER)
def ask(folder: Path) -> None:
    """Ask all but how to comment, and take away what was made for it: the first job of selftest.yml.

    Leaves a closed pull request called self-test, and statuses of a commit that no branch holds. Writes answers.json.
    """
    from ratchet.forge import Forge
    from ratchet.selftest import answers
    from ratchet.selftest.ask import ask
    from ratchet.selftest.scene import Wait

    forge = Forge.from_environment()
    if not root.is_job():
        raise RatchetError("the questions are asked by selftest.yml\nfrom a desk: `ratchet doctor --live`")
    found = ask(forge, root.run_number(), Wait())
    found.write(folder)
    click.echo("\n".join(answers.told(found)))


@selftest.command(epilog="\b\nExample: ratchet selftest comment build/selftest")
@click.argument("folder", type=root.FOLDER, default=FOLDER)
def comment(folder: Path) -> None:
    """Ask with the least permission how to comment, and tell all answers: the second job of selftest.yml.

    Puts its answers to answers.json. Ends with exit code 1 when something is otherwise.
    """
    from ratchet.forge import Forge
    from ratchet.selftest import answers
    from ratchet.selftest.ask import comment
    from ratchet.selftest.scene import Wait

    before = answers.read(folder / answers.FILE) if (folder / answers.FILE).exists() else None
    found = comment(Forge.from_environment(), root.run_number(), Wait(), before)
    found.write(folder)
    click.echo("\n".join(answers.told(found)))
    root.summary(answers.summary(found))
    sys.exit(0 if found.well else 1)


VERBS = (selftest,)

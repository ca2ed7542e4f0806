"""The command line: one verb for each step of the loop, in the order of the loop. `ratchet --help`."""

from __future__ import annotations

from ratchet.cli import backtest, deploy, drift, model, operate, pull_request, release, selftest
from ratchet.cli.root import cli
from ratchet.errors import told_to_the_user

__all__ = ["cli", "main"]

for verb in (
    *model.VERBS,
    *pull_request.VERBS,
    *release.VERBS,
    *deploy.VERBS,
    *drift.VERBS,
    *backtest.VERBS,
    *operate.VERBS,
    *selftest.VERBS,
):
    cli.add_command(verb)


def main() -> None:
    """Run the command line; errors are one to three lines and exit code 2."""
    with told_to_the_user():
        cli(prog_name="ratchet")

"""The verb that tries policies of retraining on a year that has been."""

from __future__ import annotations

from pathlib import Path

import click

from ratchet.backtest.engine import ENGINES, Engine
from ratchet.cli import root


@click.command(epilog="\b\nExample: ratchet backtest $(seq -f '2013-%02g' 12) --engine dask")
@click.argument("periods", nargs=-1, required=True)
@click.option("-e", "--engine", type=click.Choice(ENGINES), default="joblib", show_default=True, help="Who works.")
@click.option("-j", "--jobs", default=2, show_default=True, help="How many processes.")
@click.option(
    "-r", "--replays", default=20, show_default=True, help="Replays of each world for error rates; 0 leaves them out."
)
@click.option("-o", "--out", type=root.FOLDER, default=Path("docs"), show_default=True, help="Where the figures go.")
def backtest(periods: tuple[str, ...], engine: Engine, jobs: int, replays: int, out: Path) -> None:
    """Replay PERIODS, in order of time, under several policies of retraining, and say what each would have done.

    Writes backtest.json and backtest.svg, and the tables of policies.md where that page is. What was computed is kept
    in .ratchet/backtest, so a run that was stopped goes on where it was.
    """
    from ratchet import params
    from ratchet.backtest import run
    from ratchet.problem import Problem

    given = params.load()
    found = run.run(Problem(given.problem), given, periods, replays, run.Means(engine, jobs), echo=click.echo)
    found.write(out)
    click.echo("\n\n".join(f"{name}\n\n{table}" for name, table in found.tables().items()))


VERBS = (backtest,)

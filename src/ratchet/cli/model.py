"""Verbs for whoever works on a model: search, records, comparison."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ratchet.cli import root
from ratchet.errors import RatchetError


@click.command(epilog="\b\nExample: ratchet tune --candidates 40 && git diff params.yaml")
@click.option("-n", "--candidates", default=20, show_default=True, help="How many random candidates to try.")
@click.option("-j", "--jobs", default=-1, show_default=True, help="How many at the same time; -1: one per core.")
def tune(candidates: int, jobs: int) -> None:
    """Search better parameters, and write the best into params.yaml.

    Folds are ordered in time and use training periods only. A search that was stopped goes on where it was.
    """
    from ratchet import data, files, params, tune
    from ratchet.problem import Problem

    given = params.load()
    frame = data.load(files.read_json(data.DATASET), "train")
    result = tune.run(Problem(given.problem), given, frame, candidates, jobs, echo=click.echo)
    click.echo(tune.table(result))
    tune.propose(result, echo=click.echo)


@click.command("accept-revision", epilog="\b\nExample: ratchet accept-revision --all && dvc repro")
@click.argument("periods", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Look at every period of params.yaml.")
@click.option("--base", help="What the change goes to; by default the default branch of origin.")
def accept_revision(periods: tuple[str, ...], *, every: bool, base: str | None) -> None:
    """Take in periods whose rows are others than those that were locked.

    Fetches them, counts the rows that differ, and writes revisions.json, which the next `dvc repro` reads. Commit it:
    a pull request with it is held until a maintainer accepts it.
    """
    from ratchet import data, params, revisions
    from ratchet.problem import Problem

    given = params.load()
    if bool(periods) == every:
        raise RatchetError("name the periods, or give --all")
    if strange := sorted(set(periods) - set(given.data.periods)):
        raise RatchetError(f"{strange[0]}: is none of data.periods in params.yaml")
    problem = Problem(given.problem)
    found = revisions.accept(
        problem,
        given.data.periods if every else periods,
        lambda period: data.ingest(problem, period, given.data.checks),
        base=base,
    )
    for period, revision in found.items():
        click.echo(revisions.sentence(period, revision))
    click.echo(f"taken in by {revisions.PATH}" if found else "every period gives the rows that were locked")


@click.command(epilog="\b\nExample: ratchet digest")
@click.argument("folder", type=root.FOLDER, default=Path())
def digest(folder: Path) -> None:
    """Print the model digest and the lock digest of a folder of outputs.

    Two folders with equal model digests hold the same model, byte for byte.
    """
    from ratchet import bundle, lock, outputs

    click.echo(f"model {bundle.digest(outputs.find(folder).bundle)}")
    click.echo(f"lock  {lock.digest_of(folder)}")


@click.command(epilog="\b\nExample: MLFLOW_TRACKING_URI=http://127.0.0.1:5000 ratchet track")
@click.argument("folder", type=root.FOLDER, default=Path())
def track(folder: Path) -> None:
    """Record a folder of outputs in MLflow; a second time changes nothing.

    `dvc repro` does this by itself. Use it after the tracking server was down.
    """
    from ratchet import params, tracking

    recorded = tracking.record(folder, params.load(folder / "params.yaml"))
    click.echo(str(recorded))


@click.command(epilog="\b\nExample: ratchet registry 3f9a0c1b2d")
@click.argument("champion", required=False)
@click.option("--sync", is_flag=True, help="Register every release on GitHub first; the newest is the champion.")
def registry(champion: str | None, *, sync: bool) -> None:
    """List the registered versions, or make the one with this model digest the champion."""
    from ratchet import registry, tracking
    from ratchet.forge import Forge

    if sync:
        registry.sync(Forge.from_environment(), echo=click.echo)
    if champion:
        tracking.promote(champion)
    for version in tracking.versions():
        click.echo(str(version))


@click.command(epilog="\b\nExample: ratchet score bundle data/periods/2013-04/rows.parquet --out scores.parquet")
@click.argument("bundle", type=root.FOLDER)
@click.argument("rows", type=root.FILE)
@click.option("-o", "--out", type=root.FILE, help="Write Parquet here instead of CSV to standard output.")
def score(bundle: Path, rows: Path, out: Path | None) -> None:
    """Score raw rows (Parquet, CSV or JSON lines) with a bundle, in the bundle's own environment."""
    from ratchet import bundle as bundles
    from ratchet import files, outputs, scoring

    opened = bundles.load(outputs.find(bundle).bundle)
    text = [name for name, rule in opened.schema["properties"].items() if "string" in rule["type"]]
    frame = files.read_rows(rows, text)
    known = [name for name in opened.manifest["key"] if name in frame]
    scored = frame[known].assign(score=scoring.score(opened.folder, frame))
    if out:
        files.write_parquet(out, scored)
    else:
        scored.to_csv(sys.stdout, index=False)


@click.command(epilog="\b\nExample: ratchet compare ../main . --look 2")
@click.argument("champion", type=root.FOLDER)
@click.argument("challenger", type=root.FOLDER)
@click.option(
    "--rows", type=root.FILE, help="Labelled rows (Parquet) to judge on; by default those the challenger was tested on."
)
@click.option(
    "--look", default=1, show_default=True, help="How many distinct models these rows have judged, with this."
)
@click.option("--policy", type=root.FILE, default=Path("params.yaml"), show_default=True, help="Where `gate:` stands.")
@click.option(
    "-o", "--out", type=root.FOLDER, default=Path("build/report"), show_default=True, help="Folder of the report."
)
def compare(champion: Path, challenger: Path, rows: Path | None, look: int, policy: Path, out: Path) -> None:
    """Judge CHALLENGER against CHAMPION: promote, hold, block, or void, and why.

    Each is a bundle or a folder of outputs. A model that has not scored the rows does so in its own environment.
    Writes verdict.json, report.md and report.html.
    """
    from ratchet import outputs, params

    found = outputs.find(challenger)
    judged_on = outputs.holdout(found, rows)
    judged = outputs.compare(outputs.find(champion), found, judged_on, params.load(policy).gate, look)
    judged.write(out)
    click.echo(_told(judged.verdict))
    click.echo(f"report: {out / 'report.html'}")


def _told(verdict: dict[str, Any]) -> str:
    rules = [f"  {rule['outcome']:<5} {rule['sentence']}" for rule in verdict["rules"]]
    return "\n".join([verdict["sentence"], *rules])


VERBS = (
    tune,
    accept_revision,
    digest,
    track,
    registry,
    score,
    compare,
)

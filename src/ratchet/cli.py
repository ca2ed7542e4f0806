"""The command line: one verb for each step of the loop, in the order of the loop. `ratchet --help`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from ratchet.errors import RatchetError, told_to_the_user

_FOLDER = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)
MOST_REASON = 2000


class _Loop(click.Group):
    """Lists its verbs in the order in which they are defined, which is that of the loop."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(self.commands)


@click.group(cls=_Loop, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ratchet")
def cli() -> None:
    """Ratchet: a model in production only ever moves forward.

    The pipeline itself is DVC's: `dvc repro` ingests, trains, exports, evaluates and writes the model card. The verbs
    below do the rest; each has help with an example: `ratchet compare --help`.
    """


@cli.command(epilog="\b\nExample: ratchet tune --candidates 40 && git diff params.yaml")
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


@cli.command("accept-revision", epilog="\b\nExample: ratchet accept-revision 2013-02 && dvc repro")
@click.argument("period")
def accept_revision(period: str) -> None:
    """Let a period come in again although its source has changed.

    Takes the period's entry out of dvc.lock; the next `dvc repro` ingests it anew, and the diff shows that it did.
    """
    from ratchet import lock

    lock.forget(Path("dvc.lock"), f"ingest@{period}")
    click.echo(f"dvc.lock no longer knows {period}; `dvc repro` ingests it as it is now")


@cli.command(epilog="\b\nExample: ratchet digest")
@click.argument("folder", type=_FOLDER, default=Path())
def digest(folder: Path) -> None:
    """Print the model digest and the lock digest of a folder of outputs.

    Two folders with equal model digests hold the same model, byte for byte.
    """
    from ratchet import bundle, lock, outputs

    click.echo(f"model {bundle.digest(outputs.find(folder).bundle)}")
    click.echo(f"lock  {lock.digest_of(folder)}")


@cli.command(epilog="\b\nExample: MLFLOW_TRACKING_URI=http://127.0.0.1:5000 ratchet track")
@click.argument("folder", type=_FOLDER, default=Path())
def track(folder: Path) -> None:
    """Record a folder of outputs in MLflow; a second time changes nothing.

    `dvc repro` does this by itself. Use it after the tracking server was down.
    """
    from ratchet import params, tracking

    recorded = tracking.record(folder, params.load(folder / "params.yaml"))
    click.echo(str(recorded))


@cli.command(epilog="\b\nExample: ratchet registry 3f9a0c1b2d")
@click.argument("champion", required=False)
def registry(champion: str | None) -> None:
    """List the registered versions, or make the one with this model digest the champion."""
    from ratchet import tracking

    if champion:
        tracking.promote(champion)
    for version in tracking.versions():
        click.echo(str(version))


@cli.command(epilog="\b\nExample: ratchet score bundle data/periods/2013-04/rows.parquet --out scores.parquet")
@click.argument("bundle", type=_FOLDER)
@click.argument("rows", type=_FILE)
@click.option("-o", "--out", type=_FILE, help="Write Parquet here instead of CSV to standard output.")
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


@cli.command(epilog="\b\nExample: ratchet compare ../main . --look 2")
@click.argument("champion", type=_FOLDER)
@click.argument("challenger", type=_FOLDER)
@click.option(
    "--rows", type=_FILE, help="Labelled rows (Parquet) to judge on; by default those the challenger was tested on."
)
@click.option(
    "--look", default=1, show_default=True, help="How many distinct models these rows have judged, with this."
)
@click.option("--policy", type=_FILE, default=Path("params.yaml"), show_default=True, help="Where `gate:` stands.")
@click.option(
    "-o", "--out", type=_FOLDER, default=Path("build/report"), show_default=True, help="Folder of the report."
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


@cli.command(epilog="\b\nExample: ratchet evidence --base origin/main")
@click.option("--base", default="origin/main", show_default=True, help="The branch that the proposal goes to.")
@click.option("-o", "--out", type=_FOLDER, default=Path("build/evidence"), show_default=True, help="Folder of data.")
def evidence(base: str, out: Path) -> None:
    """Run the pipeline on what is proposed, and gather what a judge needs: the job of report.yml.

    Starts from the base's dvc.lock. Scores the holdout with the champion, too, when there is a release. Ends with exit
    code 1 when a stage failed; the folder then says which, and why.
    """
    from ratchet import evidence, release
    from ratchet.forge import Forge

    with TemporaryDirectory() as scratch:
        champion = release.fetch(Forge.from_environment(), Path(scratch, "champion"))
        run = evidence.collect(base, out, champion)
    if run["outcome"] == "failed":
        sys.exit(1)


@cli.command(epilog="\b\nExample: ratchet judge --run 123 --attempt 1")
@click.option("--run", type=int, required=True, help="The run of report.yml.")
@click.option("--attempt", type=int, default=1, show_default=True, help="Its attempt.")
@click.option(
    "-o", "--out", type=_FOLDER, default=Path("build/judgement"), show_default=True, help="Folder of results."
)
def judge(run: int, attempt: int, out: Path) -> None:
    """Judge the evidence of a pull request with main's code and policy: the first job of verdict.yml.

    Writes judgement.json, report.html and card.html. Needs a token that reads: GITHUB_TOKEN.
    """
    from ratchet import judge
    from ratchet.forge import Forge

    found = judge.judge(Forge.from_environment(), run, attempt, out)
    click.echo("no open pull request has this commit as its head" if found is None else _summed_up(found))


@cli.command(epilog="\b\nExample: ratchet settle --judgement build/judgement/judgement.json")
@click.option("--judgement", type=_FILE, help="What the judge found; without it, only what GitHub says of the run.")
@click.option("-o", "--out", type=_FOLDER, default=Path("build/settled"), show_default=True, help="Folder of results.")
def settle(judgement: Path | None, out: Path) -> None:
    """Record what a run of report.yml or ci.yml has led to: the second job of verdict.yml.

    Reads the event from GITHUB_EVENT_PATH. Writes the record and dvc.lock through the API; comment.md and statuses.json
    are for the steps after it.
    """
    from ratchet import comment, settle
    from ratchet.forge import Forge

    forge = Forge.from_environment()
    links = comment.Links(
        forge.server_url, forge.repository, report=os.environ.get("REPORT_URL"), card=os.environ.get("CARD_URL")
    )
    found = None
    if judgement is not None and judgement.exists():
        found = settle.read(judgement)
    settled = settle.settle(forge, _event(), found, links)
    settled.write(out)
    _output("pr", settled.pull_request or "")
    _output("comment", "true" if settled.comment else "false")
    for status in settled.statuses:
        click.echo(f"{status.sha[:8]} {status.context}: {status.state}, {status.description}")


@cli.command(epilog="\b\nExample: ratchet comment --pr 12 build/settled/comment.md")
@click.option("--pr", type=int, required=True, help="Number of the pull request.")
@click.argument("file", type=_FILE)
def comment(pr: int, file: Path) -> None:
    """Make sure that the pull request has exactly one comment of ours, with this text."""
    from ratchet import comment
    from ratchet.forge import Forge

    click.echo(Forge.from_environment().upsert_comment(pr, comment.MARKER, file.read_text(encoding="utf-8")))


@cli.command(epilog="\b\nExample: ratchet conclude build/settled")
@click.argument("folder", type=_FOLDER)
@click.option("--failed", is_flag=True, help="Say on the commit that this run itself failed.")
def conclude(folder: Path, *, failed: bool) -> None:
    """Set the statuses that `ratchet settle` has found, once all else is in place."""
    from ratchet import files, settle
    from ratchet.forge import Forge

    forge = Forge.from_environment()
    if failed:
        settle.conclude_failed(forge, _event(), f"{forge.server_url}/{forge.repository}/actions/runs/{_run()}")
    else:
        settle.conclude(forge, files.read_json(folder / "statuses.json"))


@cli.command(epilog='\b\nExample: ratchet accept 12 --reason "Simpler, and safe"')
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; it stands in the record.")
def accept(number: int, reason: str) -> None:
    """Let a pull request pass that is held: safely, or because it changes the judge."""
    _maintain("accept", number, reason)


@cli.command(epilog='\b\nExample: ratchet adopt 12 --reason "Read it; worth a try"')
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; it stands in the record.")
def adopt(number: int, reason: str) -> None:
    """Take a fork's pull request as a branch of this repository, and have it judged there."""
    _maintain("adopt", number, reason)


@cli.command(epilog='\b\nExample: ratchet refresh 12 --reason "Main has a new champion"')
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; it stands in the record.")
def refresh(number: int, reason: str) -> None:
    """Bring main's changes into the branch of a pull request, and have it judged again."""
    _maintain("refresh", number, reason)


@cli.command(epilog="\b\nExample: ratchet release")
def release() -> None:
    """Release the model that main's dvc.lock names: the judged bytes, or the first model of a repository."""
    from ratchet import release
    from ratchet.forge import Forge

    click.echo(release.release(Forge.from_environment(), _run()))


@cli.command(epilog="\b\nExample: GITHUB_REPOSITORY=ada/flights GITHUB_TOKEN=$(gh auth token) ratchet doctor")
def doctor() -> None:
    """Look at a repository's settings, and say what to click; exit code 1 when something has to be."""
    from ratchet import doctor
    from ratchet.forge import Forge

    checks = doctor.examine(doctor.ask(Forge.from_environment()))
    click.echo("\n".join(doctor.told(checks)))
    sys.exit(0 if doctor.healthy(checks) else 1)


def _maintain(action: str, number: int, reason: str) -> None:
    from ratchet import maintain
    from ratchet.forge import Forge

    forge = Forge.from_environment()
    who = os.environ.get("GITHUB_TRIGGERING_ACTOR") or os.environ.get("GITHUB_ACTOR") or forge.login
    if len(reason) > MOST_REASON:
        raise RatchetError(f"--reason: has {len(reason)} characters; at most {MOST_REASON} fit into the record")
    deed = maintain.Deed(who, reason, _run())
    click.echo(getattr(maintain, action)(forge, number, deed))


def _run() -> int:
    """The workflow run that this is; at a desk, which has none, the time in seconds: each record needs its own."""
    number = os.environ.get("GITHUB_RUN_ID") or str(int(time.time()))
    if not number.isdecimal():
        raise RatchetError(f"GITHUB_RUN_ID: is {number[:50]!r}, and has to be a number")
    return int(number)


def _event() -> Any:
    """What happened, as GitHub tells it to a job."""
    from ratchet import files

    path = os.environ.get("GITHUB_EVENT_PATH")
    if not path:
        raise RatchetError("GITHUB_EVENT_PATH: is not set\nthis verb runs in verdict.yml, where GitHub sets it")
    return files.read_json(Path(path))


def _output(name: str, value: object) -> None:
    """An output of the step, where there is one."""
    if path := os.environ.get("GITHUB_OUTPUT"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{name}={value}\n")


def _summed_up(judgement: dict[str, Any]) -> str:
    said = judgement["verdicts"][0]["sentence"] if judgement["verdicts"] else judgement["reason"]
    return f"pull request {judgement['pull_request']}, {judgement['outcome']}: {said}"


def _told(verdict: dict[str, Any]) -> str:
    rules = [f"  {rule['outcome']:<5} {rule['sentence']}" for rule in verdict["rules"]]
    return "\n".join([verdict["sentence"], *rules])


def main() -> None:
    """Run the command line; errors are one to three lines and exit code 2."""
    with told_to_the_user():
        cli(prog_name="ratchet")


if __name__ == "__main__":
    main()

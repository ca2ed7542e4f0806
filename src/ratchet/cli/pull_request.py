"""Verbs of the workflows that judge a pull request."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from ratchet.cli import root
from ratchet.errors import RatchetError

MOST_REASON = 2000


@click.command(epilog="\b\nExample: ratchet scope --base origin/main")
@click.option("--base", help="The branch that the proposal goes to; a workflow's event says it.")
def scope(base: str | None) -> None:
    """Say which tests a proposal needs, by the files that it touches: the first job of ci.yml.

    Compares the commit that is checked out with where it left the base. On the default branch, and where the two
    cannot be compared, that is every test.
    """
    from ratchet import scope

    against = base or scope.base_of(os.environ.get("GITHUB_EVENT_NAME", ""), root.event())
    found = scope.of(None, None) if against is None else scope.proposed(against, Path.cwd())
    root.output("framework", "true" if found.framework else "false")
    root.output("tests", " ".join(found.tests))
    root.output("skips", ", ".join(found.skips))
    click.echo(f"make test TESTS='{' '.join(found.tests)}'; skipped: {', '.join(found.skips) or 'nothing'}")


@click.command(epilog="\b\nExample: ratchet evidence --base origin/main")
@click.option(
    "--base",
    default="origin/HEAD",
    show_default=True,
    help="The branch that the proposal goes to; by default what git knows as the default branch.",
)
@click.option(
    "-o", "--out", type=root.FOLDER, default=Path("build/evidence"), show_default=True, help="Folder of data."
)
def evidence(base: str, out: Path) -> None:
    """Run the pipeline on what is proposed, and gather what a judge needs: the job of report.yml.

    Starts from the base's dvc.lock. Scores the holdout with the champion, too, when there is a release. Ends with exit
    code 1 when a stage failed; the folder then says which, and why.
    """
    from ratchet import evidence, ledger, release
    from ratchet.forge import Forge

    forge = Forge.from_environment()

    def proven(digest: str) -> bool:
        return any(entry["lock_digest"] == digest for entry in ledger.Ledger(forge).listing().proofs())

    with TemporaryDirectory() as scratch:
        champion = release.fetch(forge, Path(scratch, "champion"))
        branch = os.environ.get("GITHUB_HEAD_REF") or os.environ.get("GITHUB_REF_NAME", "")
        run = evidence.collect(base, out, champion, rejudges=branch.startswith(release.REJUDGES), proven=proven)
    if run["outcome"] == "failed":
        sys.exit(1)


@click.command(epilog="\b\nExample: ratchet judge --run 123 --attempt 1")
@click.option("--run", type=int, required=True, help="The run of report.yml.")
@click.option("--attempt", type=int, default=1, show_default=True, help="Its attempt.")
@click.option(
    "-o", "--out", type=root.FOLDER, default=Path("build/judgement"), show_default=True, help="Folder of results."
)
def judge(run: int, attempt: int, out: Path) -> None:
    """Judge the evidence of a pull request with main's code and policy: the first job of verdict.yml.

    Writes judgement.json and card.html. Needs a token that reads: GITHUB_TOKEN.
    """
    from ratchet import judge
    from ratchet.forge import Forge

    found = judge.judge(Forge.from_environment(), run, attempt, out)
    click.echo("no open pull request has this commit as its head" if found is None else _summed_up(found))


@click.command(epilog="\b\nExample: ratchet settle --judgement build/judgement/judgement.json")
@click.option("--judgement", type=root.FILE, help="What the judge found; without it, only what GitHub says of the run.")
@click.option(
    "-o", "--out", type=root.FOLDER, default=Path("build/settled"), show_default=True, help="Folder of results."
)
@click.option("--failed", is_flag=True, help="Only say on the commit that this run itself failed.")
def settle(judgement: Path | None, out: Path, *, failed: bool) -> None:
    """Record what a run of report.yml or ci.yml has led to, and set the statuses: what verdict.yml does of every event.

    Reads the event from GITHUB_EVENT_PATH. Writes the record and dvc.lock through the API; comment.md and report.html
    are for the steps after it.
    """
    from ratchet import comment, settle
    from ratchet.forge import Forge

    forge = Forge.from_environment()
    if failed:
        address = f"{forge.server_url}/{forge.repository}/actions/runs/{root.run_number()}"
        settle.conclude_failed(forge, root.event(), address)
        return
    links = comment.Links(forge.server_url, forge.repository)
    found = None
    if judgement is not None and judgement.exists():
        found = settle.read(judgement)
    settled = settle.settle(forge, root.event(), found, links)
    settled.write(out)
    root.output("pr", settled.pull_request or "")
    root.output("comment", "true" if settled.comment else "false")
    for status in settled.statuses:
        click.echo(f"{status.sha[:8]} {status.context}: {status.state}, {status.description}")


@click.command(epilog="\b\nExample: ratchet link build/settled")
@click.argument("folder", type=root.FOLDER)
def link(folder: Path) -> None:
    """Let the comment lead to the report and the model card, which were uploaded since `ratchet settle` wrote it.

    Their addresses are REPORT_URL and CARD_URL.
    """
    from ratchet import settle

    given = [os.environ.get(name) or None for name in ("REPORT_URL", "CARD_URL")]
    click.echo("linked" if settle.link(folder, *given) else "no comment of a verdict is there")


@click.command(epilog="\b\nExample: ratchet cml --pr 12 --program build/cml/bin/cml.js build/settled/comment.md")
@click.option("--pr", type=int, required=True, help="Number of the pull request.")
@click.option("--program", type=root.FILE, required=True, help="CML's bin/cml.js, with what it needs installed.")
@click.argument("file", type=root.FILE)
def cml(pr: int, program: Path, file: Path) -> None:
    """Have CML create or update the comment of a pull request; `ratchet comment` sees to the rest.

    Needs REPO_TOKEN, GITHUB_REPOSITORY and GITHUB_SERVER_URL.
    """
    from ratchet import cml

    click.echo(cml.comment(pr, file.read_text(encoding="utf-8"), program))


@click.command(epilog="\b\nExample: ratchet comment --pr 12 build/settled/comment.md")
@click.option("--pr", type=int, required=True, help="Number of the pull request.")
@click.option(
    "--cml", "said", default="off", help="How the step ended that runs CML: success, failure, skipped; or off."
)
@click.argument("file", type=root.FILE)
def comment(pr: int, said: str, file: Path) -> None:
    """Make sure that the pull request has exactly one comment of ours, with this text."""
    from ratchet import cml, comment
    from ratchet.forge import Forge

    forge = Forge.from_environment()
    text = file.read_text(encoding="utf-8")
    text = cml.marked(text if said in {"off", "success"} else cml.unreached(text))
    click.echo(forge.upsert_comment(pr, comment.MARKER, text))


@click.command(epilog='\b\nExample: ratchet accept 12 --reason "Simpler, and safe"')
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; it stands in the record.")
def accept(number: int, reason: str) -> None:
    """Let a pull request pass that is held: safely, or because it changes the judge."""
    _maintain("accept", number, reason)


@click.command(epilog='\b\nExample: ratchet adopt 12 --reason "Read it; worth a try"')
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; it stands in the record.")
def adopt(number: int, reason: str) -> None:
    """Take a fork's pull request as a branch of this repository, and have it judged there."""
    _maintain("adopt", number, reason)


@click.command(epilog='\b\nExample: ratchet refresh 12 --reason "Main has a new champion"')
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; it stands in the record.")
def refresh(number: int, reason: str) -> None:
    """Bring main's changes into the branch of a pull request, and have it judged again."""
    _maintain("refresh", number, reason)


def _maintain(action: str, number: int, reason: str) -> None:
    from ratchet import maintain
    from ratchet.forge import Forge

    forge = Forge.from_environment()
    who = os.environ.get("GITHUB_TRIGGERING_ACTOR") or os.environ.get("GITHUB_ACTOR") or forge.login
    if len(reason) > MOST_REASON:
        raise RatchetError(f"--reason: has {len(reason)} characters; at most {MOST_REASON} fit into the record")
    deed = maintain.Deed(who, reason, root.run_number())
    click.echo(getattr(maintain, action)(forge, number, deed))


def _summed_up(judgement: dict[str, Any]) -> str:
    said = judgement["verdicts"][0]["sentence"] if judgement["verdicts"] else judgement["reason"]
    return f"pull request {judgement['pull_request']}, {judgement['outcome']}: {said}"


VERBS = (
    scope,
    evidence,
    judge,
    settle,
    link,
    cml,
    comment,
    accept,
    adopt,
    refresh,
)

"""Verbs that say what runs where, and make it so."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from ratchet.cli import root
from ratchet.cli.pull_request import MOST_REASON
from ratchet.deploy.state import ENVIRONMENTS, STRATEGIES, Environment, Strategy
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratchet.deploy.apply import Watch
    from ratchet.deploy.branch import Why, Wish
    from ratchet.forge import Forge

MOST_LINES = 1000
"""Of a diff in a job's summary, of which GitHub takes a megabyte; what runs comes first in it."""

_environment = click.option(
    "--environment", type=click.Choice(ENVIRONMENTS), default="production", show_default=True, help="Where."
)
_reason = click.option("--reason", required=True, help="Why; it stands in the record.")


@click.group(cls=root.Loop, epilog="\b\nExample: ratchet deploy plan --strategy canary")
def deploy() -> None:
    """Say what runs where, and make it so."""


def _wished(command: Callable[..., None]) -> Callable[..., None]:
    """What names a release and how it comes."""
    for option in (
        click.option(
            "--share", help="Percent of the requests for a canary (10) or an A/B test (50).", metavar="PERCENT"
        ),
        click.option("--release", help="Its tag; by default what answers in staging.", metavar="TAG"),
        click.option("--strategy", type=click.Choice(STRATEGIES), required=True, help="How it comes."),
        _environment,
    ):
        command = option(command)
    return command


@deploy.command(epilog="\b\nExample: ratchet deploy plan --strategy canary --share 5")
@_wished
def plan(environment: Environment, strategy: Strategy, release: str | None, share: str | None) -> None:
    """Show what a promotion would change on the branch `deploy`, as a diff of every file; change nothing.

    The first job of promote.yml, whose summary it is for those who approve the second. Needs a token that reads:
    GITHUB_TOKEN.
    """
    from ratchet.deploy import branch
    from ratchet.forge import Forge
    from ratchet.report import markdown

    found = branch.preview(Forge.from_environment(), environment, _wish(strategy, release, share))
    root.output("release", found.release)
    root.output("seen", found.seen)
    lines = found.diff.splitlines()
    rest = [f"… {len(lines) - MOST_LINES} more lines: `ratchet deploy plan` shows them"] if lines[MOST_LINES:] else []
    root.summary(markdown.fenced("diff", [found.told, "", *lines[:MOST_LINES], *rest]))
    click.echo(f"{found.told}\n{found.diff}", nl=False)


@deploy.command(epilog='\b\nExample: ratchet deploy promote --strategy canary --reason "Better in July"')
@_wished
@click.option("--seen", metavar="SHA", help="Commit of the branch that was decided on: refuse if that changed.")
@_reason
def promote(
    environment: Environment, strategy: Strategy, release: str | None, share: str | None, seen: str | None, reason: str
) -> None:
    """Let a release take part in an environment: the job of promote.yml.

    Moves the branch `deploy` and records who did it and why. Nothing is built, and what answers is not restarted. A
    release that was withdrawn comes back only when it is named. Needs a token that writes: GITHUB_TOKEN.
    """
    from ratchet.deploy import branch
    from ratchet.forge import Forge

    forge = Forge.from_environment()
    wish, why = _wish(strategy, release, share, seen), _why(forge, reason)
    if root.is_job():
        why = replace(why, approved_by=forge.approver(why.run, environment))
    click.echo(branch.promote(forge, environment, wish, why).told())


@deploy.command(epilog="\b\nExample: ratchet deploy apply ../deploy production --watch 10")
@click.argument("folder", type=root.FOLDER)
@click.argument("environment", type=click.Choice(["staging", "production"]))
@click.option(
    "--watch",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Go on: pull, apply and look after the arms every so many seconds, until it is stopped.",
)
def apply(folder: Path, environment: str, watch: float | None) -> None:
    """Make this host run what a clone of the branch `deploy` says; exit code 1 when an arm is sick.

    FOLDER is the clone. Arms run in Docker Compose. An arm gets traffic once it is ready with the right model; one that
    is sick is told of and gets none, which is not written to git.
    """
    from ratchet.deploy import compose
    from ratchet.deploy.apply import RESPITE

    with compose.opened(folder, environment) as host:
        if watch:
            _follow(host, watch, RESPITE)
        report = host.look(RESPITE)
    click.echo("\n".join(report.lines()))
    sys.exit(0 if report.is_well else 1)


@click.command(epilog='\b\nExample: ratchet rollback --reason "Errors since ten"')
@_environment
@click.option("--to", metavar="TAG|SHA", help="A release that answered before, or a commit of the branch `deploy`.")
@_reason
def rollback(environment: Environment, to: str | None, reason: str) -> None:
    """Put an earlier state of an environment back: by default the last one without the newcomer.

    The newcomer is the challenger, or the champion where there is none. It is withdrawn: it comes back only when
    somebody promotes it by name. States with a release that was withdrawn are passed over. One that a promotion has
    replaced was not withdrawn, even if it was replaced because it was sick: then name a better one by --to. Needs a
    token that writes: GITHUB_TOKEN.
    """
    from ratchet.deploy import branch
    from ratchet.forge import Forge

    forge = Forge.from_environment()
    click.echo(branch.rollback(forge, environment, to or None, _why(forge, reason)).told())


def _wish(strategy: Strategy, release: str | None, share: str | None, seen: str | None = None) -> Wish:
    """What is wished for; a field that was left empty in a form is not given."""
    from ratchet.deploy.branch import Wish

    if share and not share.isdecimal():
        raise RatchetError(f"--share {share[:20]}: is no whole number of percent, as in --share 10")
    return Wish(strategy, release or None, int(share) if share else None, seen or None)


def _why(forge: Forge, reason: str) -> Why:
    from ratchet.deploy.branch import Why

    if not reason.strip():
        raise RatchetError("--reason: is empty\nwhoever is on call reads it")
    if len(reason) > MOST_REASON:
        raise RatchetError(f"--reason: has {len(reason)} characters; at most {MOST_REASON} fit into the record")
    return Why(root.actor(forge), reason.strip(), root.run_number())


def _follow(host: Watch, seconds: float, respite: float) -> NoReturn:
    """Look again and again, whatever goes wrong; say what is done, and what is otherwise than it was."""
    said: list[str] = []
    while True:
        try:
            report = host.look(respite)
            lasting, lines = report.lasting(), report.lines()
        except (RatchetError, OSError) as error:
            lasting = lines = [f"error: {error}"]
        if lines != lasting or lasting != said:
            click.echo("\n".join(lines))
        said, respite = lasting, 0.0  # only at first may an arm still be loading, after a host's restart
        time.sleep(seconds)


VERBS = (deploy, rollback)

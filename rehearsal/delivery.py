"""The second half of the story: what was released goes to staging and to production, and back.

Every change of what runs is made by promote.yml or rollback.yml on the branch `deploy`; a host follows the branch, and
real flights are asked of it all the time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ratchet.deploy.state import State, parse
from ratchet.errors import RatchetError
from rehearsal import project
from rehearsal.desk import Desk, checked
from rehearsal.host import Callers, Host, Row, Tally
from rehearsal.teller import Teller, say

SHARE = 20
"""Percent of production's requests that a canary answers."""
LOOK = 4.0
"""Seconds of traffic that a paragraph of the story is about."""
SICK = 9.0
"""The same of a fault: what the frozen arm has in hand is given up after five seconds."""
MOST = 60.0
"""Seconds that it may take until everybody is answered by the old version, on a machine that does much else."""


def stage(desk: Desk, folder: Path, row: Row) -> None:
    """The release stands in staging already; a host there runs it, and answers for one flight."""
    say("The release has put it into staging. A host there follows the branch `deploy`, and is asked one flight.")
    with Host(desk, "staging", folder) as host:
        follow(host)
        answer = Callers(host.url, [row]).once()
    print(f"  score {answer['score']:.3f}, late: {answer['decision']}, by the model {answer['model'][:12]}")


def follow(host: Host) -> None:
    """Make a host run what its branch says, and tell what it did."""
    for line in host.follow().done:
        print(f"  {line}")


def promote(desk: Desk, teller: Teller, strategy: str, **inputs: str) -> None:
    """Somebody dispatches promote.yml, and the owner approves."""
    before = desk.head("deploy")
    checked(desk.dispatch("promote.yml", strategy=strategy, **inputs))
    desk.wait()
    for run in desk.waiting():
        checked(desk.approve(run, comment="Looks good"))
    desk.wait()
    teller.tell()
    if desk.head("deploy") == before:
        raise RatchetError(f"promote.yml: {strategy} did not move the branch `deploy`")


def canary(desk: Desk, teller: Teller, host: Host, callers: Callers) -> None:
    """A share of the requests shows how the newcomer does; then it answers them all."""
    say(f"Production, canary: the new release answers {SHARE} % of the requests.")
    promote(desk, teller, "canary", share=str(SHARE), reason="The verdict promotes it")
    follow(host)
    told(desk, callers.during(LOOK))
    say("It does well. Production, blue-green: it answers, the old one stays warm.")
    promote(desk, teller, "blue-green", reason="The canary did well")
    follow(host)
    told(desk, callers.during(LOOK))


def fault(desk: Desk, host: Host, callers: Callers) -> None:
    """The new version hangs, and nobody has noticed yet."""
    state = production(desk)
    say(f"A fault: {state.answering.release} hangs. Traefik sees it, and the warm {_warm(state)} answers.")
    host.engine.freeze(state.champion)
    told(desk, callers.during(SICK))


def back(desk: Desk, teller: Teller, host: Host, callers: Callers) -> None:
    """One dispatch, nothing is built: the old version answers."""
    state = production(desk)
    begin = time.monotonic()
    checked(desk.dispatch("rollback.yml", environment="production", reason="It hangs"))
    desk.wait()
    follow(host)
    took = time.monotonic() - begin
    seen = callers.during(1.0)
    say(f"Rolled back, {took:.1f} s from the click until the host has followed.")
    teller.tell()
    told(desk, seen)
    if state.answering.model in seen.models or took > MOST:
        raise RatchetError(f"the rollback took {took:.1f} s, and these answer: {dict(seen.models)}")


def production(desk: Desk) -> State:
    """What production has to run."""
    return parse(desk.file("deploy", "production/state.json"))


def told(desk: Desk, seen: Tally) -> None:
    """Who answered how much."""
    names = {arm.model: arm.release for arm in production(desk).arms.values()}
    shares = [f"{names.get(model, model[:12])} {n / seen.asked:.0%}" for model, n in sorted(seen.models.items())]
    print(
        f"  {seen.asked} flights asked: {', '.join(shares)}; {seen.failed} failed; "
        f"p50 {seen.p50:.1f} ms, p99 {seen.p99:.1f} ms"
    )


def flights(period: str, step: int = 50) -> list[dict[str, Any]]:
    """Every so many raw rows of a period, as a caller would send them."""
    from ratchet import bundle, schema
    from ratchet.problem import Problem

    problem = Problem(project.PROBLEM.name, project.FROZEN)
    inputs = list(schema.row_schema(problem)["properties"])
    return bundle.plain_rows(problem.fetch(period)[inputs].iloc[::step])


def look_back(desk: Desk) -> None:
    """What the one on call asks: what runs, and where it comes from; the audit, of each image that ever ran."""
    answering = production(desk).answering.image
    for verb in (["status"], ["audit", answering]):
        say(f"$ ratchet {' '.join(verb)}")
        print(ratchet(desk, *verb))
    for image in sorted(ran(desk) - {answering}):
        said = ratchet(desk, "audit", image).splitlines()
        say(f"$ ratchet audit {image}")
        print(f"{len(said) - 1} links: {said[-1]}")


def ran(desk: Desk) -> set[str]:
    """Every image that the ledger has seen run."""
    return {record["image"] for record in desk.records().values() if record["kind"] == "promotion" and record["image"]}


def ratchet(desk: Desk, *arguments: str) -> str:
    """What a verb prints, called by the owner.

    Raises:
        RatchetError: It fails.
    """
    environment = {
        **os.environ,
        "GITHUB_REPOSITORY": desk.name,
        "GITHUB_API_URL": desk.forge.api,
        "GITHUB_SERVER_URL": desk.forge.url,
        "GITHUB_TOKEN": desk.token(desk.owner),
    }
    command = [sys.executable, "-m", "ratchet", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RatchetError(f"ratchet {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.rstrip()


def _warm(state: State) -> str:
    return state.arms[state.warm].release if state.warm else "other one"

"""The story of the README, on real flights and with the real workflow files: from a first model to a rollback.

    make demo

Everything happens on a forge of its own under build/demo, with copies of the repository; the working tree is only read.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet.errors import RatchetError, told_to_the_user
from rehearsal import delivery, pages, project
from rehearsal.desk import Desk
from rehearsal.host import Callers, Host
from rehearsal.teller import Teller, say

STAGE = project.ROOT / "build" / "demo"
UNSEEN = "2013-08"
MORE_PERIODS = [f"2013-{month:02}" for month in range(1, 8)]


@dataclass(frozen=True)
class Proposal:
    """One pull request, as a person would open it in the browser.

    Attributes:
        title: What its author hopes for.
        edits: Dotted keys of params.yaml to new values.
        expected: How the verdict begins.
    """

    title: str
    edits: Mapping[str, Any]
    expected: str


PROPOSALS = (
    Proposal(
        "Two leaves and a tenth of the trees are surely enough",
        {"model.max_leaf_nodes": 2, "model.max_iter": 15},
        "Block",
    ),
    Proposal("The same model, another seed", {"train.seed": 1}, "Hold, safe"),
    Proposal("Train to June, test on July", {"data.periods": MORE_PERIODS}, "Promote"),
)


def main(arguments: list[str] | None = None) -> None:
    """Play the story, and leave its pages."""
    options = _options(arguments)
    began = time.monotonic()
    shutil.rmtree(STAGE, ignore_errors=True)
    with Desk(STAGE / "forge", port=options.port) as desk:
        teller = Teller(desk)
        found(desk, teller)
        numbers = [propose(desk, teller, proposal) for proposal in PROPOSALS]
        merge(desk, teller, numbers)
        deliver(desk, teller)
        pages.export(desk.forge, options.export)
        print(f"\nThat was the loop, in {time.monotonic() - began:.0f} s.")
        print(f"Its pages, to keep: {shown(options.export / 'index.html')}")
        if options.serve:
            print(f"Its pages, alive: {desk.url}/pulls")
            input("Merge, comment, look around; Enter ends it. ")


def found(desk: Desk, teller: Teller) -> None:
    """An empty repository gets its first champion."""
    say("A new repository. Its first push trains the first champion, which must beat its baselines.")
    source = STAGE / "project"
    project.template(source, without=["tests/"], but=project.FEW_TESTS)
    desk.found(source)
    desk.wait()
    teller.tell()
    desk.protect()
    release = desk.get("/releases/latest")
    print(f"  {release['tag_name']}: {release['body'].splitlines()[0]}")
    desk.guard("production")
    say(f"{release['tag_name']} goes to production. promote.yml waits until the owner approves.")
    delivery.promote(desk, teller, "all-at-once", reason="The first one")


def propose(desk: Desk, teller: Teller, proposal: Proposal) -> int:
    """Someone edits params.yaml in the browser, opens a pull request, and reads one comment."""
    say(f"A pull request: {proposal.title}.")
    branch = proposal.title.lower().replace(" ", "-").replace(",", "")
    number = desk.propose(proposal.title, {"params.yaml": proposal.edits}, branch)
    desk.wait()
    teller.tell()
    (text,) = desk.comments(number)
    statuses = desk.statuses(desk.pull(number)["head"]["sha"])
    for context, (state, description) in sorted(statuses.items()):
        print(f"  {context:<10} {state:<8} {description}")
    if proposal.expected not in text:
        raise RatchetError(f"pull request {number}: the verdict was to be {proposal.expected!r}; it is\n{statuses}")
    return number


def merge(desk: Desk, teller: Teller, numbers: list[int]) -> None:
    """What was not proven cannot be merged; what was, is released as it was judged."""
    refused = desk.merge(numbers[0])
    say(f"Merging #{numbers[0]} is refused: {' '.join(refused.json()['message'].split())}")
    for number in numbers[:-1]:  # or the release would bring them up to date, and have them judged once more
        desk.close(number)
    print(f"  {' and '.join(f'#{number}' for number in numbers[:-1])} are closed by their author")
    merged = desk.merge(numbers[-1], how="squash")
    say(f"Merging #{numbers[-1]}: {merged.json()['message']}.")
    desk.wait()
    teller.tell()
    print(f"  newest release: {desk.get('/releases/latest')['tag_name']}, nothing was trained for it")
    if refused.status_code != 405 or merged.status_code != 200:
        raise RatchetError(f"the merges answered {refused.status_code} and {merged.status_code}, not 405 and 200")


def deliver(desk: Desk, teller: Teller) -> None:
    """What was released runs: staging, a canary in production, all of it, a fault, and back."""
    rows = delivery.flights(UNSEEN)
    delivery.stage(desk, STAGE / "staging", rows[0])
    with Host(desk, "production", STAGE / "production") as host:
        say("A host follows production, and flights of a month that no model has seen are asked of it.")
        delivery.follow(host)
        with Callers(host.url, rows) as callers:
            delivery.canary(desk, teller, host, callers)
            delivery.fault(desk, host, callers)
            delivery.back(desk, teller, host, callers)
    delivery.look_back(desk)


def shown(path: Path) -> str:
    """A path as one types it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--export", type=Path, default=STAGE / "pages", help="folder for a copy of the pages")
    parser.add_argument("--port", type=int, default=0, help="of the pages while it runs; any free one by default")
    parser.add_argument(
        "--serve",
        action=argparse.BooleanOptionalAction,
        default=sys.stdin.isatty(),
        help="keep the pages alive at the end",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    with told_to_the_user():
        main()

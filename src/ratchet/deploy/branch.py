"""The branch `deploy`: what runs where, as files that a host or a cluster follows; moved through the API, only forward.

    move(forge, "staging", lambda state: plan(state, arm, "blue-green"), Why("ada", "Release model-v2", run))
    promote(forge, "production", Wish("canary", share=10), why)
    rollback(forge, "production", None, why)

    staging/ production/    state.json, the truth; arms.json, compose.env, kubernetes/, traefik.yaml are made of it
    compose.yaml …          copies of main's deploy/, so that a host needs a clone of this branch and nothing else

A move is one commit and one record in the ledger. A run that ended between the two finds its commit when it is run
again, and adds the record.
"""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import random
from typing import TYPE_CHECKING, Literal

from ratchet import ledger
from ratchet.deploy import kubernetes, prometheus, strategy, traefik
from ratchet.deploy.state import ENVIRONMENTS, SLOTS, Arm, Environment, Moment, State, Strategy, parse, render
from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.forge import Commit, Entry, Forge

Change = Callable[[State | None], State]
Step = Callable[[State | None], tuple[State, str | None]]
Kind = Literal["promotion", "rollback"]

BRANCH = "deploy"
TARGET = "{}:3000"
"""Where Prometheus reaches a slot, under Compose."""
ADDRESS = f"http://{TARGET}"
"""Where Traefik does."""
NOTHING = "0" * 40
"""The commit of a branch that is not there, as git writes it."""
TRIES = 12
"""How often a move is tried again when others are faster; each time, one of them got through."""
LARGEST = 50_000_000
"""Bytes that the files which a move changes may have together, as they were."""
PLACES = ("staging/", "production/")
NOT_COPIED = ("Dockerfile", ".dockerignore", "alerts_test.yml", "alerts_days_test.yml")
"""Of main's deploy/: what builds an image or tests the rules, and is of no use to a host."""
README = """# What runs where

Workflows write this branch, with a record of each move on the branch `records`: do not edit it.
`ratchet deploy promote` and `ratchet rollback` change it, hosts and clusters follow it.
"""

_RUN = re.compile(r", run (\d+)$")
_RESTORED = re.compile(r"^Restored: ([0-9a-f]{40})$", re.MULTILINE)


@dataclass(frozen=True)
class Why:
    """Who moves the branch, why, and in which run; and who has approved that, where somebody had to."""

    who: str
    reason: str
    run: int
    approved_by: str | None = None


@dataclass(frozen=True)
class Wish:
    """What is to be promoted.

    Attributes:
        strategy: How it comes.
        release: Its tag; by default what answers in staging, or for staging the newest release.
        share: Percent of the requests for a canary or an A/B test.
        seen: The commit of the branch that it was decided on, or `NOTHING`; None takes whatever is there.
    """

    strategy: Strategy
    release: str | None = None
    share: int | None = None
    seen: str | None = None


@dataclass(frozen=True)
class Plan:
    """What a promotion would do.

    Attributes:
        told: From where to where, in one line.
        diff: A unified diff of every file of the branch that changes; empty when nothing does.
        release: The release that comes.
        seen: The commit of the branch that this is about; `NOTHING` while there is no branch.
    """

    told: str
    diff: str
    release: str
    seen: str


@dataclass(frozen=True)
class Move:
    """A step of an environment.

    Attributes:
        before: The state it had; None where nothing ran.
        after: The state it has.
        before_sha: The commit of the branch that this one followed.
        sha: The commit that holds the new state.
        restored: The commit whose state came back, of a rollback.
        changed: Whether it was made now; else it was so already.
    """

    before: State | None
    after: State
    before_sha: str | None
    sha: str
    restored: str | None = None
    changed: bool = True

    def told(self) -> str:
        """From where to where, in one line."""
        return stepped(self.before if self.changed else self.after, self.after)


@dataclass(frozen=True)
class _Errand:
    environment: Environment
    kind: Kind
    why: Why
    root: Path | None

    def message(self, after: State, restored: str | None) -> str:
        tag = after.answering.release if restored else after.newcomer.release
        subject = f"{self.kind} in {self.environment}: {tag}, run {self.why.run}"
        last = f"\n\nRestored: {restored}" if restored else ""
        reason = " ".join(self.why.reason.split())  # one line, so that it cannot pass for the last one
        return f"{subject}\n\n{self.why.who}: {reason}{last}\n"


def told(state: State) -> str:
    """Who answers what share: "model-v1 90 %, model-v2 10 %"."""
    said = [f"{arm.release} {state.weights[slot]} %" for slot, arm in state.arms.items() if state.weights[slot]]
    if state.challenger and state.mirror:
        said.append(f"{state.arms[state.challenger].release} gets a copy of {state.mirror} %")
    if state.warm:
        said.append(f"{state.arms[state.warm].release} warm")
    return ", ".join(said)


def stepped(before: State | None, after: State) -> str:
    """From where to where, in one line."""
    if before == after:
        return f"{after.environment}: {told(after)}: is so already, nothing changes"
    return f"{after.environment}: {told(before) if before else 'nothing'} → {told(after)}"


def read(forge: Forge, environment: Environment, at: str | None = None) -> State | None:
    """What an environment is to run, now or as of a commit of the branch; None where nothing is.

    Raises:
        RatchetError: The branch holds something else there.
    """
    sha = at or forge.branch(BRANCH)
    text = None if sha is None else forge.file(sha, _path(environment))
    if text is None:
        return None
    found = parse(text, f"{BRANCH}:{_path(environment)}")
    if found.environment != environment:
        raise RatchetError(f"{BRANCH}:{_path(environment)}: is of {found.environment}; nothing follows it")
    return found


def history(forge: Forge, environment: Environment) -> Iterator[Moment]:
    """The states of an environment, newest first; each is asked for when it is needed."""
    head = forge.branch(BRANCH)
    for commit in _commits(forge, head, environment):
        found = read(forge, environment, commit.sha)
        if found is not None:
            yield Moment(commit.sha, commit.at, found)


def move(forge: Forge, environment: Environment, change: Change, why: Why, root: Path = Path()) -> str:
    """Change what an environment runs, and record it.

    A change that changes nothing writes nothing but a record that is missing. One that a rerun finds done by its own
    first attempt is not done again.

    Args:
        forge: With a token that writes contents.
        environment: Which one.
        change: Makes the new state of the old one, which is None where nothing runs; called again whenever someone
            else was faster.
        why: For the record.
        root: Main, checked out: what stands beside the states is copied from its `deploy/`.

    Returns:
        The commit that holds the state.

    Raises:
        RatchetError: The change cannot be made, or the branch moves faster than this.
    """
    return _go(forge, _Errand(environment, "promotion", why, root), lambda state: (change(state), None)).sha


def promote(forge: Forge, environment: Environment, wish: Wish, why: Why, root: Path = Path()) -> Move:
    """Let a release take part in an environment; like `move`.

    Raises:
        RatchetError: The release is not in the ledger, has no image, or was withdrawn and is not named; or what was
            decided on is not what is there.
    """
    change = newcomer(forge, environment, wish)
    return _go(forge, _Errand(environment, "promotion", why, root), lambda state: (change(state), None))


def rollback(forge: Forge, environment: Environment, to: str | None, why: Why) -> Move:
    """Put an earlier state of an environment back, and nothing else: main's copies stay as they are.

    Args:
        forge: With a token that writes contents.
        environment: Which one.
        to: A release that answered then, or a commit of the branch; by default the last state without the newcomer.
        why: Its reason is what the newcomer is withdrawn for.

    Raises:
        RatchetError: There is nothing to go back to.
    """

    def change(state: State | None) -> tuple[State, str]:
        if state is None:
            raise RatchetError(f"{environment}: nothing runs there, so there is nothing to go back to")
        moment = strategy.target(state, history(forge, environment), to)
        return strategy.back(state, moment.state, why.reason), moment.sha

    return _go(forge, _Errand(environment, "rollback", why, None), change)


def newcomer(forge: Forge, environment: Environment, wish: Wish) -> Change:
    """The change by which a release takes part in an environment."""
    listing = ledger.Ledger(forge).listing()

    def change(state: State | None) -> State:
        tag = wish.release or _default(forge, listing, environment, state)
        if wish.seen:
            _refuse_unseen(forge, environment, tag, wish.seen, state)
        return strategy.plan(state, _arm(listing, tag), wish.strategy, wish.share, environment=environment)

    return change


def preview(forge: Forge, environment: Environment, wish: Wish, root: Path = Path()) -> Plan:
    """What a promotion would do; nothing is written."""
    head = forge.branch(BRANCH)
    before = read(forge, environment, head) if head else None
    after = replace(newcomer(forge, environment, wish)(before), environment=environment)
    diff = "" if after == before else _diff(forge, forge.tree(head) if head else {}, after, copies(root))
    return Plan(stepped(before, after), diff, after.newcomer.release, head or NOTHING)


def files(state: State) -> dict[str, bytes]:
    """The files of one environment, by their path on the branch."""
    arms = state.arms
    images = [f"{slot.upper()}_IMAGE={arms[slot].image}\n" for slot in SLOTS if slot in arms]
    texts = {
        "state.json": render(state),
        "traefik.yaml": traefik.render(state, ADDRESS.format),
        "arms.json": prometheus.arms(state, TARGET.format),
        "compose.env": "".join([*images, f"COMPOSE_PROFILES={','.join(arms)}\n"]),
        **{f"kubernetes/{name}": text for name, text in kubernetes.files(state).items()},
    }
    return {f"{state.environment}/{name}": text.encode() for name, text in texts.items()}


def copies(root: Path) -> dict[str, bytes]:
    """What stands beside the states, by its path on the branch: main's deploy/, without what builds images."""
    folder = root / "deploy"
    found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    kept = {name: path for name, path in found.items() if not {*name.parts} & {*NOT_COPIED, "__pycache__"}}
    return {name.as_posix(): path.read_bytes() for name, path in kept.items()}


def _diff(forge: Forge, held: Mapping[str, Entry], state: State, copied: Mapping[str, bytes]) -> str:
    lines: list[str] = []
    changed = _changed(state, copied, held)
    before = forge.objects.files([held[path].sha for path in changed if path in held], LARGEST)
    for path in sorted(changed, key=lambda path: (not path.startswith(PLACES), path)):  # what runs before main's copies
        content = changed[path]
        old = _lines(before[held[path].sha]) if path in held else []
        new = [] if content is None else _lines(content)
        lines += difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _refuse_unseen(forge: Forge, environment: Environment, tag: str, seen: str, state: State | None) -> None:
    """Refuse a promotion when what it was decided on has changed: whoever approved it has approved something else."""
    again = "what was approved is not what would happen; nothing is changed: start a new run"
    for each in ENVIRONMENTS:
        then, now = (None if seen == NOTHING else read(forge, each, seen)), read(forge, each)
        if now and tag in now.withdrawn and not (then and tag in then.withdrawn):
            raise RatchetError(
                f"{tag}: was withdrawn from {each} since this was planned: {now.withdrawn[tag][:300]}\n{again}"
            )
        if each == environment and then != state:
            raise RatchetError(f"{environment}: has changed since this was planned: {_between(then, state)}\n{again}")


def _between(then: State | None, now: State | None) -> str:
    return " → ".join(told(state) if state else "nothing" for state in (then, now))


def _go(forge: Forge, errand: _Errand, change: Step) -> Move:
    from ratchet.forge import Moved

    for attempt in range(TRIES):
        try:
            done = _attempt(forge, errand, change)
        except Moved:
            time.sleep(min(0.1 * 2**attempt, 5.0) * random())  # noqa: S311  # so that two part ways
        else:
            _record(forge, errand, done)
            return done
    raise Moved(f"branch {BRANCH}: has moved {TRIES} times meanwhile\nrun it again")


def _attempt(forge: Forge, errand: _Errand, change: Step) -> Move:
    head = forge.branch(BRANCH)
    newest = next(_commits(forge, head, errand.environment), None)
    if newest is not None and _run_of(newest) == errand.why.run:
        return _made(forge, errand.environment, newest)
    before = read(forge, errand.environment, head) if head else None
    wanted, restored = change(before)
    after = replace(wanted, environment=errand.environment)
    if after == before and newest is not None:
        return replace(_made(forge, errand.environment, newest), changed=False)
    _fresh(forge, errand)
    changed = _changed(after, copies(errand.root) if errand.root else {}, forge.tree(head) if head else {})
    sha = forge.commit_files(BRANCH, head, changed, errand.message(after, restored))
    return Move(before, after, head, sha, restored)


def _fresh(forge: Forge, errand: _Errand) -> None:
    """Refuse what would have no place in the ledger, where each run has one."""
    for entry in ledger.Ledger(forge).listing().moves(errand.environment):
        if entry["run"] == errand.why.run:
            raise RatchetError(
                f"run {errand.why.run}: has moved {errand.environment} already, and others did since\n"
                "start a new run instead of running this one again"
            )


def _made(forge: Forge, environment: Environment, commit: Commit) -> Move:
    """The move that a commit is."""
    before_sha = commit.parents[0] if commit.parents else None
    before = read(forge, environment, before_sha) if before_sha else None
    after = read(forge, environment, commit.sha)
    if after is None:
        raise RatchetError(
            f"{BRANCH}: commit {commit.sha[:10]} has removed {_path(environment)}, which nothing here does"
        )
    restored = _RESTORED.findall(commit.message)
    return Move(before, after, before_sha, commit.sha, restored[-1] if restored else None)


def _record(forge: Forge, errand: _Errand, done: Move) -> None:
    book = ledger.Ledger(forge)
    if any(entry["deploy_sha"] == done.sha for entry in book.listing().moves(errand.environment)):
        return
    after, extra = done.after, dict[str, str | None]()
    arm = after.newcomer
    if errand.why.approved_by:
        extra = {"approved_by": errand.why.approved_by}
    if done.restored is not None:
        arm, gone = after.answering, None if done.before is None else done.before.newcomer.release
        extra = {"withdrawn": gone if gone in after.withdrawn else None, "restored_sha": done.restored}
    book.append(
        ledger.record(
            "promotion" if done.restored is None else "rollback",
            ledger.now(),
            environment=errand.environment,
            run=errand.why.run,
            who=errand.why.who,
            reason=errand.why.reason,
            strategy=after.strategy,
            deploy_sha=done.sha,
            before_sha=done.before_sha,
            tag=arm.release,
            model_digest=arm.model,
            image=arm.image,
            **extra,
        )
    )


def _default(forge: Forge, listing: ledger.Listing, environment: Environment, state: State | None) -> str:
    staging = read(forge, "staging")
    if environment == "production":
        if staging is None:
            raise RatchetError("staging: nothing runs there\nname a release: --release model-v1")
        tag = staging.answering.release
    else:
        built = [entry["tag"] for entry in listing.releases() if entry.get("image")]
        if not built:
            raise RatchetError(f"{ledger.BRANCH}: no release has an image\ndispatch release.yml")
        tag = built[-1]
    withdrawn = {**(staging.withdrawn if staging else {}), **(state.withdrawn if state else {})}
    if tag in withdrawn:
        raise RatchetError(
            f"{tag}: was withdrawn: {withdrawn[tag][:300]}\n"
            f"if it is to come back in spite of that, name it: --release {tag}"
        )
    return str(tag)


def _arm(listing: ledger.Listing, tag: str) -> Arm:
    entry = listing.read(f"releases/{tag}.json")
    if entry is None:
        known = ", ".join(one["tag"] for one in listing.releases()[-5:]) or "none"
        raise RatchetError(f"--release {tag[:80]}: is not in the ledger; the newest releases there: {known}")
    if entry.get("image") is None:
        raise RatchetError(f"{tag}: was released without an image, so it cannot run\nonly later releases can")
    return Arm(entry["tag"], entry["model_digest"], entry["image"])


def _changed(state: State, copied: Mapping[str, bytes], held: Mapping[str, Entry]) -> dict[str, bytes | None]:
    """What has to be written and (None) removed, so that the branch holds a state and, where given, main's copies."""
    wanted = {"README.md": README.encode(), **copied, **files(state)}
    changed: dict[str, bytes | None] = {
        path: content
        for path, content in wanted.items()
        if path not in held or held[path].sha != ledger.blob_name(content)
    }
    gone = [path for path in held if path not in wanted and not path.startswith(PLACES)] if copied else []
    return {**changed, **dict.fromkeys(gone)}


def _commits(forge: Forge, head: str | None, environment: Environment) -> Iterator[Commit]:
    return forge.commits(head, _path(environment)) if head else iter(())


def _path(environment: Environment) -> str:
    return f"{environment}/state.json"


def _run_of(commit: Commit) -> int | None:
    found = _RUN.search(commit.message.partition("\n")[0])
    return int(found[1]) if found else None


def _lines(content: bytes) -> list[str]:
    return content.decode(errors="replace").splitlines(keepends=True)

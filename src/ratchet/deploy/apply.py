"""Make a host run what a state says, without a moment in which no arm answers.

    steps(running, state)       what has to be done, in its order; a function of values
    reconcile(engine, state)    does it, and says what it did and which arms are sick
    Watch(…).look()             follows the branch; an arm that falls sick leaves the traffic, and comes back when well

An arm gets traffic when it is ready and has loaded the model that the state names. One that is not is told of and
gets none; the others go on. Nothing of this is written to git: the branch says what is wanted, the host what is
possible.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ratchet import files
from ratchet.deploy import health, traefik
from ratchet.deploy.state import Arm, Environment, Slot, State, other, parse, render
from ratchet.errors import RatchetError

Sick = Mapping[Slot, str]

PATIENCE = 120.0
"""Seconds for an arm to start: an image is already there then, and a service takes a few seconds."""
RESPITE = 10.0
"""Seconds for an arm that is up already; after a host's restart it may still be loading."""
DRAIN = 1.0
"""Seconds between the last request to an arm and the signal to stop; what takes longer the arm finishes by itself."""
PAUSE = 0.2
"""Seconds between two looks at an arm that starts."""


class Engine(Protocol):
    """What runs arms on a host, and the Traefik in front of them."""

    def running(self) -> Mapping[Slot, str]:
        """Slot to image reference, of the arms that run."""

    def start(self, slot: Slot, image: str) -> None:
        """Start an arm in a slot that is free; it need not be ready yet."""

    def stop(self, slot: Slot) -> None:
        """Stop an arm after it has finished what it began."""

    def address(self, slot: Slot) -> str:
        """Where Traefik reaches a slot, "http://…"."""

    def probe(self, slot: Slot) -> str:
        """Where this process reaches a slot, "http://…"."""

    def route(self, text: str) -> bool:
        """Replace Traefik's dynamic configuration; when it returns, Traefik follows the new one. False: it was that."""

    def beside(self) -> str | None:
        """See to it that what looks on runs, too; why it does not. Nobody's request waits for it."""


@dataclass(frozen=True)
class Start:
    """Start an arm."""

    slot: Slot
    arm: Arm


@dataclass(frozen=True)
class Await:
    """Wait until an arm is ready, and has the model it must have; it is sick when it does not come."""

    slot: Slot
    arm: Arm
    is_new: bool = True


@dataclass(frozen=True)
class Route:
    """Let these slots answer, and no others; all that the state wants: in the shares it says."""

    slots: frozenset[Slot]


@dataclass(frozen=True)
class Drain:
    """Let an arm that gets no new requests finish."""

    slot: Slot


@dataclass(frozen=True)
class Stop:
    """Stop an arm."""

    slot: Slot


Step = Start | Await | Route | Drain | Stop


@dataclass(frozen=True)
class Report:
    """What a reconciliation did.

    Attributes:
        done: Sentences, in order; none when everything was as it should be.
        sick: Wanted arms that cannot answer, and why.
        held: Why the rest was left as it was; None when the state is reached, as far as the arms are well.
        traffic: Who answers now.
        behind: Why the state may be an old one; None when it is the branch's.
        beside: Why what looks on does not run; None when it does.
    """

    done: tuple[str, ...]
    sick: Sick
    held: str | None
    traffic: str
    behind: str | None = None
    beside: str | None = None

    @property
    def is_well(self) -> bool:
        """Whether everything runs as the branch says."""
        return not self.sick and self.held is None and self.behind is None and self.beside is None

    def lines(self) -> list[str]:
        """For a person: what was done, and how it is now."""
        return [*self.done, *self.lasting()]

    def lasting(self) -> list[str]:
        """How it is now."""
        sick = [f"{slot}: {reason}" for slot, reason in self.sick.items()]
        faults = [fault for fault in (self.behind, self.held, self.beside) if fault]
        return [*sick, *faults, f"traffic: {self.traffic}"]


def steps(running: Mapping[Slot, str], desired: State, answering: Slot | None = None) -> list[Step]:
    """What has to be done so that a host runs a state, in an order in which somebody always answers.

    An arm that must change is taken out of the traffic first, while the other slot answers. Where that is the champion,
    whoever answers in the other slot goes on; else that slot is given an arm that may answer everything: the one that
    is warm, or the champion itself, for the meantime. A challenger gets its share, never more.

    Args:
        running: Slot to image, of what runs.
        desired: What must run.
        answering: The champion's slot of the state that was reached last, where that is known.
    """
    wanted, spare = desired.arms, desired.spare
    plan, beside = _champion(running, desired, answering)
    if spare in wanted and beside != wanted[spare].image:
        plan += _put(spare, wanted[spare], beside)
    plan.append(Route(frozenset(wanted)))
    return plan if spare in wanted or beside is None else [*plan, Drain(spare), Stop(spare)]


def reconcile(
    engine: Engine,
    desired: State,
    answering: Slot | None = None,
    out: Sick | None = None,
    *,
    patience: float = PATIENCE,
    respite: float = RESPITE,
) -> Report:
    """Make an engine run a state, as far as its arms are well.

    Args:
        engine: What runs arms.
        desired: What must run.
        answering: See `steps`.
        out: Arms that run and are to get no traffic, and why.
        patience: Seconds for an arm to start.
        respite: Seconds for an arm that runs already to be ready.

    Raises:
        RatchetError: The engine itself fails.
    """
    work = _Work(engine, desired, dict(out or {}), {True: patience, False: respite})
    for step in steps(engine.running(), desired, answering):
        work.do(step)
        if work.held is not None:
            break
    return Report(tuple(work.done), work.sick, work.held, work.traffic, beside=engine.beside())


@dataclass
class _Work:
    """The steps of one reconciliation, as far as they are done."""

    engine: Engine
    desired: State
    sick: dict[Slot, str]
    patience: Mapping[bool, float]
    done: list[str] = field(default_factory=list)
    held: str | None = None
    traffic: str = "as before"
    seen: dict[Slot, Arm] = field(default_factory=dict)
    """What was found or put in a slot; of another one only the image is known."""

    def do(self, step: Step) -> None:
        """Do one step."""
        match step:
            case Start():
                self._start(step.slot, step.arm)
            case Await():
                self.seen[step.slot] = step.arm
                self._await(step)
            case Route():
                self._route(step.slots)
            case Drain():
                time.sleep(DRAIN)
            case Stop():
                self.engine.stop(step.slot)
                self.done.append(f"{step.slot}: stopped")

    def _start(self, slot: Slot, arm: Arm) -> None:
        self.sick.pop(slot, None)
        try:
            self.engine.start(slot, arm.image)
        except RatchetError as error:
            self.sick[slot] = f"cannot be started: {error}"
            return
        self.done.append(f"{slot}: started {arm.release}, {arm.image}")

    def _await(self, step: Await) -> None:
        if step.slot in self.sick:
            return
        begin, patience = time.monotonic(), self.patience[step.is_new]
        while fault := self._fault(step):
            if time.monotonic() - begin >= patience or not self._runs(step.slot):
                self.sick[step.slot] = f"{step.arm.release} {fault}"
                return
            time.sleep(PAUSE)
        if step.is_new:
            self.done.append(f"{step.slot}: {step.arm.release} is ready after {time.monotonic() - begin:.1f} s")

    def _fault(self, step: Await) -> str | None:
        try:
            return health.look(self.engine.probe(step.slot), step.arm)
        except RatchetError as error:  # it is between two lives, and has no address
            return f"cannot be asked: {error}"

    def _runs(self, slot: Slot) -> bool:
        return slot in self.engine.running()

    def _route(self, slots: Collection[Slot]) -> None:
        fit = {slot for slot in slots if slot not in self.sick}
        others = sorted(slot for slot in self.engine.running() if slot not in slots)
        if not fit and others:
            self.held = f"held: nothing is well but {' and '.join(others)}, so it goes on answering"
            return
        ill = set(slots) - fit if fit else set()  # when no arm is well, an error beats nothing
        is_all = {slot: self.seen.get(slot) for slot in slots} == self.desired.arms
        state = self.desired if is_all else self._alone(slots)
        self.traffic = _told(state, ill) + ("" if fit else "; it is sick, and there is no other")
        if self.engine.route(traefik.render(state, self.engine.address, ill)):
            self.done.append(f"routes: {self.traffic}")

    def _alone(self, slots: Collection[Slot]) -> State:
        """A state in which one slot answers everything, whatever is in it."""
        (slot,) = slots
        arm = self.seen.get(slot, Arm("what was there", "", ""))
        return State(self.desired.environment, "all-at-once", {slot: arm, other(slot): None}, slot)


@dataclass
class Watch:
    """A host that follows the branch.

    Attributes:
        engine: What runs arms.
        folder: A clone of the branch `deploy`.
        environment: Which one the host is.
        memory: A file of the host's own that says what was reached last.
        guard: Counts errors.
        patience: Seconds for an arm to start.
    """

    engine: Engine
    folder: Path
    environment: Environment
    memory: Path
    guard: health.Guard = field(default_factory=health.Guard)
    patience: float = PATIENCE

    def look(self, respite: float = 0.0) -> Report:
        """Pull, reconcile with what the branch says now, and look how the arms are doing.

        Args:
            respite: Seconds for an arm that runs already to be ready.

        Raises:
            RatchetError: There is no state, it contradicts itself, or the engine fails.
        """
        behind = pull(self.folder)
        desired = read(self.folder, self.environment)
        self._count(desired)
        out = self.guard.out(time.monotonic())
        report = reconcile(self.engine, desired, self._champion(), out, patience=self.patience, respite=respite)
        if report.held is None and desired.champion not in report.sick:
            files.write_text(self.memory, render(desired))
        return replace(report, behind=behind)

    def _count(self, desired: State) -> None:
        running = self.engine.running()
        for slot, arm in desired.arms.items():
            if running.get(slot) == arm.image:
                self.guard.see(slot, arm.image, self._counted(slot), time.monotonic())

    def _counted(self, slot: Slot) -> health.Counted | None:
        try:
            return health.counted(self.engine.probe(slot))
        except RatchetError:  # it has no address just now; whether it is ready is asked elsewhere
            return None

    def _champion(self) -> Slot | None:
        if not self.memory.exists():
            return None
        return parse(self.memory.read_bytes(), str(self.memory)).champion


def read(folder: Path, environment: Environment) -> State:
    """What an environment must run, from a clone of the branch `deploy`.

    Raises:
        RatchetError: Nothing is deployed there, or it is no state of this environment.
    """
    path = folder / environment / "state.json"
    if not path.is_file():
        raise RatchetError(f"{path}: does not exist\nname a clone of the branch `deploy`, once something is deployed")
    found = parse(path.read_bytes(), str(path))
    if found.environment != environment:
        raise RatchetError(f"{path}: is the state of {found.environment}, not of {environment}")
    return found


def pull(folder: Path) -> str | None:
    """Bring a clone up to its branch; None, or why that failed. A folder that is no clone is what it is."""
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "pull", "--quiet", "--ff-only"]
    silent = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}  # nobody is there to be asked for a password
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=silent, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        return f"{folder}: git pull takes longer than a minute; what is there is applied"
    return (
        f"{folder}: git pull fails: {done.stderr.strip()[:300]}; what is there is applied" if done.returncode else None
    )


def _champion(running: Mapping[Slot, str], desired: State, last: Slot | None) -> tuple[list[Step], str | None]:
    """What brings the champion up, and the image that the other slot holds then."""
    wanted, slot, spare = desired.arms, desired.champion, desired.spare
    if running.get(slot, desired.answering.image) != desired.answering.image:
        plan = _put(slot, desired.answering, running[slot])
        if _answering(running, desired, last) == spare:
            return plan, running[spare]
        meantime = desired.answering if desired.warm is None else wanted[spare]
        return _put(spare, meantime, running.get(spare)) + plan, meantime.image
    fresh = [slot for slot in wanted if slot not in running]
    looked_at = [slot for slot, arm in wanted.items() if running.get(slot, arm.image) == arm.image]
    waits = [Await(slot, wanted[slot], is_new=slot in fresh) for slot in looked_at]
    beside = wanted[spare].image if spare in fresh else running.get(spare)
    return [*(Start(slot, wanted[slot]) for slot in fresh), *waits], beside


def _answering(running: Mapping[Slot, str], desired: State, last: Slot | None) -> Slot:
    """Which of the arms that run answers, where the champion's slot must change: the last champion, if that is known.

    Otherwise the one in the other slot, since the champion's is then new at once; unless it is only a challenger.
    """
    if last is not None and last in running:
        return last
    spare = desired.spare
    is_challenger = desired.challenger is not None and running.get(spare) == desired.arms[spare].image
    return desired.champion if is_challenger or spare not in running else spare


def _put(slot: Slot, arm: Arm, held: str | None) -> list[Step]:
    """What brings an arm into a slot, which holds this image now, while the other slot answers."""
    if held == arm.image:
        return [Await(slot, arm, is_new=False)]
    clear: list[Step] = [Route(frozenset({other(slot)})), Drain(slot), Stop(slot)] if held else []
    return [*clear, Start(slot, arm), Await(slot, arm)]


def _told(state: State, ill: Collection[Slot]) -> str:
    """Who answers what, in words."""
    well = {slot: weight for slot, weight in state.weights.items() if weight and slot not in ill}
    if not well:
        well = {state.warm if state.warm and state.warm not in ill else state.champion: 100}
    scale = 100 / sum(well.values())
    shares = [f"{slot} ({state.arms[slot].release}) {weight * scale:.0f} %" for slot, weight in well.items()]
    if state.mirror and state.challenger not in ill:
        shares.append(f"copies of {state.mirror} % to {state.challenger} ({state.newcomer.release})")
    return ", ".join(shares)

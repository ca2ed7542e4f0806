"""What a pull request costs beyond training: from the event to the comment and the status, step by step.

    python bench/pull_request.py                     # about twenty minutes on two idle cores
    python bench/pull_request.py --skip-recipe --repeat 1

Two repositories with the real flights, each on a local forge with act: one has the workflows of this project, the other
has bench/recipe.yml, the recipe of CML's README for DVC. In turns each gets a pull request that changes
`model.learning_rate`, and one that only adds a page of documentation. Prints Markdown: medians, and ratios of turns.
"""

from __future__ import annotations

import argparse
import ensurepip
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import project
from ratchet.errors import told_to_the_user
from ratchet.settle import MODEL
from rehearsal.desk import Change, Desk
from rehearsal.forge import Forge, Run
from rehearsal.runner import Runner

RECIPE = Path(__file__).with_name("recipe.yml")
GLANCE = 0.05  # seconds between two looks at a forge
RATE = 0.06  # main's is 0.05
TRAINING, DOCUMENTATION = "learning rate", "documentation"
KINDS = (TRAINING, DOCUMENTATION)
STAGES = "the stages' own work"
INSTALL = "recipe: pip install"
ENVIRONMENT = (": setup", ": setup-python", ": pip install")  # ends of the rows that make one

Fact = tuple[object, ...]
Lines = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Leg:
    """One run on the way from the event to its end.

    Attributes:
        name: Of the workflow.
        began: When it was no longer queued, in seconds since the event.
        ended: When what it was waited for was there.
        steps: Name and seconds, in their order; a name may come twice.
    """

    name: str
    began: float
    ended: float
    steps: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Measured:
    """One pull request.

    Attributes:
        rows: Seconds by what they were spent on; in order, and all of the time from the event to the last thing.
        comment: Seconds from the event until the comment said what it says in the end.
        headline: What that begins with.
    """

    rows: Mapping[str, float]
    comment: float
    headline: str

    @property
    def seconds(self) -> float:
        """From the event to the last thing: the status, or of the recipe the comment."""
        return sum(self.rows.values())

    @property
    def stages(self) -> float:
        """Of the pipeline's own work."""
        return self.rows[STAGES]

    @property
    def bare(self) -> float:
        """Until the comment, without what makes environments."""
        return self.comment - sum(seconds for row, seconds in self.rows.items() if row.endswith(ENVIRONMENT))

    @property
    def beyond(self) -> float:
        """Everything but that."""
        return self.seconds - self.stages


# --- arithmetic ------------------------------------------------------------------------------------------------------


def breakdown(legs: Sequence[Leg]) -> dict[str, float]:
    """What the time until the end of the last leg went to; the values sum to it."""
    rows: dict[str, float] = {}
    before = 0.0
    for leg in legs:
        rows[f"{leg.name}: queue"] = leg.began - before
        for name, seconds in leg.steps:
            row = name if name == STAGES else f"{leg.name}: {name}"
            rows[row] = rows.get(row, 0.0) + seconds
        inside = sum(seconds for _, seconds in leg.steps)
        rows[f"{leg.name}: around its steps"] = leg.ended - leg.began - inside
        before = leg.ended
    return rows


def split(name: str, seconds: float, lines: Lines, stages: float | None = None) -> list[tuple[str, float]]:
    """Take a step that runs the pipeline apart: before its stages, the stages, after them.

    Args:
        name: Of the step.
        seconds: That it took.
        lines: Of its log, with times; the first is its beginning.
        stages: Seconds of the stages where they are known; otherwise they are read from the log.
    """
    ran = [at for at, text in lines if "Running stage '" in text]
    if not ran:  # nothing to train
        return [(f"{name}, before the stages", seconds), (STAGES, 0.0), (f"{name}, after them", 0.0)]
    own = stage_seconds(lines) if stages is None else stages
    before = ran[0] - lines[0][0]
    return [(f"{name}, before the stages", before), (STAGES, own), (f"{name}, after them", seconds - before - own)]


def stage_seconds(lines: Lines) -> float:
    """Seconds of the stages that DVC ran: each until the next one, or until DVC is done."""
    marks = [(at, text) for at, text in lines if re.search(r"Running stage '|Stage '|Use `dvc push`", text)]
    ends = [at for at, _ in marks[1:]] + [lines[-1][0]]
    return sum(end - at for (at, text), end in zip(marks, ends, strict=True) if "Running stage '" in text)


def short(step: str) -> str:
    """A step as a table can show it: of `Run actions/cache/restore@0123` only `restore`."""
    found = re.fullmatch(r"Run (?:\S*/)?([\w-]+)(?:@\S+)?", step)
    return found[1] if found else step


def medians(turns: Sequence[Measured]) -> dict[str, float]:
    """The median of each row."""
    return {row: statistics.median(turn.rows.get(row, 0.0) for turn in turns) for row in turns[0].rows}


# --- watching --------------------------------------------------------------------------------------------------------


class Stopwatch:
    """Notes when a fact is first seen on a forge, whose own times are whole seconds, as GitHub's are.

    Args:
        forge: Watched from `with` to its end.
    """

    def __init__(self, forge: Forge) -> None:
        self.seen: dict[Fact, float] = {}
        self.lines: dict[int, list[tuple[float, str]]] = {}
        self._forge = forge
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Stopwatch:
        """Begin."""
        self._known = {run.id for run in self._forge.state.runs}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, after a last look."""
        self._is_over.set()
        self._thread.join()

    def runs(self) -> list[Run]:
        """Those that began since then."""
        return [run for run in list(self._forge.state.runs) if run.id not in self._known]

    def _watch(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._is_over.wait(GLANCE)
            now = time.perf_counter()
            for fact in self._facts():
                self.seen.setdefault(fact, now)
            for run in self.runs():
                self._read(run, now)

    def _facts(self) -> Iterator[Fact]:
        state = self._forge.state
        yield from (("pull", pull.number) for pull in list(state.pulls))
        yield from (("run", run.id, run.status) for run in self.runs())
        yield from (("comment", one.number, one.body) for one in list(state.comments))
        yield from (("status", one.id) for one in list(state.statuses))

    def _read(self, run: Run, now: float) -> None:
        if run.log:
            lines = self.lines.setdefault(run.id, [])
            text = Path(run.log).read_text(encoding="utf-8", errors="replace")
            lines += [(now, line) for line in text.split("\n")[len(lines) : -1]]  # the last is not whole yet


def propose(desk: Desk, kind: str, turn: str) -> tuple[Stopwatch, int]:
    """Open a pull request, and watch until nothing runs any more; its number."""
    changes: dict[str, Mapping[str, Change]] = {
        TRAINING: {"params.yaml": {"model.learning_rate": RATE}},
        DOCUMENTATION: {"docs/bench.md": f"Turn {turn}.\n".encode()},
    }
    with Stopwatch(desk.forge) as watch:
        number = desk.propose(f"{kind}, {turn}", changes[kind], f"{kind.replace(' ', '-')}-{turn}")
        desk.wait()
    for run in watch.runs():
        if run.conclusion not in {"success", "skipped"}:
            sys.exit(f"{run.name} of #{number}: {run.conclusion}\n{Path(run.log).read_text('utf-8')[-4000:]}")
    return watch, number


def ours(desk: Desk, kind: str, turn: str) -> Measured:
    """A pull request where the workflows are ours: until the last status of the model's gate."""
    watch, number = propose(desk, kind, turn)
    event, state = watch.seen["pull", number], desk.forge.state
    report = next(run for run in watch.runs() if run.path.endswith("/report.yml"))
    verdict = next(run for run in watch.runs() if follows(run, report))
    shas = {one.head_sha for one in state.pulls if one.number == number} | {report.head_sha}
    gate = max(watch.seen["status", one.id] for one in state.statuses if one.context == MODEL and one.sha in shas)
    evidence = desk.forge.artifact(report, "evidence")
    with zipfile.ZipFile(evidence.path if evidence else "") as archive:
        trained = sum(stage["seconds"] for stage in json.loads(archive.read("run.json"))["stages"])
    legs = [
        leg(watch, report, event, "Train and score", trained),
        leg(watch, verdict, event, until=gate),
    ]
    at, body = said(watch, number)
    return Measured(breakdown(legs), at - event, body.splitlines()[1])


def recipe(desk: Desk, kind: str, turn: str) -> Measured:
    """A pull request where the workflow is that of CML's README: until its comment."""
    watch, number = propose(desk, kind, turn)
    event = watch.seen["pull", number]
    (run,) = watch.runs()
    at, body = said(watch, number)
    legs = [leg(watch, run, event, "dvc repro", until=at)]
    return Measured(breakdown(legs), at - event, body.splitlines()[0])


def follows(run: Run, report: Run) -> bool:
    """It is the run that the end of the report started."""
    about = run.payload.get("workflow_run") or {}
    return about.get("id") == report.id and run.payload.get("action") == "completed"


def said(watch: Stopwatch, number: int) -> tuple[float, str]:
    """When the comments of a pull request changed for the last time, and to what."""
    return max((at, str(fact[2])) for fact, at in watch.seen.items() if fact[:2] == ("comment", number))


def leg(
    watch: Stopwatch,
    run: Run,
    event: float,
    pipeline: str = "",
    stages: float | None = None,
    until: float | None = None,
) -> Leg:
    """A run as a leg; the step that is called `pipeline` is taken apart."""
    steps: list[tuple[str, float]] = []
    for job in run.jobs:
        for step in job.steps:
            name = short(step["name"]) if len(run.jobs) == 1 else f"{job.name}: {short(step['name'])}"
            if step["name"] == pipeline:
                steps += split(name, step["seconds"], step_lines(watch.lines[run.id], pipeline), stages)
            else:
                steps.append((name, step["seconds"]))
    ended = until if until is not None else watch.seen["run", run.id, "completed"]
    return Leg(run.name, watch.seen["run", run.id, "in_progress"] - event, ended - event, steps)


def step_lines(lines: Lines, step: str) -> Lines:
    """The part of a run's log that a step wrote."""
    begins = [place for place, (_, text) in enumerate(lines) if text.startswith("  step: ")]
    first = next(place for place in begins if lines[place][1] == f"  step: {step}")
    after = [place for place in begins if place > first]
    return lines[first : after[0]] if after else lines[first:]


# --- the two repositories --------------------------------------------------------------------------------------------


class FreshDesk(Desk):
    """A desk whose jobs each install an environment of their own, as on GitHub, instead of borrowing ours."""

    def __init__(self, folder: Path, repository: str) -> None:
        super().__init__(folder, repository)
        self.runner.stop()
        self.runner = Runner(self.forge, workers=2, environment=None)


def found_ours(desk: Desk, scratch: Path) -> None:
    """Its first push makes the first release, which every pull request is held against."""
    made = project.flights(scratch / "ours")
    # ci.yml would compete for the two cores; GitHub gives it machines of its own.
    (made.root / ".github" / "workflows" / "ci.yml").unlink()
    desk.found(made.root)
    desk.wait()
    desk.protect()
    print(f"Made {desk.get('/releases/latest')['tag_name']}", file=sys.stderr)


def found_recipe(desk: Desk, scratch: Path) -> None:
    """Its main has a dvc.lock, and its data lie in a DVC remote, here a folder."""
    made = project.flights(scratch / "recipe")
    workflows = made.root / ".github" / "workflows"
    for path in workflows.iterdir():
        path.unlink()
    (workflows / "recipe.yml").write_bytes(RECIPE.read_bytes())
    export = ["uv", "export", "--frozen", "--quiet", "--no-emit-project", "--no-hashes", "--only-group", "pipeline"]
    exported = subprocess.run(export, cwd=made.root, capture_output=True, text=True, check=False)
    done(exported.returncode, exported.stderr)
    (made.root / "requirements.txt").write_text(f"--editable .\n{exported.stdout}")
    for command in (
        ("remote", "modify", "local", "url", str(scratch / "remote")),
        ("repro",),
        ("push", "--quiet", "--run-cache"),
    ):
        ended = made.dvc(*command)
        done(ended.code, ended.out)
    desk.found(made.root)
    desk.wait()


def done(code: int, said: str) -> None:
    """Stop where a program has failed."""
    if code:
        sys.exit(f"cannot found the repository of the recipe:\n{said}")


# --- the report ------------------------------------------------------------------------------------------------------

Turns = Mapping[str, list[Measured]]


def print_all(mine: Turns, theirs: Turns | None, cold: str) -> None:
    """Ratios first."""
    sides = {"ours": mine, **({"recipe": theirs} if theirs else {})}
    ratios = [(f"beyond the stages / the stages, {name}", beyond(turns), "") for name, turns in sides.items()]
    if theirs:
        ratios += [compared("event to comment, ours / recipe", mine, theirs, lambda turn: turn.comment)]
        ratios += [compared("the same without making environments", mine, theirs, lambda turn: turn.bare)]
    table(f"Ratios, medians of {len(mine[TRAINING])} turns (lowest to highest)", ("", *KINDS), ratios)
    for kind in KINDS:
        table(
            f"Seconds, {kind}",
            ("", "the stages", "beyond them", "event to comment", "event to status"),
            [(name, *totals(turns[kind], has_status=name == "ours")) for name, turns in sides.items()],
        )
    for name, turns in sides.items():
        columns = [medians(turns[kind]) for kind in KINDS]
        table(
            f"Where the seconds go: {name}",
            ("", *KINDS),
            [
                (row, *(f"{column.get(row, 0.0):.1f}" for column in columns))
                for row in columns[0]
                if any(column.get(row, 0.0) >= 0.05 for column in columns)
            ],
        )
    print(notes(mine, theirs, cold))


def beyond(turns: Turns) -> str:
    """Of the pull request that trains, as a ratio to the stages."""
    return spread([turn.beyond / turn.stages for turn in turns[TRAINING]])


def compared(title: str, mine: Turns, theirs: Turns, value: Callable[[Measured], float]) -> tuple[str, str, str]:
    """Ours as a ratio to theirs, turn by turn, for both kinds."""
    training, documentation = (
        spread([value(a) / value(b) for a, b in zip(mine[kind], theirs[kind], strict=True)]) for kind in KINDS
    )
    return title, training, documentation


def spread(ratios: Sequence[float]) -> str:
    """The median, and between what it lies."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def totals(turns: Sequence[Measured], *, has_status: bool) -> tuple[str, ...]:
    """Medians of the stages, beyond them, until the comment, until the status."""
    wanted: Iterable[Callable[[Measured], float]] = (
        lambda turn: turn.stages,
        lambda turn: turn.beyond,
        lambda turn: turn.comment,
        lambda turn: turn.seconds,
    )
    values = [f"{statistics.median(value(turn) for turn in turns):.1f}" for value in wanted]
    return (*values[:3], values[3] if has_status else "sets none")


def notes(mine: Turns, theirs: Turns | None, cold: str) -> str:
    """What the figures include, and what they do not."""
    told = [f"The comment begins, for {kind}: {mine[kind][0].headline}" for kind in KINDS]
    told += [
        "Rows are medians, so a column need not sum to its total.",
        "Ours: each of the three jobs makes a new environment with uv from a filled cache, which on GitHub"
        " comes from main's. The run of verdict.yml that creates the comment goes on beside report.yml, on"
        " the same cores; ci.yml is left out, since on GitHub it has machines of its own.",
        "Ours does what the recipe does not: it scores the champion on the same rows, checks the evidence, judges it in"
        " a run of its own, makes report and card, keeps the record, commits dvc.lock, and sets the status.",
        "The stages' own work is the same, and takes longer in ours: uv leaves it to the first import to compile Python"
        " files, which pip does when it installs, and verdict.yml runs beside it.",
        "`queue` and `around its steps` are act, the forge, and the removal of what a run has left. GitHub takes"
        " seconds of its own to find a machine, for each of our three jobs and for the recipe's one.",
    ]
    if theirs:
        told += [
            f"The recipe: pip {ensurepip.version()}, with what its cache kept of the run before, installs the locked"
            " packages of the pipeline, as our jobs do. The"
            f" README's recipe keeps no cache between runs; {cold}.",
            "The recipe leaves out the README's plots; its DVC remote is a folder, not S3; its setup-python makes an"
            " environment, while GitHub's finds a Python that is there.",
        ]
    return "\n".join(f"- {text}" for text in told)


def table(title: str, header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a Markdown table under a heading; all columns but the first to the right."""
    print(f"\n### {title}\n")
    for cells in (header, ["---", *["---:"] * (len(header) - 1)], *lines):
        print(f"| {' | '.join(cells)} |")
    print(flush=True)


def main() -> None:
    """Found, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="turns; three by default")
    parser.add_argument("--skip-recipe", action="store_true", help="measure ours alone")
    options = parser.parse_args()
    # Threads that wait for others sleep, as under `make`: on a busy machine those that spin cost ten times the work.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="bench-pull-request-")))
        mine = stack.enter_context(FreshDesk(scratch / "forge-ours", "ada/flights"))
        found_ours(mine, scratch)
        theirs, cold = None, ""
        if not options.skip_recipe:
            theirs = stack.enter_context(FreshDesk(scratch / "forge-recipe", "ada/recipe"))
            found_recipe(theirs, scratch)
            cold = first(theirs)
        print_all(*in_turns(mine, theirs, options.repeat), cold)


def first(desk: Desk) -> str:
    """The recipe's first run, which fills pip's cache: what the cache was, and what installing took."""
    cache = Path(os.environ.get("PIP_CACHE_DIR", Path.home() / ".cache" / "pip"))
    state = "filled" if cache.is_dir() and any(cache.iterdir()) else "empty"
    seconds = recipe(desk, DOCUMENTATION, "0").rows[INSTALL]
    return f"with the cache {state}, as it was found, and the package index as near as here, pip took {seconds:.1f} s"


def in_turns(mine: Desk, theirs: Desk | None, repeat: int) -> tuple[Turns, Turns | None]:
    """Every kind, every side, `repeat` times; who is first changes from turn to turn."""
    sides: list[tuple[str, Desk, Callable[[Desk, str, str], Measured]]] = [("ours", mine, ours)]
    sides += [("recipe", theirs, recipe)] if theirs else []
    found: dict[str, dict[str, list[Measured]]] = {name: {kind: [] for kind in KINDS} for name, _, _ in sides}
    for turn in range(1, repeat + 1):
        for kind in KINDS:
            for name, desk, measure in sides if turn % 2 else reversed(sides):
                one = measure(desk, kind, str(turn))
                found[name][kind].append(one)
                print(f"turn {turn}, {kind}, {name}: {one.seconds:.1f} s", file=sys.stderr)
    return found["ours"], found.get("recipe")


if __name__ == "__main__":
    with told_to_the_user():
        main()

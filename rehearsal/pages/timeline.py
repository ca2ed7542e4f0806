"""All runs as bars over time; times in which nothing ran are cut short."""

from __future__ import annotations

import bisect
import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from rehearsal.forge import workflows
from rehearsal.forge.state import now
from rehearsal.pages.layout import View, action, box, button, empty, mark, page, pill
from rehearsal.pages.markup import Child, Html, join, tag, text
from rehearsal.pages.words import duration, parsed, seconds_between

if TYPE_CHECKING:
    from rehearsal.forge import Run
    from rehearsal.forge.workflows import Workflow

_GAP = 20.0  # seconds: a longer silence is cut
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MOST_LINES = 12
_LABEL = 0.12  # of the width: what a time of day needs
_UNITS = 1000.0  # width of the picture, in its own units
_TONES = {"success": "good", "failure": "bad", "timed_out": "bad", "startup_failure": "bad"}
LIVE = frozenset({"queued", "in_progress"})


@dataclass(frozen=True)
class Stretch:
    """A time in which something ran: its beginning and end in seconds, and how far in of the whole it begins."""

    start: float
    end: float
    offset: float


@dataclass(frozen=True)
class Axis:
    """Places on a line for times, with silences cut out.

    Attributes:
        stretches: In their order.
        width: What all of them and the cuts between them take, in seconds.
        cut: What a cut takes, in seconds.
    """

    stretches: tuple[Stretch, ...]
    width: float
    cut: float

    def place(self, moment: float) -> float:
        """Where a time is, from 0 to 1."""
        starts = [one.start for one in self.stretches]
        stretch = self.stretches[max(bisect.bisect_right(starts, moment) - 1, 0)]
        return (stretch.offset + min(max(moment - stretch.start, 0.0), stretch.end - stretch.start)) / self.width

    @property
    def step(self) -> int:
        """Seconds between two lines of the grid."""
        busy = sum(one.end - one.start for one in self.stretches)
        return next((step for step in _STEPS if busy / step <= _MOST_LINES), _STEPS[-1])

    def lines(self) -> list[float]:
        """Places of the grid: one line for each step since a stretch began."""
        step = self.step
        counts = [(one.offset, int((one.end - one.start) // step)) for one in self.stretches]
        return [(offset + step * n) / self.width for offset, count in counts for n in range(1, count + 1)]

    def labels(self) -> list[tuple[float, float]]:
        """When a stretch began, in seconds, and its place; where there is room for it."""
        found: list[tuple[float, float]] = []
        for one in self.stretches:
            place = one.offset / self.width
            if not found or place - found[-1][1] >= _LABEL:
                found.append((one.start, place))
        return found

    def cuts(self) -> list[tuple[float, float]]:
        """Where the line was cut: from, to."""
        return [((two.offset - self.cut) / self.width, two.offset / self.width) for _, two in pairwise(self.stretches)]


def axis(spans: Iterable[tuple[float, float]]) -> Axis:
    """An axis for spans of time in seconds, at least one."""
    merged: list[list[float]] = []
    for start, end in sorted(spans):
        if merged and start - merged[-1][1] <= _GAP:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    busy = sum(end - start for start, end in merged)
    cut = max(busy * 0.02, 0.5)
    stretches, offset = [], 0.0
    for start, end in merged:
        stretches.append(Stretch(start, end, offset))
        offset += end - start + cut
    return Axis(tuple(stretches), max(offset - cut, 1.0), cut)


def render(view: View, workflow: str | None = None) -> Html:
    """The page of all runs, or of one workflow (a file name)."""
    runs = [run for run in view.state.runs_of(view.name) if workflow in {None, PurePosixPath(run.path).name}]
    title = next((run.name for run in reversed(runs)), PurePosixPath(workflow).stem) if workflow else "Runs"
    lanes = bars(view, runs[::-1]) if runs else empty("Nothing ran yet.")
    body = [
        tag("h1", title),
        _workflows(view, workflow),
        _dispatch(view, workflow) if workflow else None,
        tag("section.box", lanes),
    ]
    live = any(run.status in LIVE for run in runs)
    return page(title, body, view, "runs", refresh=5 if live else None)


def line(view: View, run: Run) -> Html:
    """A run in one line of a list."""
    took = duration(seconds_between(run.started_at, run.completed_at))
    link = tag("a", run.name, href=view.path("actions", "runs", run.id))
    return tag("li", mark(run.status, run.conclusion), tag("span.grow", link), tag("span.quiet.small", took))


def subject(view: View, run: Run) -> Html:
    """What a run is about: its event, its branch or pull request, its commit."""
    facts: list[Child] = [run.event.replace("_", " ")]
    number = pull_of(view, run)
    if number:
        facts.append(view.pull_link(number))
    if run.head_branch:
        facts.append(view.branch(run.head_branch, run.head_repository))
    return join([*facts, view.commit(run.head_sha)], " · ")


def pull_of(view: View, run: Run) -> int | None:
    """The pull request that a run belongs to, also from a fork."""
    if run.pull_requests:
        return run.pull_requests[0]
    payload = run.payload.get("pull_request") or {}
    if payload.get("number"):
        return int(payload["number"])
    if not run.head_branch or (run.head_branch, run.head_repository) == (view.repository.default_branch, view.name):
        return None
    found = (one for one in view.state.pulls if one.repository == view.name)
    head = (run.head_branch, run.head_repository)
    return next((one.number for one in found if (one.head_ref, one.head_repository) == head), None)


def span(run: Run) -> tuple[float, float]:
    """From when it was asked for until it ended, or until now; in seconds."""
    start = parsed(run.created_at).timestamp()
    end = parsed(run.completed_at or (now() if run.status in LIVE else run.started_at or run.created_at)).timestamp()
    return start, max(end, start + 0.4)


def bar(line: Axis, spans: Sequence[tuple[float, float, str]]) -> Html:
    """One lane: bars with their tones, behind them the grid."""
    grid = "".join(f'<line x1="{x * _UNITS:.1f}" x2="{x * _UNITS:.1f}" y1="0" y2="10"/>' for x in line.lines())
    cuts = "".join(
        f'<rect class="gap" x="{a * _UNITS:.1f}" width="{(b - a) * _UNITS:.1f}" y="0" height="10"/>'
        for a, b in line.cuts()
    )
    shades = "".join(
        f'<rect class="{tone}" x="{(x := line.place(start) * _UNITS):.1f}" y="2.6" height="4.8" rx="1.2" ry="1.2" '
        f'width="{max(line.place(end) * _UNITS - x, 2.5):.1f}"/>'
        for start, end, tone in spans
    )
    picture = (
        f'<svg viewBox="0 0 {_UNITS:.0f} 10" preserveAspectRatio="none" aria-hidden="true">{cuts}{grid}{shades}</svg>'
    )
    return tag("div.lane", Html(picture))


def head(words: str, line: Axis) -> Html:
    """What stands above the lanes."""
    clock = ((datetime.datetime.fromtimestamp(at, datetime.UTC), x) for at, x in line.labels())
    labels = (tag("span", f"{time:%H:%M:%S}", style=f"left:{x * 100:.2f}%") for time, x in clock)
    left = tag("div.axis", f"{words}; a line every {duration(line.step)}")
    return text([left, tag("div.lane.axis", labels), tag("div.axis.numeric", "took")])


def tone(status: str, conclusion: str | None) -> str:
    """The colour of a bar."""
    return "wait" if status != "completed" else _TONES.get(conclusion or "", "none")


def bars(view: View, runs: Sequence[Run]) -> Html:
    """Runs, one a lane, in the given order; at least one."""
    line = axis(map(span, runs))
    rows = (_row(view, run, line) for run in runs)
    return tag("div.bar-table", head("newest first", line), rows)


def _row(view: View, run: Run, line: Axis) -> Html:
    start, end = span(run)
    begun = parsed(run.started_at).timestamp() if run.started_at else end
    shades = [(start, begun, "queued"), (begun, end, tone(run.status, run.conclusion))]
    again = tag("span.tag", f"attempt {run.attempt}") if run.attempt > 1 else None
    link = tag("a.main", run.name, href=view.path("actions", "runs", run.id), title=run.display_title)
    what = tag(
        "div.what",
        mark(run.status, run.conclusion),
        tag("div", link, " ", tag("span.quiet", f"#{run.number} "), again, tag("div.quiet.small", subject(view, run))),
    )
    took = tag("div.numeric.quiet", duration(seconds_between(run.started_at, run.completed_at)))
    return text([what, bar(line, [one for one in shades if one[1] > one[0]]), took])


def _workflows(view: View, current: str | None) -> Html:
    found = {PurePosixPath(run.path).name: run.name for run in view.state.runs_of(view.name)}
    found |= {PurePosixPath(one.path).name: one.name for one in known(view)}
    everything = tag("a", "All", href=view.path("actions"), aria_current=None if current else "page")
    links = [
        tag("a", name, href=view.path("actions", "workflows", file), aria_current="page" if file == current else None)
        for file, name in sorted(found.items(), key=lambda item: item[1].lower())
    ]
    return tag("nav.tabs.inner", everything, links, aria_label="Workflows")


def known(view: View) -> list[Workflow]:
    """The workflows of the default branch."""
    sha = view.git.branch(view.repository.default_branch)
    return workflows.at(view.git, sha) if sha else []


def _dispatch(view: View, workflow: str) -> Html | None:
    """What starts a workflow by hand, with its inputs."""
    found = next((one for one in known(view) if PurePosixPath(one.path).name == workflow), None)
    if found is None or found.inputs is None:
        return None
    form = action(
        view,
        view.path("actions", "workflows", workflow, "dispatches"),
        tag("label", "Branch", tag("input", name="ref", value=view.repository.default_branch)),
        (_input(name, one) for name, one in found.inputs.items()),
        button("Run workflow", "main"),
        classes="stacked",
    )
    if form is None:
        return tag("p.quiet", "It can be started by hand.")
    notice = tag("p.notice", view.notice) if view.notice else None
    title = [pill("wait", "by hand"), tag("span.quiet", f"You act as {view.repository.owner}.")]
    return text([notice, box(tag("div.inside", form), title=title)])


def _input(name: str, declared: Mapping[str, Any]) -> Html:
    default = declared.get("default", "")
    field = f"inputs.{name}"
    if declared.get("options"):
        options = (tag("option", str(one), selected=one == default) for one in declared["options"])
        control = tag("select", options, name=field)
    else:
        control = tag("input", name=field, value=str(default), required=bool(declared.get("required")))
    return tag("label", name, tag("span.quiet", declared.get("description", "")), control)

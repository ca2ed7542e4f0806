"""A run: its jobs with their permissions, steps and durations, its summary, artifacts and log."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rehearsal.forge import environments
from rehearsal.forge import state as records
from rehearsal.pages import timeline
from rehearsal.pages.layout import View, action, avatar, box, button, mark, page, person
from rehearsal.pages.markup import Child, Html, join, tag, text
from rehearsal.pages.words import NOTHING, duration, parsed, plural, seconds_between, size, when

if TYPE_CHECKING:
    from rehearsal.forge import Artifact, Job, Run

_LINES = 2_000  # of one step on the page; the file has all
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f\x7f]")
_TITLE = re.compile(r"^(?:job| {2}step): (.*)")
_FAILED = re.compile(r"^ {2}failed: ")
_TONES = (
    (re.compile(r"^( {2}failed|\s*(::error|##\[error\]|error\b|Error\b|Traceback |fatal:))"), "bad"),
    (re.compile(r"^\s*(::warning|##\[warning\]|warning\b)", re.IGNORECASE), "wait"),
    (re.compile(r"^\s*(::debug|##\[debug\])"), "faint"),
)


@dataclass(frozen=True)
class Attempt:
    """One attempt of a run, the newest or an earlier one."""

    number: int
    status: str
    conclusion: str | None
    jobs: Sequence[Job]
    log: str
    summary: str
    started_at: str | None
    completed_at: str | None


@dataclass(frozen=True)
class Section:
    """A part of a log: a job or a step.

    Attributes:
        title: Its line without what makes it one; empty for what stands before the first.
        start: Number of lines before its own.
        lines: What it wrote.
    """

    title: str
    start: int
    lines: tuple[str, ...]

    @property
    def has_failed(self) -> bool:
        """It says so itself."""
        return any(_FAILED.match(line) for line in self.lines)


def render(view: View, run: Run, attempt: int | None = None) -> Html | None:
    """The page of a run, at one of its attempts; None where it has no such attempt."""
    shown = next((one for one in attempts(run) if one.number == (attempt or run.attempt)), None)
    if shown is None:
        return None
    parts = [
        _head(view, run, shown),
        tag("p.notice", view.notice) if view.notice else None,
        _press(view, run),
        _approvals(run),
        _overview(view, run, shown),
        _summary(view, shown),
        [_job(job) for job in shown.jobs],
        _artifacts(view, run, shown),
        _log(view, run, shown),
    ]
    live = run.status in timeline.LIVE
    return page(f"{run.name} #{run.number}", parts, view, "runs", refresh=3 if live else None)


def attempts(run: Run) -> list[Attempt]:
    """All attempts, oldest first."""
    earlier = [_earlier(one) for one in run.attempts]
    times = (run.started_at, run.completed_at)
    newest = Attempt(run.attempt, run.status, run.conclusion, run.jobs, run.log, run.summary, *times)
    return [*earlier, newest]


def log_text(run: Run, attempt: int | None = None) -> str:
    """The whole log, without colours and other commands to a terminal."""
    path = next((one.log for one in attempts(run) if one.number == (attempt or run.attempt)), "")
    if not path or not Path(path).is_file():
        return ""
    return _ESCAPES.sub("", Path(path).read_text(errors="replace").replace("\r\n", "\n").replace("\r", "\n"))


def _earlier(one: Mapping[str, Any]) -> Attempt:
    jobs = [job if isinstance(job, records.Job) else records.Job(**job) for job in one.get("jobs", [])]
    number, conclusion = int(one["attempt"]), one.get("conclusion")
    times = (one.get("started_at"), one.get("completed_at"))
    return Attempt(number, "completed", conclusion, jobs, one.get("log", ""), one.get("summary", ""), *times)


def _head(view: View, run: Run, shown: Attempt) -> Html:
    title = tag(
        "h1",
        mark(shown.status, shown.conclusion),
        " ",
        run.display_title or run.name,
        " ",
        tag("span.number", f"#{run.number}"),
    )
    others = [
        tag("strong", f"attempt {one.number}")
        if one.number == shown.number
        else tag("a", f"attempt {one.number}", href=_attempt_path(view, run, one.number))
        for one in attempts(run)
    ]
    facts: list[Child] = [
        tag("a", run.name, href=view.path("actions", "workflows", Path(run.path).name)),
        tag("span.by", avatar(run.actor), person(run.actor)),
        tag("span", timeline.subject(view, run)),
        tag("span", join(others, " · ")) if len(others) > 1 else None,
    ]
    return text([title, tag("p.meta", facts)])


def _attempt_path(view: View, run: Run, number: int) -> str:
    return view.path("actions", "runs", run.id, "attempts", number)


def _press(view: View, run: Run) -> Html | None:
    path = view.path("actions", "runs", run.id)
    if run.status == "waiting" and run.pending:
        return _review(view, run, path)
    if run.status == "waiting":
        why = tag("p", "It waits until somebody with write access has looked at it.")
        form = action(view, f"{path}/approve", button("Approve and run", "main"))
        return box(tag("div.inside", why, form), classes="wait")
    if run.status in timeline.LIVE:
        return action(view, f"{path}/cancel", button("Cancel"), classes="above")
    return action(view, f"{path}/rerun", button("Re-run all jobs"), classes="above")


def _review(view: View, run: Run, path: str) -> Html:
    """What the reviewers of the environments are asked, with their buttons."""
    found = [environments.find(view.repository, name) for name in run.pending]
    people = sorted({login for one in found if one for login in one.reviewers})
    names = " and ".join(run.pending)
    why = tag(
        "p",
        "It waits for approval before it deploys to ",
        tag("strong", names),
        f": {' or '.join(people)} may give it.",
    )
    form = action(
        view,
        f"{path}/approve",
        tag("input", name="comment", placeholder="A word on it", aria_label="Comment"),
        button("Approve and deploy", "main"),
        tag("button", "Reject", type="submit", formaction=f"{path}/reject"),
    )
    return box(
        tag("div.inside", why, form), title=[mark("waiting"), tag("strong", "Waiting for approval")], classes="wait"
    )


def _approvals(run: Run) -> Html | None:
    """What reviewers have said so far."""
    if not run.approvals:
        return None
    rows = (
        tag(
            "div.row",
            mark("success" if one.state == environments.APPROVED else "failure"),
            tag("div.grow", person(one.user), f" {one.state} {' and '.join(one.environments)}", _words(one.comment)),
            tag("span.quiet", when(one.at)),
        )
        for one in run.approvals
    )
    return box(*rows, title=tag("strong", "Approvals"))


def _words(comment: str) -> Html | None:
    return tag("div.quiet", comment) if comment else None


def _overview(view: View, run: Run, shown: Attempt) -> Html:
    took = seconds_between(shown.started_at, shown.completed_at)
    waited = seconds_between(run.created_at, shown.started_at) if shown.number == 1 else None
    jobs = [job for job in shown.jobs if job.started_at]
    facts = {
        "Result": text([mark(shown.status, shown.conclusion), " ", _said(shown)]),
        "Took": duration(took) or NOTHING,
        "Waited": duration(waited) or NOTHING,
        "Asked for": when(run.created_at),
        "Workflow": _file(view, run),
    }
    listed = tag("dl.facts", (tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()))
    return box(listed, _waterfall(jobs) if len(jobs) > 1 else None)


def _file(view: View, run: Run) -> Html:
    sha = view.git.resolve(run.head_sha)
    is_there = sha is not None and view.git.entry(sha, run.path) is not None
    href = view.path("blob", run.head_sha, run.path) if is_there else None
    return tag("a", Path(run.path).name, href=href, title=run.path)


def _said(shown: Attempt) -> str:
    return (shown.conclusion or shown.status if shown.status == "completed" else shown.status).replace("_", " ")


def _waterfall(jobs: Sequence[Job]) -> Html:
    spans = {job.id: _span(job) for job in jobs}
    line = timeline.axis(spans.values())
    rows = (
        [
            tag("div.what", mark(job.status, job.conclusion), tag("a.main", job.name, href=f"#job-{job.id}")),
            timeline.bar(line, [(*spans[job.id], timeline.tone(job.status, job.conclusion))]),
            tag("div.numeric.quiet", duration(seconds_between(job.started_at, job.completed_at))),
        ]
        for job in jobs
    )
    return tag("div.bar-table.below", timeline.head("jobs", line), rows)


def _span(job: Job) -> tuple[float, float]:
    start = parsed(job.started_at or records.now()).timestamp()
    return start, max(parsed(job.completed_at or records.now()).timestamp(), start + 0.4)


def _summary(view: View, shown: Attempt) -> Html | None:
    if not shown.summary.strip():
        return None
    return box(tag("div.inside", view.markdown(shown.summary)), title=tag("strong", "Summary"))


def _job(job: Job) -> Html:
    took = duration(seconds_between(job.started_at, job.completed_at))
    title = [
        mark(job.status, job.conclusion),
        tag("strong", job.name),
        tag("span.quiet.small", took),
        tag("span.permissions", tag("span.quiet.small", "token may"), _permissions(job.permissions)),
    ]
    longest = max((float(step.get("seconds") or 0) for step in job.steps), default=0.0)
    steps = tag("table.steps", (_step(step, longest) for step in job.steps)) if job.steps else None
    return tag("section.box", tag("div.head", title), steps, id=f"job-{job.id}")


def _permissions(permissions: Mapping[str, str]) -> Html:
    shown = {name: level for name, level in sorted(permissions.items()) if level != "none"}
    if not shown:
        return tag("span.tag", "nothing")
    return join(
        tag("span", f"{name}: {level}", class_="tag write" if level == "write" else "tag")
        for name, level in shown.items()
    )


def _step(step: Mapping[str, Any], longest: float) -> Html:
    seconds = float(step.get("seconds") or 0)
    width = f"width:{100 * seconds / longest:.1f}%" if longest else "width:0"
    return tag(
        "tr",
        tag("td", mark("completed", step.get("conclusion")) if step.get("conclusion") else mark("in_progress")),
        tag("td", step.get("name", "")),
        tag("td.seconds", duration(seconds)),
        tag("td", tag("span.amount", tag("i", style=width), aria_hidden="true")),
    )


def _artifacts(view: View, run: Run, shown: Attempt) -> Html | None:
    found = [one for one in view.state.artifacts if one.run_id == run.id and one.attempt == shown.number]
    if not found:
        return None
    head = tag("tr", tag("th", "Artifact"), tag("th.numeric", "Size"), tag("th", "Digest"))
    rows = (_artifact(view, run, one) for one in found)
    return box(tag("div.scroll", tag("table.data", head, rows)), title=tag("strong", "Artifacts"))


def _artifact(view: View, run: Run, one: Artifact) -> Html:
    link = tag("a", one.name, href=view.path("actions", "runs", run.id, "artifacts", one.id))
    name = text([one.name, " ", tag("span.tag", "expired")]) if one.expired else link
    digest = tag("code", one.digest.removeprefix("sha256:")[:16], title=one.digest)
    return tag("tr", tag("td", name), tag("td.numeric", size(one.size)), tag("td", digest))


def sections(log: str) -> list[Section]:
    """The jobs and steps of a log, in their order; a job that wrote nothing before its first step only as a title."""
    found: list[Section] = []
    title, start, kept = "", 0, list[str]()
    for number, line in enumerate([*log.rstrip("\n").split("\n"), "job: "], start=1):
        named = _TITLE.match(line)
        if named is None:
            kept.append(line)
            continue
        if title or any(kept):
            found.append(Section(title, start, tuple(kept)))
        title, start, kept = named[1], number, []
    return found


def _log(view: View, run: Run, shown: Attempt) -> Html | None:
    log = log_text(run, shown.number)
    if not log.strip():
        return None
    whole = tag("a.small", "whole log", href=f"{_attempt_path(view, run, shown.number)}/log.txt")
    return tag("section.box", tag("div.head", tag("strong", "Log"), whole), map(_section, sections(log)))


def _section(section: Section) -> Html:
    if not section.lines:
        return tag("p.part", section.title)
    cut = max(len(section.lines) - _LINES, 0)
    note = f"the last {_LINES:,} of {len(section.lines):,} lines" if cut else plural(len(section.lines), "line")
    mark_of = mark("completed", "failure") if section.has_failed else None
    head = tag("summary", mark_of, " ", section.title or "Before the first job", tag("span.quiet.small", note))
    lines = tag("pre.log", map(_line, section.lines[cut:]), style=f"counter-reset:line {section.start + cut}")
    return tag("details.fold", head, lines, open=section.has_failed)


def _line(line: str) -> Html:
    tone = next((tone for pattern, tone in _TONES if pattern.match(line)), None)
    return tag("span", line or " ", class_=tone)

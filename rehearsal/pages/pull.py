"""A pull request: its conversation, checks, commits and files, and the box that says whether it can be merged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rehearsal.forge import pulls, rules
from rehearsal.forge.git import Commit, Git
from rehearsal.pages import diff, repository, timeline
from rehearsal.pages.layout import View, action, box, button, empty, mark, page, person, pill
from rehearsal.pages.markup import Child, Html, join, tag, text
from rehearsal.pages.words import NOTHING, plural, when

if TYPE_CHECKING:
    from rehearsal.forge import Pull

_METHODS = {"merge": "Create a merge commit", "squash": "Squash and merge", "rebase": "Rebase and merge"}
_GOOD = frozenset({"success", "neutral", "skipped"})
_BAD = frozenset({"failure", "error", "timed_out", "cancelled", "startup_failure"})


@dataclass(frozen=True)
class Check:
    """A status or a check run of the head, or a required one that nobody has reported.

    Attributes:
        name: Its context, or the job.
        state: As `mark` knows it: success, failure, pending, expected, …
        sentence: What it says.
        url: Where it leads.
        is_required: It keeps the pull request from being merged.
        counts: A required check is met by it; those of dispatched runs meet none.
    """

    name: str
    state: str
    sentence: str
    url: str | None
    is_required: bool = False
    counts: bool = True


def listing(view: View) -> Html:
    """All pull requests, newest first."""
    found = [one for one in view.state.pulls if one.repository == view.name]
    rows = [_list_row(view, one) for one in reversed(found)]
    body = [tag("h1", "Pull requests"), box(*rows or [empty("No pull request yet.")])]
    return page("Pull requests", body, view, "pulls")


def conversation(view: View, pull: Pull) -> Html:
    """What was said and done, oldest first, and whether it can be merged."""
    history = commits(view, pull)
    comments = view.state.comments_of(view.name, pull.number)
    items = [(pull.created_at, 0, repository.said(view, pull.user, pull.body, pull.created_at))]
    items += [(_at(one), 1, _pushed(view, one)) for one in history]
    items += [
        (
            one.created_at,
            2,
            repository.said(view, one.user, one.body, one.created_at, one.updated_at, f"issuecomment-{one.id}"),
        )
        for one in comments
    ]
    if pull.closed_at:
        items.append((pull.closed_at, 3, _ended(view, pull)))
    first, *rest = items
    in_order = [first, *sorted(rest, key=lambda item: item[:2])]
    return _page(view, pull, "conversation", history, [[one for *_, one in in_order], _merge_box(view, pull)])


def commit_page(view: View, pull: Pull) -> Html:
    """Its commits, oldest first."""
    history = commits(view, pull)
    return _page(view, pull, "commits", history, repository.commit_list(view, history))


def check_page(view: View, pull: Pull) -> Html:
    """Everything that ran for it, and what was said of its head."""
    runs = [run for run in view.state.runs_of(view.name) if timeline.pull_of(view, run) == pull.number]
    found = checks(view, pull)
    said = box(_check_rows(view, found) if found else empty("Nothing was reported for its newest commit."))
    bars = box(timeline.bars(view, runs[::-1]) if runs else empty("Nothing ran for it yet."))
    parts = [tag("h2", "Of the newest commit"), said, tag("h2", "Runs"), bars]
    return _page(view, pull, "checks", commits(view, pull), parts)


def file_page(view: View, pull: Pull) -> Html:
    """What it changes, since it left the branch that it wants to change."""
    git = view.git
    start = git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    return _page(view, pull, "files", commits(view, pull), diff.render(git.diff(start, pull.head_sha)))


def commits(view: View, pull: Pull) -> list[Commit]:
    """Its commits, oldest first."""
    return view.git.log(pull.head_sha, pull.base_sha)[::-1]


def checks(view: View, pull: Pull) -> list[Check]:
    """Required ones first, then the others; each name of a status once, each job of a run once."""
    required = {
        check.name: check.state for check in pulls.checks(view.forge, view.repository, pull.base_ref, pull.head_sha)
    }
    found = [
        Check(one.context, one.state, one.description or "", one.target_url, one.context in required)
        for one in view.state.statuses_of(view.name, pull.head_sha).values()
    ]
    for run in view.state.check_runs_of(view.name, pull.head_sha):
        state = (run.conclusion or "neutral") if run.status == "completed" else run.status
        is_required = run.name in required and run.counts_for_pull
        sentence = "" if run.counts_for_pull else "of a dispatched run: does not count for a pull request"
        found.append(Check(run.name, state, sentence, run.details_url, is_required, run.counts_for_pull))
    reported = {check.name for check in found if check.counts}
    missing = (name for name in required if name not in reported)
    found += [
        Check(name, "expected", "nobody has reported it for this commit", None, is_required=True) for name in missing
    ]
    return sorted(found, key=lambda check: (not check.is_required, check.name))


def obstacles(view: View, pull: Pull) -> Iterator[Html]:
    """Why it cannot be merged, each in a sentence of its own; nothing when it can."""
    forge, git = view.forge, view.git
    base = view.branch(pull.base_ref)
    if pull.draft:
        yield text("It is a draft.")
    if pulls.conflicts(forge, pull):
        yield text(["It conflicts with ", base, _both_changed(git, pull), "."])
    held = rules.rules_of(view.repository.rulesets, f"refs/heads/{pull.base_ref}", view.repository.default_branch)
    if rules.is_strict(held) and pulls.is_behind(forge, pull):
        missing = git.count(git.branch(pull.base_ref) or pull.base_sha, pull.head_sha)
        yield text(
            ["It lacks ", plural(missing, "commit"), " of ", base, ": a branch must be up to date to be merged."]
        )
    for check in checks(view, pull):
        if check.is_required and check.state not in _GOOD:
            yield _obstacle(check)


def methods(view: View, pull: Pull) -> list[str]:
    """The ways to merge that the settings and the rules offer."""
    settings = view.repository.settings
    offered = {
        "merge": settings.allow_merge_commit,
        "squash": settings.allow_squash_merge,
        "rebase": settings.allow_rebase_merge,
    }
    held = rules.rules_of(view.repository.rulesets, f"refs/heads/{pull.base_ref}", view.repository.default_branch)
    return [name for name, is_offered in offered.items() if is_offered and name in rules.allowed_methods(held)]


def _page(view: View, pull: Pull, tab: str, history: Sequence[Commit], body: Child) -> Html:
    title = tag("h1", pull.title, " ", tag("span.number", f"#{pull.number}"))
    labels = [tag("span.tag", name) for name in pull.labels]
    tabs = [
        ("conversation", "Conversation", None, len(view.state.comments_of(view.name, pull.number))),
        ("checks", "Checks", "checks", len(checks(view, pull))),
        ("commits", "Commits", "commits", len(history)),
        ("files", "Files changed", "files", None),
    ]
    links = (
        tag(
            "a",
            words,
            tag("span.count", count) if count else None,
            href=view.path("pull", pull.number, *([path] if path else [])),
            aria_current="page" if key == tab else None,
        )
        for key, words, path, count in tabs
    )
    head = [title, tag("p.meta", _state(pull), _wants(view, pull, len(history)), labels), tag("nav.tabs.inner", links)]
    live = any(
        run.status in timeline.LIVE
        for run in view.state.runs_of(view.name)
        if timeline.pull_of(view, run) == pull.number
    )
    return page(f"{pull.title} #{pull.number}", [head, body], view, "pulls", refresh=5 if live else None)


def _state(pull: Pull) -> Html:
    if pull.merged:
        return pill("done", "Merged")
    if pull.state == "closed":
        return pill("bad", "Closed")
    return pill("none", "Draft") if pull.draft else pill("good", "Open")


def _wants(view: View, pull: Pull, count: int) -> Html:
    head = view.branch(pull.head_ref, pull.head_repository)
    base = view.branch(pull.base_ref)
    if pull.merged:
        words: list[Child] = [person(pull.merged_by or "ghost"), " merged ", plural(count, "commit"), " into "]
    else:
        words = [person(pull.user), " wants to merge ", plural(count, "commit"), " into "]
    return tag("span", words, base, " from ", head, tag("span.tag", "fork") if pull.is_fork else None)


def _list_row(view: View, pull: Pull) -> Html:
    statuses = [check for check in checks(view, pull) if check.is_required] if pull.state == "open" else []
    return tag(
        "div.row",
        _state(pull),
        tag(
            "div.grow",
            tag("a.main", pull.title, href=view.path("pull", pull.number)),
            tag(
                "div.quiet",
                f"#{pull.number} by {pull.user} · ",
                when(pull.created_at),
                " · ",
                view.branch(pull.head_ref, pull.head_repository),
            ),
        ),
        tag("span.small.quiet", join((text([mark(check.state), " ", check.name]) for check in statuses), " ")),
    )


def _at(commit: Commit) -> str:
    return commit.committer.date or ""


def _pushed(view: View, commit: Commit) -> Html:
    subject = tag("a.subject", commit.title, href=view.path("commit", commit.sha))
    state = repository.state_of(view, commit.sha)
    words = tag("span.grow", tag("strong", commit.author.name), " committed ", subject)
    return tag("div.happened", tag("span.node"), words, state, view.commit(commit.sha))


def _ended(view: View, pull: Pull) -> Html:
    who = person(pull.merged_by or pull.user) if pull.merged else text("It")
    what: list[Child] = [" was closed ", when(pull.closed_at)]
    if pull.merged and pull.merge_commit_sha:
        what = [
            " merged it as ",
            view.commit(pull.merge_commit_sha),
            " into ",
            view.branch(pull.base_ref),
            " ",
            when(pull.closed_at),
        ]
    node = tag("span", class_=f"node {'done' if pull.merged else 'bad'}")
    return tag("div.happened", node, tag("span.grow", who, what))


def _merge_box(view: View, pull: Pull) -> Html:
    if pull.merged:
        words = tag(
            "div", tag("strong", "Merged"), tag("p.quiet", "Its commits are in ", view.branch(pull.base_ref), ".")
        )
        return tag("section.box.merge.done", tag("div.verdict", _big("done", "✓"), words))
    if pull.state == "closed":
        words = tag("div", tag("strong", "Closed"), tag("p.quiet", "It was closed without a merge."))
        return tag("section.box.merge", tag("div.verdict", _big("none", NOTHING), words))
    found, why = checks(view, pull), list(obstacles(view, pull))
    listed = [tag("div.head", tag("strong", _summed(found))), _check_rows(view, found)] if found else None
    notice = tag("p.notice", view.notice) if view.notice else None
    body = [listed, _answer(view, pull, why, found), _buttons(view, pull, blocked=bool(why))]
    return text([notice, tag("section", body, class_=f"box merge {_tone(why, found)}", id="merge")])


def _tone(why: Sequence[Html], found: Sequence[Check]) -> str:
    """Red is only what somebody has to mend; what comes by waiting or by a press is not."""
    if not why:
        return "good"
    return "bad" if any(check.is_required and check.state in _BAD for check in found) else "wait"


def _answer(view: View, pull: Pull, why: Sequence[Html], found: Sequence[Check]) -> Html:
    if not why:
        required = [check.name for check in found if check.is_required]
        met = f"Every required check has passed: {', '.join(required)}." if required else "No check is required."
        words = tag("div", tag("strong", "It can be merged"), tag("p.quiet", met))
        return tag("div.verdict", _big("good", "✓"), words)
    said = view.forge.blockers(pull)
    api = tag("p.quiet.small", "The API answers 405: ", tag("code", " ".join(said))) if said else None
    words = tag("div", tag("strong", "Merging is blocked"), tag("ul", (tag("li", one) for one in why)), api)
    tone = _tone(why, found)
    return tag("div.verdict", _big(tone, "✕" if tone == "bad" else "Ⅱ"), words)


def _big(tone: str, sign: str) -> Html:
    return tag("span", class_=f"mark {tone}", data_sign=sign, aria_hidden="true")


def _buttons(view: View, pull: Pull, *, blocked: bool) -> Html | None:
    path = view.path("pull", pull.number)
    sha = tag("input", type="hidden", name="sha", value=pull.head_sha)
    offered = methods(view, pull)
    presses = (
        tag(
            "button",
            _METHODS[name],
            type="submit",
            name="method",
            value=name,
            disabled=blocked,
            class_="main" if at == 0 else None,
        )
        for at, name in enumerate(offered)
    )
    merge = action(view, f"{path}/merge", sha, presses, tag("span.quiet.small", f"You act as {view.repository.owner}."))
    can_update = pulls.is_behind(view.forge, pull) and not pulls.conflicts(view.forge, pull)
    update = action(view, f"{path}/update", sha, button("Update branch")) if can_update else None
    return tag("div.press", merge, update) if merge else None


def _summed(found: Sequence[Check]) -> str:
    bad = sum(check.state in _BAD for check in found)
    waits = sum(check.state not in _GOOD for check in found) - bad
    if not bad and not waits:
        return "All checks have passed"
    parts = [f"{bad} failing"] * bool(bad) + [f"{waits} pending"] * bool(waits)
    passed = len(found) - bad - waits
    return "Checks: " + ", ".join([*parts, f"{passed} passed"] if passed else parts)


def _obstacle(check: Check) -> Html:
    name = tag("code", check.name)
    words = {
        "expected": " is required, and nobody has reported it for this commit.",
        "failure": " is required, and has failed",
        "error": " is required, and ended in an error",
    }.get(check.state, f" is required, and is {check.state.replace('_', ' ')}")
    tail = "" if words.endswith(".") else f": {check.sentence.rstrip('.')}." if check.sentence else "."
    return text([name, words, tail])


def _both_changed(git: Git, pull: Pull) -> str:
    base = git.branch(pull.base_ref)
    start = git.merge_base(base, pull.head_sha) if base else None
    if base is None or start is None:
        return ""
    ours, theirs = ({file.path for file in git.diff(start, end)} for end in (base, pull.head_sha))
    shared = sorted(ours & theirs)
    return f": both changed {', '.join(shared[:5])}{' and more' if len(shared) > 5 else ''}" if shared else ""


def _check_rows(view: View, found: Sequence[Check]) -> Html:
    return text(_check_row(view, check) for check in found)


def _check_row(view: View, check: Check) -> Html:
    target = view.target(check.url)
    return tag(
        "div.check",
        mark(check.state),
        tag("span", tag("strong", check.name), " ", tag("span.quiet", check.sentence)),
        tag("span.tag", "required") if check.is_required else tag("span"),
        tag("a", "details", href=target) if target else tag("span"),
    )

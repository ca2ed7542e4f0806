"""What every page has: its frame, the marks of a state, people, and links into the repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rehearsal.pages import markdown
from rehearsal.pages.markdown import Place
from rehearsal.pages.markup import Child, Html, tag, text
from rehearsal.pages.words import NOTHING, short

if TYPE_CHECKING:
    from rehearsal.forge import Forge, Repository, State
    from rehearsal.forge.git import Git

ASSETS = "/-"  # no owner can have this name
MERMAID = Path(__file__).resolve().parents[1] / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"

_MARKS = {
    "success": ("good", "✓"),
    "failure": ("bad", "✕"),
    "error": ("bad", "!"),
    "timed_out": ("bad", "✕"),
    "startup_failure": ("bad", "✕"),
    "cancelled": ("none", "⊘"),
    "skipped": ("none", NOTHING),
    "neutral": ("none", NOTHING),
    "stale": ("none", NOTHING),
    "action_required": ("wait", "!"),
    "waiting": ("wait", "!"),
    "pending": ("wait", "●"),
    "queued": ("wait", "●"),
    "in_progress": ("wait", "●"),
    "expected": ("wait", "●"),
}


@dataclass(frozen=True)
class View:
    """What a page is made from.

    Attributes:
        forge: The forge.
        repository: The one whose page it is.
        is_copy: The page becomes a file: nothing can be pressed.
        notice: What went wrong with what was pressed, in one sentence.
    """

    forge: Forge
    repository: Repository
    is_copy: bool = False
    notice: str = ""

    @property
    def state(self) -> State:
        """What the forge knows."""
        return self.forge.state

    @property
    def name(self) -> str:
        """`owner/name`."""
        return self.repository.full_name

    @property
    def git(self) -> Git:
        """The repository's objects."""
        return self.forge.git(self.repository)

    def path(self, *parts: str | int) -> str:
        """The path of a page of this repository; a part may hold slashes."""
        return "/".join([f"/{self.name}", *(quote(str(part), safe="/") for part in parts)])

    def markdown(self, source: str, ref: str | None = None, path: str = "") -> Html:
        """A rendered text: a comment, or the file at `path`."""
        return tag("div.markdown", markdown.render(source, self._place(ref, path)))

    def _place(self, ref: str | None = None, path: str = "") -> Place:
        return Place(self.name, self.forge.url, ref or self.repository.default_branch, path=path, breaks=not path)

    def target(self, url: str | None) -> str | None:
        """A link that someone gave: a path where it leads here, as it is where it leads out over the web."""
        if not url:
            return None
        return markdown.own(url, self._place()) or (url if url.startswith(("https://", "http://", "/")) else None)

    def commit(self, sha: str) -> Html:
        """A link to a commit."""
        return tag("a.sha", short(sha), href=self.path("commit", sha))

    def branch(self, ref: str, repository: str | None = None) -> Html:
        """The name of a branch, with its owner where that is another one."""
        elsewhere = repository not in {None, self.name}
        return tag("code.branch", f"{(repository or '').split('/')[0]}:{ref}" if elsewhere else ref)

    def pull_link(self, number: int) -> Html:
        """A link to a pull request, where there is one."""
        if self.state.pull(self.name, number) is None:
            return text(f"#{number}")
        return tag("a", f"#{number}", href=self.path("pull", number))


def mark(state: str | None, conclusion: str | None = None) -> Html:
    """The sign of a state; once it is completed, of the conclusion."""
    name = (conclusion or "neutral") if state == "completed" else (state or "expected")
    tone, sign = _MARKS.get(name, ("none", NOTHING))
    said = name.replace("_", " ")
    return tag("span", tag("span.said", said), class_=f"mark {tone} is-{name}", title=said, data_sign=sign)


def pill(tone: str, *words: Child) -> Html:
    """A word on a coloured ground."""
    return tag("span", *words, class_=f"pill {tone}")


def person(login: str) -> Html:
    """A name; a machine is called one."""
    bare = login.removesuffix("[bot]")
    return text([tag("strong", bare), " ", tag("span.tag", "bot") if bare != login else None])


def avatar(login: str) -> Html:
    """A disc with an initial."""
    hue = sum(ord(letter) * (index + 1) for index, letter in enumerate(login)) * 37 % 360 // 60
    return tag("span", login[:1].upper(), class_=f"avatar hue-{hue}", aria_hidden="true")


def box(*children: Child, title: Child = None, classes: str = "") -> Html:
    """A framed part of a page."""
    head = tag("div.head", title) if title is not None else None
    return tag("section", head, *children, class_=f"box {classes}".strip())


def empty(sentence: Child) -> Html:
    """What stands where there is nothing yet."""
    return tag("p.empty", sentence)


def button(words: str, classes: str = "") -> Html:
    """What sends a form."""
    return tag("button", words, type="submit", class_=classes or None)


def action(view: View, path: str, *children: Child, classes: str = "") -> Html | None:
    """A form; a copy has none."""
    if view.is_copy:
        return None
    return tag("form", *children, method="post", action=path, class_=classes or None)


def page(title: str, body: Child, view: View | None = None, tab: str = "", refresh: int | None = None) -> Html:
    """A whole page.

    Args:
        title: Of the window.
        body: Below the frame.
        view: The repository it is about; None: all of them.
        tab: Which tab is open.
        refresh: Seconds after which the page loads itself again, while something is under way.
    """
    where = f" · {view.name}" if view else ""
    scripts = (
        [tag("script", src=f"{ASSETS}/{name}", defer=True) for name in ("mermaid.js", "pages.js")]
        if MERMAID.is_file() and "mermaid" in text(body)
        else []
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="refresh", content=refresh) if refresh and not (view and view.is_copy) else None,
        tag("title", f"{title}{where}"),
        tag("link", rel="icon", href="data:,"),
        tag("link", rel="stylesheet", href=f"{ASSETS}/pages.css"),
        scripts,
    )
    frame = [tag("header", tag("div.wide", _where(view), _tabs(view, tab) if view else None)), tag("main.wide", body)]
    foot = tag("footer", tag("div.wide", "A forge on this computer that plays GitHub's part. Times are UTC."))
    return Html("<!DOCTYPE html>\n" + tag("html", head, "\n", tag("body", frame, foot), lang="en") + "\n")


def _where(view: View | None) -> Html:
    crumbs: list[Child] = [tag("a.home", tag("span.logo", aria_hidden="true"), "Rehearsal", href="/")]
    if view:
        name = tag("a", tag("strong", view.repository.name), href=view.path())
        crumbs += [tag("span.slash", "/"), view.repository.owner, tag("span.slash", "/"), name]
        if view.repository.fork_of:
            source = tag("a", view.repository.fork_of, href=f"/{view.repository.fork_of}")
            crumbs.append(tag("span.quiet", " forked from ", source))
    return tag("nav.crumbs", crumbs, aria_label="Where")


def _tabs(view: View, current: str) -> Html:
    state, name = view.state, view.name
    pulls = sum(one.repository == name and one.state == "open" for one in state.pulls)
    issues = sum(one.repository == name and one.state == "open" for one in state.issues)
    tabs = [
        ("code", "Code", "", None),
        ("pulls", "Pull requests", "pulls", pulls),
        ("issues", "Issues", "issues", issues),
        ("runs", "Runs", "actions", sum(run.repository == name for run in state.runs)),
        ("records", "Records", "records", None),
        ("deployments", "Deployments", "deployments", None),
        ("releases", "Releases", "releases", sum(one.repository == name for one in state.releases)),
    ]
    links = (
        tag(
            "a",
            words,
            tag("span.count", count) if count else None,
            href=view.path(path) if path else view.path(),
            aria_current="page" if key == current else None,
        )
        for key, words, path, count in tabs
    )
    return tag("nav.tabs", links, aria_label="Parts of the repository")

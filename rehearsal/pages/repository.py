"""A repository's pages: home, folders, files, commits, issues; and the list of all repositories."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rehearsal.forge.git import Commit, Entry, Git
from rehearsal.pages import diff, timeline
from rehearsal.pages.layout import View, avatar, box, empty, mark, page, person, pill
from rehearsal.pages.markup import Html, join, tag, text
from rehearsal.pages.words import plural, size, when

if TYPE_CHECKING:
    from rehearsal.forge import Forge, Issue, Pull

_SHOWN = 1_000_000  # bytes of a file that a page shows
_RECENT = 8


def everything(forge: Forge) -> Html:
    """The list of all repositories."""
    rows = [
        tag(
            "div.row",
            avatar(one.owner),
            tag(
                "div.grow",
                tag("a.main", one.full_name, href=f"/{one.full_name}"),
                tag("div.quiet", f"forked from {one.fork_of}" if one.fork_of else one.description),
            ),
            tag("span.quiet", "pushed ", when(one.pushed_at)),
        )
        for one in forge.state.repositories
    ]
    body = [tag("h1", "Repositories"), box(*rows or [empty("No repository yet.")])]
    return page("Rehearsal", body)


def home(view: View) -> Html:
    """What the repository holds, and what happens in it."""
    git = view.git
    sha = git.branch(view.repository.default_branch)
    if sha is None:
        main: Html = box(empty("This repository is empty: nothing was pushed yet."))
    else:
        main = text([_folder(view, git, view.repository.default_branch, sha, ""), _readme(view, git, sha)])
    body = tag("div.columns", tag("div", main), tag("aside", _aside(view, git)))
    return page(view.repository.name, body, view, "code")


def tree(view: View, ref: str, path: str) -> Html | None:
    """A folder at a branch, tag or SHA; None where there is none."""
    git = view.git
    sha = git.resolve(ref)
    entry = git.entry(sha, path) if sha else None
    if sha is None or entry is None or entry.type != "tree":
        return None
    return page(path or ref, [_trail(view, ref, path), _folder(view, git, ref, sha, path)], view, "code")


def blob(view: View, ref: str, path: str) -> Html | None:
    """A file at a branch, tag or SHA; None where there is none."""
    content = raw(view, ref, path)
    if content is None:
        return None
    facts = tag("span.quiet.small", size(len(content)))
    link = tag("a.small", "raw", href=view.path("raw", ref, path))
    head = [tag("strong", path.rsplit("/", 1)[-1]), facts, link]
    return page(path, [_trail(view, ref, path), box(_content(view, ref, path, content), title=head)], view, "code")


def raw(view: View, ref: str, path: str) -> bytes | None:
    """The bytes of a file."""
    git = view.git
    sha = git.resolve(ref)
    return git.read(sha, path) if sha and path else None


def commits(view: View, ref: str) -> Html | None:
    """The history of a branch, tag or SHA."""
    git = view.git
    sha = git.resolve(ref)
    if sha is None:
        return None
    head = tag("h1", "Commits ", view.branch(ref))
    return page(f"Commits of {ref}", [head, commit_list(view, git.log(sha))], view, "code")


def commit(view: View, sha: str) -> Html | None:
    """A commit, what was said of it, and what it changed."""
    git = view.git
    found = git.resolve(sha)
    if found is None:
        return None
    one = git.commit(found)
    title, _, rest = one.message.partition("\n")
    parents = join(map(view.commit, one.parents))
    facts = tag(
        "p.meta", tag("strong", one.author.name), when(one.author.date), tag("code", found), "parents ", parents
    )
    base = one.parents[0] if one.parents else git.write_tree(None, [])
    said = [tag("pre.quiet", rest.strip())] if rest.strip() else []
    marks = tag("p.meta", state_of(view, found))
    return page(title, [tag("h1", title), facts, said, marks, diff.render(git.diff(base, found))], view, "code")


def commit_list(view: View, found: Sequence[Commit]) -> Html:
    """Commits, one a row."""
    return box(
        *(
            tag(
                "div.row",
                avatar(one.author.name),
                tag(
                    "div.grow",
                    tag("a.main", one.title, href=view.path("commit", one.sha)),
                    tag("div.quiet", one.author.name, " · ", when(one.author.date)),
                ),
                state_of(view, one.sha),
                view.commit(one.sha),
            )
            for one in found
        )
    )


def state_of(view: View, sha: str) -> Html:
    """The statuses of a commit, as marks with their names."""
    statuses = view.state.statuses_of(view.name, sha).values()
    return join(
        tag("span.small.quiet", mark(one.state), " ", one.context, title=one.description or "") for one in statuses
    )


def issues(view: View) -> Html:
    """All issues, newest first."""
    found = [one for one in view.state.issues if one.repository == view.name]
    rows = [_issue_row(view, one) for one in reversed(found)]
    return page("Issues", [tag("h1", "Issues"), box(*rows or [empty("No issue yet.")])], view, "issues")


def issue(view: View, number: int) -> Html | None:
    """An issue and what was said."""
    found = view.state.issue(view.name, number)
    if found is None:
        return None
    tone = "good" if found.state == "open" else "done"
    head = tag("h1", found.title, " ", tag("span.number", f"#{number}"))
    facts = tag("p.meta", pill(tone, found.state.capitalize()), person(found.user), when(found.created_at))
    labels = [tag("span.tag", name) for name in found.labels]
    comments = view.state.comments_of(view.name, number)
    texts = [said(view, found.user, found.body, found.created_at)]
    texts += [said(view, one.user, one.body, one.created_at, one.updated_at) for one in comments]
    return page(found.title, [head, facts, tag("p.meta", labels), texts], view, "issues")


def said(view: View, user: str, body: str, at: str, edited: str | None = None, anchor: str | None = None) -> Html:
    """Something somebody wrote."""
    changed = text([" · edited ", when(edited)]) if edited and edited != at else None
    head = tag("div.head", tag("span", person(user), " wrote ", when(at), changed))
    content = tag("div.inside", view.markdown(body) if body.strip() else tag("p.quiet", "No description."))
    return tag("article.said-by", avatar(user), tag("section.box", head, content), id=anchor)


def media_type(path: str) -> str:
    """Of a picture by its name; empty for anything else."""
    guessed = mimetypes.guess_type(path)[0] or ""
    return guessed if guessed.startswith("image/") else ""


def _folder(view: View, git: Git, ref: str, sha: str, path: str) -> Html:
    newest = git.commit(sha)
    count = int(git.run("rev-list", "--count", sha))
    title = [
        avatar(newest.author.name),
        tag("strong", newest.author.name),
        tag("a", newest.title, href=view.path("commit", sha)),
        state_of(view, sha),
        tag("span.quiet.small", when(newest.author.date)),
        tag("a.small", plural(count, "commit"), href=view.path("commits", ref)),
    ]
    entries = sorted(git.tree(f"{sha}:{path}" if path else sha), key=lambda entry: (entry.type == "blob", entry.path))
    return box(*(_entry(view, ref, path, entry) for entry in entries), title=title)


def _entry(view: View, ref: str, folder: str, entry: Entry) -> Html:
    path = f"{folder}/{entry.path}" if folder else entry.path
    is_folder = entry.type == "tree"
    link = tag(
        "a", f"{entry.path}{'/' if is_folder else ''}", href=view.path("tree" if is_folder else "blob", ref, path)
    )
    return tag("div.row", tag("span.grow", link), tag("span.quiet", size(entry.size)), class_="row slim")


def _trail(view: View, ref: str, path: str) -> Html:
    parts = path.split("/") if path else []
    links = [tag("a", view.repository.name, href=view.path("tree", ref))]
    for depth, part in enumerate(parts[:-1], start=1):
        links.append(tag("a", part, href=view.path("tree", ref, "/".join(parts[:depth]))))
    links += [tag("strong", part) for part in parts[-1:]]
    return tag("p.meta", view.branch(ref), tag("span", join(links, " / ")))


def _readme(view: View, git: Git, sha: str) -> Html | None:
    content = git.read(sha, "README.md")
    if content is None:
        return None
    ref = view.repository.default_branch
    shown = view.markdown(content.decode(errors="replace"), ref, "README.md")
    return box(tag("div.inside.roomy", shown), title=tag("strong", "README.md"))


def _content(view: View, ref: str, path: str, content: bytes) -> Html:
    if media_type(path):
        return tag("div.inside", tag("img", src=view.path("picture", ref, path), alt=path))
    if len(content) > _SHOWN or b"\0" in content[:8_000]:
        return empty("Too long, or not a text: see the raw file.")
    shown = content.decode(errors="replace")
    if path.endswith(".md"):
        return tag("div.inside.roomy", view.markdown(shown, ref, path))
    return diff.source(shown)


def _aside(view: View, git: Git) -> Html:
    state, name = view.state, view.name
    pulls = [one for one in state.pulls if one.repository == name and one.state == "open"]
    runs = state.runs_of(name)[-_RECENT:]
    releases = [one for one in state.releases_of(name) if not one.draft]
    branches = git.refs("refs/heads")
    sections = [
        ("About", [tag("p.quiet", view.repository.description)] if view.repository.description else []),
        ("Latest release", [_release_line(view, one.tag, one.published_at or one.created_at) for one in releases[-1:]]),
        ("Pull requests", [_pull_line(view, one) for one in reversed(pulls)]),
        ("Runs", [timeline.line(view, run) for run in reversed(runs)]),
        ("Branches", [_branch_line(view, ref.removeprefix("refs/heads/"), sha) for ref, sha in branches.items()]),
    ]
    return text(tag("section", tag("h2", title), tag("ul", lines)) for title, lines in sections if lines)


def _release_line(view: View, name: str, at: str) -> Html:
    link = tag("a", name, href=view.path("releases", "tag", name))
    return tag("li", tag("span.grow", link), tag("span.quiet.small", when(at, "%-d %b")))


def _pull_line(view: View, one: Pull) -> Html:
    return tag(
        "li",
        tag("span.grow", tag("a", one.title, href=view.path("pull", one.number))),
        tag("span.quiet", f"#{one.number}"),
    )


def _branch_line(view: View, name: str, sha: str) -> Html:
    return tag("li", tag("span.grow", tag("a.small", name, href=view.path("tree", name))), view.commit(sha))


def _issue_row(view: View, one: Issue) -> Html:
    tone = "good" if one.state == "open" else "done"
    return tag(
        "div.row",
        pill(tone, one.state),
        tag(
            "div.grow",
            tag("a.main", one.title, href=view.path("issues", one.number)),
            tag("div.quiet", f"#{one.number} by {one.user} · ", when(one.created_at)),
        ),
        [tag("span.tag", name) for name in one.labels],
    )

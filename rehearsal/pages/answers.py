"""Which path shows what."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from rehearsal.pages import deployments, pull, records, releases, repository, run, timeline
from rehearsal.pages.layout import ASSETS, MERMAID, View, empty, page
from rehearsal.pages.markup import Html, tag

if TYPE_CHECKING:
    from rehearsal.forge import Forge

_STATIC = Path(__file__).parent / "static"
_FILES = {
    "pages.css": (_STATIC / "pages.css", "text/css; charset=utf-8"),
    "pages.js": (_STATIC / "pages.js", "text/javascript; charset=utf-8"),
    "mermaid.js": (MERMAID, "text/javascript; charset=utf-8"),
}
PAGE = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
ALONE = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The policy for a file that others wrote: it may show itself, and nothing else."""


@dataclass(frozen=True)
class Answer:
    """What a path shows.

    Attributes:
        body: The bytes, or the file that has them.
        media: Its type.
        status: Of HTTP.
        location: Path of the page to go to instead.
        name: What a file is called when it is saved; empty for what is shown.
        is_foreign: Others wrote it: it is shown under `ALONE`.
    """

    body: bytes | Path = b""
    media: str = PAGE
    status: int = 200
    location: str = ""
    name: str = ""
    is_foreign: bool = False


@dataclass(frozen=True)
class Asked:
    """What was asked for: the view of a repository, and the parts of the path."""

    view: View
    parts: dict[str, str] = field(default_factory=dict)

    def number(self, name: str = "number") -> int:
        """A part that is a whole number."""
        return int(self.parts[name])


Shown = Html | Answer | None
_PATHS: list[tuple[re.Pattern[str], Callable[[Asked], Shown]]] = []


def answer(forge: Forge, path: str, *, is_copy: bool = False) -> Answer:
    """What a path shows; the path is as in a URL, without query."""
    if path.startswith(f"{ASSETS}/"):
        return _asset(path.removeprefix(f"{ASSETS}/"))
    if path == "/":
        return _page(repository.everything(forge))
    owner, _, rest = path.strip("/").partition("/")
    name, _, below = rest.partition("/")
    known = forge.state.repository(f"{unquote(owner)}/{unquote(name)}")
    if known is None:
        return _missing(None)
    return shown(View(forge, known, is_copy=is_copy), unquote(below).rstrip("/"))


def shown(view: View, below: str) -> Answer:
    """What a path below a repository's shows."""
    for pattern, handler in _PATHS:
        found = pattern.fullmatch(below)
        if found:
            made = handler(Asked(view, found.groupdict()))
            return made if isinstance(made, Answer) else _page(made) if made else _missing(view)
    return _missing(view)


def _at(pattern: str) -> Callable[[Callable[[Asked], Shown]], Callable[[Asked], Shown]]:
    def register(handler: Callable[[Asked], Shown]) -> Callable[[Asked], Shown]:
        _PATHS.append((re.compile(pattern), handler))
        return handler

    return register


def _page(content: Html) -> Answer:
    return Answer(content.encode())


def _missing(view: View | None) -> Answer:
    body = [tag("h1", "Not found"), empty("There is no such page.")]
    return Answer(page("Not found", body, view).encode(), status=404)


def _asset(name: str) -> Answer:
    path, media = _FILES.get(name, (None, ""))
    return Answer(path, media) if path and path.is_file() else _missing(None)


@_at("")
def _home(asked: Asked) -> Shown:
    return repository.home(asked.view)


@_at(r"tree/(?P<rest>.+)")
def _tree(asked: Asked) -> Shown:
    return repository.tree(asked.view, *_ref_and_path(asked))


@_at(r"blob/(?P<rest>.+)")
def _blob(asked: Asked) -> Shown:
    return repository.blob(asked.view, *_ref_and_path(asked))


@_at(r"raw/(?P<rest>.+)")
def _raw(asked: Asked) -> Shown:
    content = repository.raw(asked.view, *_ref_and_path(asked))
    return None if content is None else Answer(content, TEXT, is_foreign=True)


@_at(r"picture/(?P<rest>.+)")
def _picture(asked: Asked) -> Shown:
    ref, path = _ref_and_path(asked)
    content, media = repository.raw(asked.view, ref, path), repository.media_type(path)
    return None if content is None or not media else Answer(content, media, is_foreign=True)


@_at(r"commits/(?P<ref>.+)")
def _commits(asked: Asked) -> Shown:
    return repository.commits(asked.view, asked.parts["ref"])


@_at(r"commit/(?P<sha>[0-9a-f]{7,40})")
def _commit(asked: Asked) -> Shown:
    return repository.commit(asked.view, asked.parts["sha"])


@_at("issues")
def _issues(asked: Asked) -> Shown:
    return repository.issues(asked.view)


@_at(r"issues/(?P<number>\d{1,9})")
def _issue(asked: Asked) -> Shown:
    if asked.view.state.pull(asked.view.name, asked.number()):
        return Answer(status=302, location=asked.view.path("pull", asked.number()))
    return repository.issue(asked.view, asked.number())


@_at("pulls")
def _pulls(asked: Asked) -> Shown:
    return pull.listing(asked.view)


@_at(r"pull/(?P<number>\d{1,9})(?:/(?P<tab>checks|commits|files))?")
def _pull(asked: Asked) -> Shown:
    found = asked.view.state.pull(asked.view.name, asked.number())
    tabs = {"checks": pull.check_page, "commits": pull.commit_page, "files": pull.file_page}
    return tabs.get(asked.parts["tab"] or "", pull.conversation)(asked.view, found) if found else None


@_at("actions")
def _runs(asked: Asked) -> Shown:
    return timeline.render(asked.view)


@_at(r"actions/workflows/(?P<file>[^/]+)")
def _workflow(asked: Asked) -> Shown:
    return timeline.render(asked.view, asked.parts["file"])


@_at(r"actions/runs/(?P<run>\d{1,18})(?:/attempts/(?P<number>\d{1,6}))?(?:/job/\d+)?")
def _run(asked: Asked) -> Shown:
    found = asked.view.state.run(asked.number("run"))
    if found is None or found.repository != asked.view.name:
        return None
    return run.render(asked.view, found, asked.number() if asked.parts["number"] else None)


@_at(r"actions/runs/(?P<run>\d{1,18})/attempts/(?P<number>\d{1,6})/log\.txt")
def _log(asked: Asked) -> Shown:
    found = asked.view.state.run(asked.number("run"))
    if found is None or found.repository != asked.view.name:
        return None
    return Answer(run.log_text(found, asked.number()).encode(), TEXT, is_foreign=True)


@_at(r"actions/runs/(?P<run>\d{1,18})/artifacts/(?P<number>\d{1,18})")
def _artifact(asked: Asked) -> Shown:
    known = (one for one in asked.view.state.artifacts if one.repository == asked.view.name)
    found = next((one for one in known if (one.run_id, one.id) == (asked.number("run"), asked.number())), None)
    if found is None or found.expired or not Path(found.path).is_file():
        return None
    if zipfile.is_zipfile(found.path):
        return Answer(Path(found.path), "application/zip", name=f"{found.name}.zip")
    is_page = Path(found.name).suffix == ".html" or Path(found.path).suffix == ".html"
    return Answer(Path(found.path), PAGE if is_page else repository.media_type(found.name) or TEXT, is_foreign=True)


@_at("records")
def _records(asked: Asked) -> Shown:
    return records.render(asked.view)


@_at("deployments")
def _deployments(asked: Asked) -> Shown:
    return deployments.render(asked.view)


@_at(r"releases(?:/tag/(?P<tag>.+))?")
def _releases(asked: Asked) -> Shown:
    return releases.render(asked.view, asked.parts["tag"])


@_at(r"releases/download/(?P<tag>.+)/(?P<name>[^/]+)")
def _download(asked: Asked) -> Shown:
    of_tag = (one for one in asked.view.state.releases_of(asked.view.name) if one.tag == asked.parts["tag"])
    found = next((asset for one in of_tag for asset in one.assets if asset.name == asked.parts["name"]), None)
    if found is None or not Path(found.path).is_file():
        return None
    if found.name.endswith(".html"):
        return Answer(Path(found.path), PAGE, is_foreign=True)
    return Answer(Path(found.path), "application/octet-stream", name=found.name)


def _ref_and_path(asked: Asked) -> tuple[str, str]:
    """The name of a branch may hold slashes: the shortest beginning that names something is the ref."""
    parts = asked.parts["rest"].split("/")
    for count in range(1, len(parts) + 1):
        ref = "/".join(parts[:count])
        if asked.view.git.resolve(ref):
            return ref, "/".join(parts[count:])
    return parts[0], "/".join(parts[1:])

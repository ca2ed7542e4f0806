"""The ledger as a table: every record on the branch `records`, newest first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rehearsal.forge.git import Git
from rehearsal.pages.layout import View, box, empty, page
from rehearsal.pages.markup import Child, Html, join, tag, text
from rehearsal.pages.words import NOTHING, when

BRANCH = "records"
_TONES = {"promote": "good", "hold": "wait", "block": "bad", "void": "none"}
_ELSEWHERE = frozenset({"version", "kind", "at", "pull_request", "sentence", "reason", "look", "verdict"})


def render(view: View) -> Html:
    """The page of all records."""
    found = read(view.git)
    about = tag(
        "p.quiet", "The branch ", view.branch(BRANCH), " is only ever appended to; every line is one file of it."
    )
    if not found:
        return page("Records", [tag("h1", "Records"), box(empty("Nothing was recorded yet."))], view, "records")
    titles = ("When", "Kind", "Pull request", "What", "Look", "Model")
    head = tag("tr", (tag("th", title) for title in titles))
    newest = sorted(found.items(), key=lambda item: (str(item[1].get("at", "")), item[0]), reverse=True)
    rows = (_row(view, path, record) for path, record in newest)
    table = box(tag("div.scroll", tag("table.data", head, rows)))
    return page("Records", [tag("h1", "Records"), about, table], view, "records")


def read(git: Git) -> dict[str, dict[str, Any]]:
    """Path to record; what is no JSON object is a record that says so."""
    sha = git.branch(BRANCH)
    if sha is None:
        return {}
    entries = [
        entry for entry in git.tree(sha, recursive=True) if entry.type == "blob" and entry.path.endswith(".json")
    ]
    return {entry.path: _record(git.blob(entry.sha)) for entry in entries if entry.sha}


def _record(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"kind": "not a record"}


def _row(view: View, path: str, record: Mapping[str, Any]) -> Html:
    number = record.get("pull_request")
    return tag(
        "tr",
        tag("td.nowrap", _when(record)),
        tag("td.nowrap", str(record.get("kind") or path.split("/", 1)[0].rstrip("s"))),
        tag("td", view.pull_link(number) if isinstance(number, int) else NOTHING),
        tag("td", _what(view, path, record)),
        tag("td.numeric", str(record.get("look") or NOTHING)),
        tag("td", _digest(record.get("model_digest"))),
    )


def _when(record: Mapping[str, Any]) -> Html:
    try:
        return when(str(record["at"]), "%-d %b, %H:%M:%S")
    except (KeyError, ValueError):
        return text(NOTHING)


def _what(view: View, path: str, record: Mapping[str, Any]) -> Html:
    verdict = str(record.get("verdict") or "")
    words: list[Child] = []
    if verdict:
        held = record.get("hold")
        words.append(tag("span", f"{verdict}, {held}" if held else verdict, class_=f"tag {_TONES.get(verdict, '')}"))
    words += [str(record[name]) for name in ("sentence", "reason", "tag") if record.get(name)]
    by = next((record[name] for name in ("by", "actor", "who") if record.get(name)), None)
    if by:
        words.append(tag("span.quiet", f"by {by}"))
    rest = {key: value for key, value in record.items() if key not in _ELSEWHERE}
    file = tag("a", path, href=view.path("blob", BRANCH, path))
    shown = tag("pre.quiet", json.dumps(rest, indent=2, ensure_ascii=False, default=str))
    return text([join(words), tag("details.small.quiet", tag("summary", "everything"), tag("p", file), shown)])


def _digest(digest: object) -> Html:
    return tag("code", str(digest)[:12], title=str(digest)) if digest else text(NOTHING)

"""What changed between two commits, file by file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rehearsal.forge.git import Changed
from rehearsal.pages.layout import empty
from rehearsal.pages.markup import Html, tag, text
from rehearsal.pages.words import plural

_HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_FOLDED_FROM = 400  # lines: a lock file or a log need not fill the page
_LINES = 3_000  # of one file, as GitHub shows them
_SIGNS = {"added": "+", "removed": "\N{MINUS SIGN}", "": ""}


@dataclass(frozen=True)
class Line:
    """A line of a patch.

    Attributes:
        kind: added, removed, hunk, or empty for a line that both have.
        old: Its number before; None where it was not there.
        new: Its number after; None where it no longer is there.
        content: Without the sign.
    """

    kind: str
    old: int | None
    new: int | None
    content: str


def lines(patch: str) -> Iterator[Line]:
    """The lines of a patch that begins with `@@`."""
    old = new = 0
    for line in patch.split("\n"):
        hunk = _HUNK.match(line)
        if hunk:
            old, new = int(hunk[1]), int(hunk[2])
            yield Line("hunk", None, None, line)
        elif line.startswith("+"):
            yield Line("added", None, new, line[1:])
            new += 1
        elif line.startswith("-"):
            yield Line("removed", old, None, line[1:])
            old += 1
        elif not line.startswith("\\"):  # "\ No newline at end of file"
            yield Line("", old, new, line[1:])
            old, new = old + 1, new + 1


def render(files: Sequence[Changed]) -> Html:
    """All files, each in a fold; long ones closed."""
    if not files:
        return tag("div.box", empty("No file differs."))
    added, removed = sum(file.additions for file in files), sum(file.deletions for file in files)
    head = tag("p.meta", plural(len(files), "file"), " changed, ", _counts(added, removed))
    return text([head, (_file(file) for file in files)])


def source(content: str) -> Html:
    """A file with line numbers."""
    rows = (
        tag("tr", tag("td.line", number, id=f"L{number}"), tag("td", line))
        for number, line in enumerate(content.removesuffix("\n").split("\n"), start=1)
    )
    return tag("div.source", tag("table.diff", rows))


def _counts(added: int, removed: int) -> Html:
    return text([tag("span.plus", f"+{added:,}"), " ", tag("span.minus", f"\N{MINUS SIGN}{removed:,}")])


def _file(file: Changed) -> Html:
    shown = list(lines(file.patch)) if file.patch else []
    name = f"{file.previous} → {file.path}" if file.previous else file.path
    note = tag("span.tag", file.status) if file.status not in {"modified", "changed"} else None
    head = tag("summary", tag("code", name), note, _counts(file.additions, file.deletions))
    left_out = len(shown) - _LINES
    rest = empty(f"{left_out:,} more lines are not shown.") if left_out > 0 else None
    columns = tag("colgroup", *(tag("col", class_=kind) for kind in ("line", "line", "sign", None)))
    body = tag("table.diff", columns, map(_row, shown[:_LINES])) if shown else empty(_why_empty(file))
    return tag("section.box", tag("details.file", head, body, rest, open=len(shown) < _FOLDED_FROM))


def _why_empty(file: Changed) -> str:
    if file.additions or file.deletions:
        return "The change is not shown."
    return "Renamed without a change." if file.previous else "Empty or binary: nothing to show."


def _row(line: Line) -> Html:
    if line.kind == "hunk":
        return tag("tr.hunk", tag("td", line.content, colspan=4))
    return tag(
        "tr",
        tag("td.line", line.old),
        tag("td.line", line.new),
        tag("td.sign", _SIGNS[line.kind]),
        tag("td", line.content),
        class_=line.kind or None,
    )

"""The one place that renders Markdown, in GitHub's dialect: tables, alerts, folded details, Mermaid charts.

Every text is neutralised: nothing in it can become markup, a link, a mention, a reference to an issue, or a new line.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from functools import singledispatch
from itertools import pairwise

from ratchet.report.document import (
    CELL,
    NAME,
    PARAGRAPH,
    Banner,
    Block,
    Callout,
    Code,
    Commands,
    Curves,
    Document,
    Forest,
    Headline,
    Items,
    Link,
    Log,
    Paragraph,
    Reliability,
    Section,
    Series,
    Span,
    Strong,
    Table,
    Text,
    Tone,
    is_address,
    plain,
    spans,
    tail,
)
from ratchet.report.scales import Scale, bounds, place, scales

LIMIT = 65_536  # of a GitHub comment, in characters; counted in UTF-8 bytes here, which are never fewer

SYMBOLS: dict[Tone, str] = {"good": "✅", "bad": "⛔", "wait": "⏸️", "none": "⚪", "busy": "⏳"}
_ALERTS: dict[Tone, str] = {"good": "TIP", "bad": "CAUTION", "wait": "WARNING", "none": "NOTE", "busy": "NOTE"}
_ZERO_WIDTH = "&#8203;"
_COLOURS = ("#8c959f", "#2f81f7")  # grey for comparison, blue for what matters: legible on white and on black
_FOREST_WIDTH, _LABEL_WIDTH = 41, 28
_GRID = 20


def render(document: Document, limit: int = LIMIT) -> str:
    """Markdown of at most `limit` bytes: sections that no longer fit are left out from the end, and named.

    The first section always stays; it must be short.
    """
    parts = [(section.title, _section(section)) for section in document.sections]
    for kept in range(len(parts), 0, -1):
        text = "\n\n".join([part for _, part in parts[:kept]] + _left_out([title for title, _ in parts[kept:]])) + "\n"
        if len(text.encode()) <= limit:
            return text
    return parts[0][1] + "\n" if parts else ""


def escape(text: object, limit: int = PARAGRAPH) -> str:
    """Plain text that GitHub shows as it is, at the beginning of a line, too."""
    # It begins no list, no heading and no rule.
    return re.sub(r"^(\d*)([-+=.)#])(?![\w.])", r"\1\\\2", _escaped(text, limit))


def _escaped(text: object, limit: int) -> str:
    escaped = html.escape(plain(text, limit), quote=False)
    escaped = re.sub(r"([\\`*_{}\[\]~|!])", r"\\\1", escaped)
    # A mention, an issue, a link, an e-mail address or an emoji is found in the text after the markup: cut it in two.
    escaped = re.sub(r"[@#](?=\S)|\b[Gg][Hh]-(?=\d)|:(?=//|[\w+-]+:)|\b[wW]{3}(?=\.)", rf"\g<0>{_ZERO_WIDTH}", escaped)
    # So is what could be the name of a commit, which takes seven digits.
    escaped = re.sub(r"\b[0-9a-fA-F]{7,40}\b", lambda word: _ZERO_WIDTH.join(_sixes(word[0])), escaped)
    return escaped.replace("$", "<span>$</span>")  # GitHub's own advice against `$…$` turning into a formula


def _sixes(word: str) -> list[str]:
    return [word[at : at + 6] for at in range(0, len(word), 6)]


def _section(section: Section) -> str:
    body = "\n\n".join(_block(block) for block in section.blocks)
    if not section.title:
        return body
    if section.folded:
        return f"<details><summary><b>{html.escape(section.title)}</b></summary>\n\n{body}\n\n</details>"
    return f"### {escape(section.title)}\n\n{body}"


def _left_out(titles: Sequence[str]) -> list[str]:
    if not titles:
        return []
    return [f"*Left out, for a comment holds no more: {', '.join(map(escape, titles))}. The HTML report has them.*"]


@singledispatch
def _block(block: Block) -> str:
    raise TypeError(block)


@_block.register
def _(block: Banner) -> str:
    heading = f"## {SYMBOLS[block.tone]} {escape(block.word, NAME)}"
    return f"{heading}\n\n> [!{_ALERTS[block.tone]}]\n> {escape(block.sentence)}"


@_block.register
def _(block: Headline) -> str:
    return f"### {SYMBOLS[block.tone]} {escape(block.sentence)}"


@_block.register
def _(block: Callout) -> str:
    return f"> [!{_ALERTS[block.tone]}]\n> {_text(block.text)}"


@_block.register
def _(block: Log) -> str:
    return fenced("text", tail(block.text))


@_block.register
def _(block: Paragraph) -> str:
    return _text(block.text)


@_block.register
def _(block: Items) -> str:
    return "\n".join(f"- {_text(item)}" for item in block.items)


@_block.register
def _(block: Commands) -> str:
    return fenced("sh", [plain(line, PARAGRAPH) for line in block.lines])


@_block.register
def _(block: Table) -> str:
    lines = [
        [escape(column.title) for column in block.columns],
        ["---:" if column.numeric else ":---" for column in block.columns],
        *([_text(cell, CELL) for cell in row] for row in block.rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@_block.register
def _(block: Forest) -> str:
    return fenced("text", [plain(block.title), "", *_forest(block)])


@_block.register
def _(block: Reliability) -> str:
    low, top = bounds(block)
    charts = [
        _chart(
            f"{block.title}, {series.name}",
            f'x-axis "tenths of the rows, from low to high scores" [{", ".join(map(str, _tenths(series)))}]',
            f'y-axis "{_quoted(block.y)}" {_figure(low)} --> {_figure(top)}',
            [("bar", [y for _, y in series.points]), ("line", [x for x, _ in series.points])],
        )
        for series in block.series
    ]
    return "\n\n".join([f"Bars: {escape(block.y)}. Line: {escape(block.x)}.", *charts])


@_block.register
def _(block: Curves) -> str:
    lines = [("line", _resampled(series)) for series in block.series]
    names = [escape(series.name) for series in block.series]
    shades = ("grey", "blue")[-len(names) :]
    caption = ", ".join(f"{shade}: {name}" for shade, name in zip(shades, names, strict=True))
    return f"{caption[:1].upper()}{caption[1:]}.\n\n" + _chart(
        block.title, f'x-axis "{_quoted(block.x)}" 0 --> 1', f'y-axis "{_quoted(block.y)}" 0 --> 1', lines
    )


def _text(text: Text, limit: int = PARAGRAPH) -> str:
    found = ""
    for span in spans(text):
        found += _span(span, limit, _escaped if found.strip() else escape)
    return found


def _span(span: Span, limit: int, escape: Callable[[object, int], str]) -> str:
    if isinstance(span, Strong):
        return f"**{escape(span.text, limit)}**" if plain(span.text) else ""
    if isinstance(span, Link):
        text = escape(span.text, limit)
        return f"[{text}]({span.address})" if is_address(span.address) and text else text
    if isinstance(span, Code):
        text = plain(span.text, NAME)
        # A code span cannot hold these safely inside a table.
        return escape(text, NAME) if re.search(r"[`|\\]", text) or not text else f"`{text}`"
    return _edges(span) + escape(span, limit) + _edges(span[::-1]) if span.strip() else span[:1]


def _edges(span: str) -> str:
    return " " if span.startswith(" ") else ""


def fenced(language: str, lines: Sequence[str]) -> str:
    """Lines as they are, behind a fence that none of them can end."""
    body = "\n".join(lines)
    fence = "`" * (1 + max(2, *(len(run) for run in re.findall("`*", body))))
    return f"{fence}{language}\n{body}\n{fence}"


def _forest(block: Forest) -> Iterator[str]:
    rows = list(zip(block.rows, scales(block), strict=True))
    if block.shared:
        yield _ruler(block, rows[0][1])
    for row, scale in rows:
        line = [" "] * _FOREST_WIDTH
        for mark in block.marks:
            line[_cell(mark.value, scale)] = "┊"
        first, middle, last = (_cell(value, scale) for value in (row.low, row.value, row.high))
        for at in range(first, last + 1):
            line[at] = "─"
        line[first], line[last] = "├" if row.low >= scale[0] else "◂", "┤" if row.high <= scale[1] else "▸"
        if scale[0] <= row.value <= scale[1]:
            line[middle] = "●"
        yield f"{plain(row.label, _LABEL_WIDTH):<{_LABEL_WIDTH}} {''.join(line)} {plain(row.figures)}".rstrip()


def _ruler(block: Forest, scale: Scale) -> str:
    line = [" "] * (_FOREST_WIDTH + _LABEL_WIDTH)
    free = 0
    for mark in sorted(block.marks, key=lambda mark: mark.value):
        start = max(free, _cell(mark.value, scale) - len(mark.label) // 2)
        line[start : start + len(mark.label)] = mark.label
        free = start + len(mark.label) + 1
    return f"{'':{_LABEL_WIDTH}} {''.join(line)}".rstrip()


def _cell(value: float, scale: Scale) -> int:
    return round(place(value, scale) * (_FOREST_WIDTH - 1))


def _chart(title: str, x: str, y: str, lines: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Mermaid's xychart-beta; https://mermaid.js.org/syntax/xyChart.html."""
    head = [
        "---",
        "config:",
        "  themeVariables:",
        "    xyChart:",
        f'      plotColorPalette: "{", ".join(_COLOURS[-len(lines) :])}"',
        "---",
    ]
    body = [f'    title "{_quoted(title)}"', f"    {x}", f"    {y}"]
    plots = [f"    {kind} [{', '.join(map(_figure, values))}]" for kind, values in lines]
    return fenced("mermaid", [*head, "xychart-beta", *body, *plots])


def _quoted(text: str) -> str:
    return re.sub(r'["\\;#<>&{}%`]', " ", plain(text))


def _figure(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _tenths(series: Series) -> range:
    return range(1, len(series.points) + 1)


def _resampled(series: Series) -> list[float]:
    """Heights at equal steps of x from 0 to 1, for Mermaid places the values of a line at equal steps."""
    return [_height(sorted(series.points), step / _GRID) for step in range(_GRID + 1)]


def _height(points: Sequence[tuple[float, float]], x: float) -> float:
    if x <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return points[-1][1]

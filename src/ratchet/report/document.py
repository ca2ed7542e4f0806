"""A document as data: what the report and the model card say, before anybody decides how it looks.

Two renderers draw it (`ratchet.report.markdown`, `ratchet.report.page`), so Markdown and HTML cannot disagree. Every
text in a document is plain text that may come from anywhere; escaping is the renderers' work and happens there alone.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "bad", "wait", "none", "busy"]

# Longest texts that are shown, in characters: names and values, table cells, sentences.
NAME, CELL, PARAGRAPH = 80, 300, 1500
# Of a log, the last lines and so many characters of each.
LOG_LINES, LOG_WIDTH = 60, 200


@dataclass(frozen=True)
class Code:
    """A name, a digest or a value, set as code."""

    text: str


@dataclass(frozen=True)
class Strong:
    """Words that carry the sentence."""

    text: str


@dataclass(frozen=True)
class Link:
    """Words that lead somewhere; an address that is not plain is not linked (see `is_address`).

    The address is the maker's own. Only texts may come from anywhere.
    """

    text: str
    address: str


Span = str | Code | Strong | Link
Text = Span | tuple[Span, ...]


@dataclass(frozen=True)
class Banner:
    """The verdict: one word, one sentence, a tone that symbol and colour repeat."""

    tone: Tone
    word: str
    sentence: str


@dataclass(frozen=True)
class Headline:
    """What a reader must know, in one sentence, with a tone that symbol and colour repeat."""

    tone: Tone
    sentence: str


@dataclass(frozen=True)
class Callout:
    """Sentences in a box that stands out, in a tone."""

    tone: Tone
    text: Text


@dataclass(frozen=True)
class Paragraph:
    """Some sentences."""

    text: Text


@dataclass(frozen=True)
class Column:
    """A table's column; numbers stand to the right."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells, as many cells in each as there are columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Text, ...], ...]


@dataclass(frozen=True)
class Items:
    """A list of short texts."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Commands:
    """Lines to type, kept as they are."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Log:
    """The end of what a program printed, line by line."""

    text: str


@dataclass(frozen=True)
class Interval:
    """One line of a forest plot."""

    label: str
    value: float
    low: float
    high: float
    figures: str = ""
    tone: Tone = "none"


@dataclass(frozen=True)
class Mark:
    """A vertical line of a forest plot, such as zero or the margin."""

    label: str
    value: float


@dataclass(frozen=True)
class Forest:
    """Intervals under each other, on one shared scale or each on its own (small multiples around zero)."""

    title: str
    rows: tuple[Interval, ...]
    marks: tuple[Mark, ...] = (Mark("0", 0.0),)
    shared: bool = True


@dataclass(frozen=True)
class Series:
    """Points of one line; the last series of a chart is the one that matters, earlier ones are for comparison."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Reliability:
    """What was predicted (x) against what happened (y), bin by bin; a perfect model is on the diagonal."""

    title: str
    x: str
    y: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Curves:
    """Lines over x from 0 to 1, y from 0 to 1."""

    title: str
    x: str
    y: str
    series: tuple[Series, ...]


Block = Banner | Headline | Callout | Paragraph | Table | Items | Commands | Log | Forest | Reliability | Curves


@dataclass(frozen=True)
class Section:
    """Blocks under a title; without blocks there is nothing to show. Details are folded where space is short."""

    title: str
    blocks: tuple[Block, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Document:
    """A title and the sections that have something to say, most important first."""

    title: str
    sections: tuple[Section, ...]


def document(title: str, sections: Sequence[Section]) -> Document:
    """A document of the sections that are not empty."""
    return Document(title, tuple(section for section in sections if section.blocks))


def plain(text: object, limit: int = CELL) -> str:
    """One line of visible characters, clipped.

    Line breaks become spaces; control, format (zero-width, text direction), unassigned and surrogate code points go.
    """
    # Only so much is looked at that a megabyte in a cell costs nothing.
    spaced = re.sub(r"\s+", " ", str(text)[: 4 * limit])
    visible = _visible(spaced).strip()
    return visible if len(visible) <= limit else visible[: limit - 1].rstrip() + "…"


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def tail(text: str) -> list[str]:
    """The last lines of what a program printed: visible characters, spaces kept, no colours, clipped."""
    printed = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", text[-LOG_LINES * LOG_WIDTH :]).expandtabs(4)
    lines = [_visible(line.rsplit("\r", 1)[-1]).rstrip() for line in re.split(r"\r?\n", printed)]
    while lines and not lines[-1]:
        lines.pop()
    return [line if len(line) <= LOG_WIDTH else line[: LOG_WIDTH - 1] + "…" for line in lines[-LOG_LINES:]]


def _visible(text: str) -> str:
    return "".join(c for c in text if unicodedata.category(c) not in _INVISIBLE)


_LONGEST_ADDRESS = 500


def is_address(text: str) -> bool:
    """Whether it is an absolute web address of harmless characters, without a step upwards."""
    if len(text) > _LONGEST_ADDRESS:
        return False
    known = re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[\w./~?=&%#+-]*)?", text, re.ASCII)
    return known is not None and re.search(r"/\.\.|%2e", text, re.IGNORECASE) is None


def spans(text: Text) -> tuple[Span, ...]:
    """The parts of a text."""
    return text if isinstance(text, tuple) else (text,)


# Numbers as people read them.

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"


def finite(value: object) -> float | None:
    """The value when it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def number(value: object, *, signed: bool = False) -> str:
    """Four decimals below 10, fewer above; a dash when there is no number."""
    figure = finite(value)
    if figure is None:
        return DASH
    size = abs(figure)
    decimals = 4 if size < 10 else 2 if size < 1000 else 0
    text = f"{size:,.{decimals}f}" if size < 1e15 else f"{size:.4g}"
    sign = MINUS if figure < 0 else "+" if signed and figure > 0 else ""
    return sign + text


def count(value: object) -> str:
    """A whole number with separators."""
    figure = finite(value)
    return DASH if figure is None else f"{figure:,.0f}".replace("-", MINUS)


def between(low: object, high: object, *, signed: bool = False) -> str:
    """An interval, or a dash when an end is missing."""
    if finite(low) is None or finite(high) is None:
        return DASH
    return f"{number(low, signed=signed)} to {number(high, signed=signed)}"


def percent(value: object) -> str:
    """A share with one decimal."""
    figure = finite(value)
    return DASH if figure is None else f"{100 * figure:.1f} %".replace("-", MINUS)


def size(value: object) -> str:
    """Bytes as kB or MB (powers of ten)."""
    figure = finite(value)
    if figure is None:
        return DASH
    return f"{figure / 1e6:.2f} MB" if figure >= 1e6 else f"{figure / 1e3:.1f} kB"


def duration(value: object) -> str:
    """Seconds as people say them: 4.1 s, 3 min 12 s, 1 h 4 min."""
    seconds = finite(value)
    if seconds is None:
        return DASH
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"

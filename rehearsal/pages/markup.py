"""HTML that is safe by construction: text is escaped unless it is `Html` already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "wbr"})


class Html(str):
    """Text that is markup already; only this package makes it."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"


def text(child: Child) -> Html:
    """Markup of a child: `Html` as it is, other text escaped, None nothing, a sequence one after the other."""
    if child is None:
        return Html()
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return Html(escape(str(child)))
    return Html("".join(text(part) for part in child))


def tag(name: str, /, *children: Child, **attributes: str | int | bool | None) -> Html:
    """An element.

    Args:
        name: Of the element, perhaps with classes: `div.box.quiet`.
        children: What it holds.
        attributes: `for_` stands for `for`, and `data_path` for `data-path`; None and False leave the attribute out,
            True writes it without a value.
    """
    kind, *classes = name.split(".")
    if classes:
        attributes = {"class_": " ".join(classes), **attributes}
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if kind in _VOID:
        return Html(f"<{kind}{written}>")
    return Html(f"<{kind}{written}>{text(children)}</{kind}>")


def join(parts: Iterable[Child], between: Child = " ") -> Html:
    """The parts with something between them."""
    return Html(text(between).join(text(part) for part in parts))


def _attribute(key: str, value: str | int | bool | None) -> str:  # noqa: FBT001 (an attribute without a value is True)
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'

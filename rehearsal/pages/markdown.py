"""Markdown as GitHub shows it: tables, alerts, task lists, folds, Mermaid; sanitised: nothing in it can run or load.

Mentions, numbers of issues and SHAs are marked as on GitHub: a text that should have been neutralised is seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, urljoin, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.gfm import gfm_plugin

from rehearsal.pages.markup import Html

_TAGS = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdo",
        "blockquote",
        "br",
        "caption",
        "cite",
        "code",
        "dd",
        "del",
        "details",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "h7",
        "h8",
        "hr",
        "i",
        "img",
        "input",
        "ins",
        "kbd",
        "li",
        "mark",
        "ol",
        "p",
        "pre",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "section",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "time",
        "tr",
        "tt",
        "ul",
        "var",
        "wbr",
    ]
)
_ATTRIBUTES = {
    "*": {"align", "dir", "id", "lang", "title"},
    "a": {"href"},
    "details": {"open"},
    "img": {"src", "alt", "width", "height"},
    "li": {"value"},
    "ol": {"start", "type"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "time": {"datetime"},
}
_ALERTS = {f"markdown-alert-{kind}" for kind in ("note", "tip", "important", "warning", "caution")}
_CLASSES = {
    "div": {"markdown-alert", *_ALERTS},
    "p": {"markdown-alert-title"},
    "ul": {"contains-task-list"},
    "li": {"task-list-item"},
    "pre": {"mermaid"},
    "a": {"mention"},
    "section": {"footnotes"},
}
_OWN_ID = "user-content-"  # as on GitHub: an id of a text never meets an id of the page

_REFERENCE = re.compile(
    r"(?<![\w`/&])(?:@(?P<login>[a-zA-Z\d](?:[a-zA-Z\d]|-(?=[a-zA-Z\d])){0,38})(?!\w)"
    r"|(?:#|GH-)(?P<number>\d+)(?!\w)"
    r"|(?P<sha>[0-9a-f]{40})(?!\w))"
)


@dataclass(frozen=True)
class Place:
    """Where a text stands.

    Attributes:
        repository: `owner/name`.
        server: The forge's own URL; links to it become links between pages.
        ref: What relative links of a file start from; a comment's start from the default branch.
        path: Of the file in the repository; empty for comments.
        breaks: Whether a new line in the source is one on the page, as in comments.
    """

    repository: str
    server: str = ""
    ref: str = "HEAD"
    path: str = ""
    breaks: bool = True


def render(source: str, place: Place) -> Html:
    """Sanitised HTML of a Markdown text."""
    return clean(_parser(place.breaks).render(source, {"place": place}), place)


def clean(markup: str, place: Place) -> Html:
    """HTML without what could run, load or pretend; links are resolved from the place."""

    def resolved(element: str, attribute: str, value: str) -> str | None:
        if element == "a" and attribute == "href":
            return _link(value, place)
        if element == "img" and attribute == "src":
            return _image(value, place)
        return value

    return Html(
        nh3.clean(
            markup,
            tags=set(_TAGS),
            clean_content_tags={"script", "style", "title", "template", "iframe", "noscript"},
            attributes={key: set(value) for key, value in _ATTRIBUTES.items()},
            attribute_filter=resolved,
            allowed_classes={key: set(value) for key, value in _CLASSES.items()},
            set_tag_attribute_values={"input": {"type": "checkbox", "disabled": ""}},
            tag_attribute_values={"input": {"checked": {""}}},
            url_schemes={"http", "https", "mailto"},
            link_rel="nofollow noopener noreferrer",
            id_prefix=_OWN_ID,
        )
    )


@cache
def _parser(breaks: bool) -> MarkdownIt:  # noqa: FBT001 (the one option)
    parser = MarkdownIt("commonmark", {"html": True, "breaks": breaks}).use(gfm_plugin)
    parser.core.ruler.push("references", _references)
    parser.core.ruler.push("alignment", _alignment)
    parser.core.ruler.push("headings", _headings)
    parser.add_render_rule("fence", _fence)
    return parser


def _fence(_: RendererProtocol, tokens: Sequence[Token], index: int, *__: object) -> str:
    if tokens[index].info.strip().split(" ")[0] == "mermaid":
        return f'<pre class="mermaid">{_escaped(tokens[index].content)}</pre>\n'
    return f"<pre><code>{_escaped(tokens[index].content)}</code></pre>\n"


def _escaped(content: str) -> str:
    return content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _references(state: StateCore) -> None:
    place: Place = state.env["place"]
    for token in state.tokens:
        if token.type == "inline" and token.children:
            token.children = list(_linked(token.children, place))


def _linked(children: Sequence[Token], place: Place) -> Iterator[Token]:
    depth = 0
    for child in children:
        depth += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if child.type == "text" and depth == 0:
            yield from _references_in(child.content, place)
        else:
            yield child


def _references_in(content: str, place: Place) -> Iterator[Token]:
    end = 0
    for found in _REFERENCE.finditer(content):
        yield _text(content[end : found.start()])
        yield from _reference(found, place)
        end = found.end()
    yield _text(content[end:])


def _reference(found: re.Match[str], place: Place) -> Iterator[Token]:
    base = f"/{place.repository}"
    if found["login"]:  # everyone is told; there are no pages of people
        yield Token("link_open", "a", 1, attrs={"class": "mention"})
        yield _text(found[0])
        yield Token("link_close", "a", -1)
        return
    if found["number"]:
        target, shown = f"{base}/issues/{found['number']}", found[0]
    else:
        target, shown = f"{base}/commit/{found['sha']}", found["sha"][:7]
    yield Token("link_open", "a", 1, attrs={"href": target})
    yield _text(shown)
    yield Token("link_close", "a", -1)


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _alignment(state: StateCore) -> None:
    """The alignment of a cell as an attribute: styles are removed."""
    for token in state.tokens:
        if token.type in {"th_open", "td_open"} and "style" in token.attrs:
            token.attrs["align"] = str(token.attrs.pop("style")).removeprefix("text-align:")


def _headings(state: StateCore) -> None:
    """Ids for links within a text: the words of the heading, as GitHub makes them."""
    seen: dict[str, int] = {}
    for opening, inline in zip(state.tokens, state.tokens[1:], strict=False):
        if opening.type == "heading_open":
            words = "".join(child.content for child in inline.children or [])
            slug = re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-")
            count = seen[slug] = seen.get(slug, -1) + 1
            opening.attrs["id"] = f"{slug}-{count}" if count else slug


def _link(target: str, place: Place) -> str | None:
    if target.startswith("#"):
        return f"#{_OWN_ID}{target[1:]}"
    if urlsplit(target).scheme or target.startswith("//"):
        return own(target, place) or (None if target.startswith("//") else target)
    return _resolved(target, place, "blob")


def own(target: str, place: Place) -> str | None:
    """The path of a URL of this forge, with query and fragment; None for any other.

    A forge that is opened again may have another port: a page of the same repository on this machine is its page too.
    """
    if place.server and (target == place.server or target.startswith(f"{place.server}/")):
        return target[len(place.server) :] or "/"
    earlier = re.match(rf"http://127\.0\.0\.1(?::\d+)?(/{re.escape(place.repository)}(?:[/?#].*)?)$", target)
    return earlier[1] if earlier else None


def _image(source: str, place: Place) -> str | None:
    """Only files of the repository: a picture elsewhere tells its host who reads."""
    if urlsplit(source).scheme or source.startswith("//"):
        return None
    return _resolved(source, place, "picture")


def _resolved(target: str, place: Place, view: str) -> str:
    if target.startswith(f"/{place.repository}/") or (target.startswith("/") and not place.path):
        return target
    path, mark, fragment = target.partition("#")
    inside = urljoin(f"/{place.path}", path).lstrip("/")
    anchor = f"#{_OWN_ID}{fragment}" if mark else ""
    return f"/{place.repository}/{view}/{quote(place.ref)}/{quote(inside, safe='/%')}{anchor}"

"""The one place that renders HTML: a page that holds all it needs, runs nothing, and suits light and dark."""

from __future__ import annotations

from functools import singledispatch
from html import escape

from ratchet.report import pictures
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

_SYMBOLS: dict[Tone, str] = {"good": "✓", "bad": "✕", "wait": "Ⅱ", "none": "○", "busy": "…"}

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # whatever slipped in could neither run nor load anything

_STYLE = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1f2328; --quiet: #59636e; --rule: #d8dee4; --band: #f6f8fa;
  --main: #0969da; --other: #8c959f;
  --good: #1a7f37; --bad: #cf222e; --wait: #9a6700; --none: #59636e;
  --good-tint: #dafbe1; --bad-tint: #ffebe9; --wait-tint: #fff8c5; --none-tint: #eff1f3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --text: #e6edf3; --quiet: #9198a1; --rule: #30363d; --band: #151b23;
    --main: #4493f8; --other: #7d8590;
    --good: #3fb950; --bad: #f85149; --wait: #d29922; --none: #9198a1;
    --good-tint: #12261e; --bad-tint: #2d1416; --wait-tint: #272115; --none-tint: #1c2128;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 58rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
h1 { margin: 0 0 1.25rem; font-size: 1.05rem; font-weight: 600; color: var(--quiet); }
h2 { margin: 2.75rem 0 .75rem; font-size: 1.2rem; font-weight: 600; line-height: 1.3; }
p { margin: .6rem 0; max-width: 44rem; }
ul { margin: .6rem 0; padding-left: 1.2rem; max-width: 44rem; }
li { margin: .25rem 0; }
code, pre { font: .875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { padding: .1em .35em; border-radius: 4px; background: var(--band); }
pre { padding: .9rem 1rem; border-radius: 8px; background: var(--band); overflow-x: auto; overflow-wrap: normal; }
.banner {
  display: grid; grid-template-columns: auto 1fr; gap: .1rem 1rem; align-items: center; margin: 0 0 1.25rem;
  padding: 1.1rem 1.25rem; border-radius: 10px; border-left: 6px solid;
}
.banner .symbol {
  grid-row: span 2; align-self: start; width: 2.6rem; height: 2.6rem; border-radius: 50%; color: var(--page);
  display: grid; place-items: center; font-size: 1.3rem; font-weight: 700; line-height: 1;
}
.banner strong { font-size: 1.5rem; line-height: 1.25; font-weight: 650; }
.banner p { margin: .15rem 0 0; }
.callout {
  margin: 1rem 0; padding: .7rem 1rem; border-left: 4px solid var(--quiet); background: var(--band); max-width: none;
}
.callout.good { border-color: var(--good); } .callout.bad { border-color: var(--bad); }
.callout.wait { border-color: var(--wait); }
a { color: var(--main); }
.banner.good { border-color: var(--good); background: var(--good-tint); } .good .symbol { background: var(--good); }
.banner.bad { border-color: var(--bad); background: var(--bad-tint); } .bad .symbol { background: var(--bad); }
.banner.wait { border-color: var(--wait); background: var(--wait-tint); } .wait .symbol { background: var(--wait); }
.banner.none { border-color: var(--none); background: var(--none-tint); } .none .symbol { background: var(--none); }
.banner.busy { border-color: var(--main); background: var(--none-tint); } .busy .symbol { background: var(--main); }
.banner.good strong { color: var(--good); } .banner.bad strong { color: var(--bad); }
.banner.wait strong { color: var(--wait); } .banner.none strong { color: var(--none); }
.scroll { overflow-x: auto; margin: .9rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; overflow-wrap: normal; }
th { text-align: left; font-weight: 600; color: var(--quiet); white-space: nowrap; }
th, td { padding: .42rem .8rem; border-bottom: 1px solid var(--rule); vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; } th:last-child, td:last-child { padding-right: 0; }
.numeric { text-align: right; white-space: nowrap; }
td { min-width: 3.5rem; max-width: 26rem; overflow-wrap: break-word; }
figure { margin: .9rem 0; }
figcaption { font-size: .875rem; color: var(--quiet); margin-bottom: .4rem; }
.panels { display: flex; flex-wrap: wrap; gap: 0 2.5rem; }
svg { display: block; max-width: 100%; height: auto; overflow: visible; }
.figure-scroll { overflow-x: auto; } .figure-scroll svg.wide { min-width: 24rem; }
svg text { fill: var(--text); font-size: 13px; font-family: inherit; }
svg .tick, svg .axis { fill: var(--quiet); font-size: 12px; }
svg .figures { font-size: 12.5px; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .zero { stroke: var(--quiet); stroke-width: 1.25; }
svg .mark { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 3 3; }
svg .interval { stroke: var(--main); fill: var(--main); stroke-width: 2; }
svg .interval .reach { fill: none; }
svg .interval.good { stroke: var(--good); fill: var(--good); }
svg .interval.bad { stroke: var(--bad); fill: var(--bad); }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .curve.main { stroke: var(--main); } svg .curve.other { stroke: var(--other); stroke-dasharray: 6 3; }
svg .dot.main { fill: var(--main); } svg .dot.other { fill: var(--page); stroke: var(--other); stroke-width: 2; }
.key { display: inline-block; width: 1.4em; height: 0; margin: 0 .4em .25em 0; border-top: 3px solid var(--main); }
.key.other { border-top: 3px dashed var(--other); } .legend { margin-right: 1.2em; white-space: nowrap; }
@media (max-width: 40rem) {
  body { padding: 1rem .9rem 3rem; } .banner { padding: .9rem 1rem; gap: .1rem .8rem; }
  th, td { padding: .4rem .5rem; }
}
@media print { body { max-width: none; } section { break-inside: avoid; } }
"""


def render(document: Document) -> str:
    """A page; all its sections, unfolded."""
    title = escape(plain(document.title))
    sections = "\n".join(_section(section) for section in document.sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{title}</h1>\n{sections}\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    title = f"<h2>{escape(plain(section.title))}</h2>\n" if section.title else ""
    blocks = "\n".join(_block(block) for block in section.blocks if not isinstance(block, Reliability | Curves))
    panels = "".join(_block(block) for block in section.blocks if isinstance(block, Reliability | Curves))
    together = f'\n<div class="panels">{panels}</div>' if panels else ""
    return f"<section>\n{title}{blocks}{together}\n</section>"


@singledispatch
def _block(block: Block) -> str:
    raise TypeError(block)


@_block.register
def _(block: Banner) -> str:
    return (
        f'<div class="banner {block.tone}" role="status"><span class="symbol" aria-hidden="true">'
        f"{_SYMBOLS[block.tone]}</span><strong>{escape(plain(block.word, NAME))}</strong>"
        f"<p>{escape(plain(block.sentence, PARAGRAPH))}</p></div>"
    )


@_block.register
def _(block: Headline) -> str:
    return (
        f'<div class="banner {block.tone}" role="status"><span class="symbol" aria-hidden="true">'
        f"{_SYMBOLS[block.tone]}</span><p>{escape(plain(block.sentence, PARAGRAPH))}</p></div>"
    )


@_block.register
def _(block: Callout) -> str:
    return f'<p class="callout {block.tone}">{_text(block.text)}</p>'


@_block.register
def _(block: Log) -> str:
    return f"<pre>{escape(chr(10).join(tail(block.text)))}</pre>"


@_block.register
def _(block: Paragraph) -> str:
    return f"<p>{_text(block.text)}</p>"


@_block.register
def _(block: Items) -> str:
    return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in block.items)}</ul>"


@_block.register
def _(block: Commands) -> str:
    return f"<pre>{escape(chr(10).join(plain(line, PARAGRAPH) for line in block.lines))}</pre>"


@_block.register
def _(block: Table) -> str:
    kinds = [' class="numeric"' if column.numeric else "" for column in block.columns]
    head = "".join(f"<th{k}>{escape(plain(c.title))}</th>" for k, c in zip(kinds, block.columns, strict=True))
    rows = (
        "<tr>" + "".join(f"<td{k}>{_text(cell, CELL)}</td>" for k, cell in zip(kinds, row, strict=True)) + "</tr>\n"
        for row in block.rows
    )
    titles = f"<thead><tr>{head}</tr></thead>\n" if any(column.title for column in block.columns) else ""
    return f'<div class="scroll"><table>\n{titles}<tbody>\n{"".join(rows)}</tbody></table></div>'


@_block.register
def _(block: Forest) -> str:
    return _figure(block.title, f'<div class="figure-scroll">{pictures.forest(block)}</div>')


@_block.register
def _(block: Reliability) -> str:
    return _figure(block.title, pictures.reliability(block), block.series)


@_block.register
def _(block: Curves) -> str:
    return _figure(block.title, pictures.curves(block), block.series)


def _figure(title: str, picture: str, series: tuple[Series, ...] = ()) -> str:
    legend = " ".join(
        f'<span class="legend"><i class="key {shade}"></i>{escape(plain(one.name))}</span>'
        for shade, one in zip(pictures.shades(series), series, strict=True)
    )
    return (
        f"<figure><figcaption>{escape(plain(title))}{'<br>' if legend else ''}{legend}</figcaption>{picture}</figure>"
    )


def _text(text: Text, limit: int = PARAGRAPH) -> str:
    return "".join(_span(span, limit) for span in spans(text))


def _span(span: Span, limit: int) -> str:
    if isinstance(span, Strong):
        return f"<strong>{escape(plain(span.text, limit))}</strong>"
    if isinstance(span, Link):
        text = escape(plain(span.text, limit))
        return f'<a href="{escape(span.address)}">{text}</a>' if is_address(span.address) and text else text
    if isinstance(span, Code):
        return f"<code>{escape(plain(span.text, NAME))}</code>"
    if not span.strip():
        return span[:1]
    before, after = (" " if span[at : at + 1] == " " else "" for at in (0, len(span) - 1))
    return f"{before}{escape(plain(span, limit))}{after}"

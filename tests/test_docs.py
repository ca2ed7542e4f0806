"""The documents say what there is: every command they name exists, every command there is is named, links lead on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ratchet.cli import cli

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]

FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^(?: {4}|\t)[^\n]*\n?)+", re.MULTILINE)
SPAN = re.compile(r"(`+)([^`].*?)\1")
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)[^)]*\)")
SOURCE = re.compile(r"""<(?:img|a)\b[^>]*?\b(?:src|href)=["']([^"']+)""")


def code(text: str) -> list[str]:
    """Code blocks (no diagrams) and code spans of a page, without the comments in them."""
    blocks = [content for language, content in FENCED.findall(text) if language != "mermaid"]
    prose = FENCED.sub("", text)
    blocks += INDENTED.findall(prose)
    spans = [content for _, content in SPAN.findall(INDENTED.sub("", prose))]
    return [re.sub(r"(^|\s)#.*", "", part) for part in blocks + spans]


def named(program: str, text: str) -> set[str]:
    """First arguments with which a page calls a program, where a command can begin."""
    call = re.compile(rf"(?:^|[$;&|(=]|\brun|\S=\S+)[ \t]*\b{program} +([a-z][a-z-]*)", re.MULTILINE)
    return {verb for part in code(text) for verb in call.findall(part)}


def targets() -> set[str]:
    """Targets of the Makefile, as `make help` shows them."""
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  make (\S+)", shown, re.MULTILINE))


def anchors(text: str) -> set[str]:
    """Anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ +(.+?) *#*$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    """Targets of links and pictures outside of code that lead to this repository."""
    prose = SPAN.sub("", FENCED.sub("", text))
    return [target for target in LINK.findall(prose) + SOURCE.findall(prose) if not re.match(r"[a-z]+:", target)]


class TestReading:
    """What counts as a command and as a link."""

    def test_commands_are_read_from_code_only(self) -> None:
        """Blocks and spans, after a prompt or a variable; neither prose, nor comments, nor diagrams."""
        page = (
            "Use ratchet well, make sense: `ratchet digest` or `A=b ratchet track`.\n"
            "```sh\n$ make demo && ratchet score a b # ratchet nothing\n```\n"
            "```mermaid\nratchet picture\n```\n\n"
            "    make test\n    src/ratchet  the loop\n"
        )

        assert named("ratchet", page) == {"digest", "track", "score"}
        assert named("make", page) == {"demo", "test"}

    def test_links_are_those_into_the_repository(self) -> None:
        """With their anchor; other hosts are not asked."""
        page = '[a](docs/a.md#b) [c](https://example.org) `[d](e)` <img src="f.svg"> [g](#h)'

        assert links(page) == ["docs/a.md#b", "#h", "f.svg"]

    def test_anchors_are_as_github_makes_them(self) -> None:
        """Lower case, without punctuation, spaces as hyphens."""
        assert anchors("# What's `this`?\n## A  b\n```\n# no\n```\n") == {"whats-this", "a--b"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
class TestPages:
    """README and docs."""

    def test_every_command_exists(self, page: Path) -> None:
        """Verbs of `ratchet`, and targets of `make`."""
        text = page.read_text()

        assert named("ratchet", text) <= set(cli.commands)
        assert named("make", text) <= targets()

    def test_every_link_leads_to_a_file(self, page: Path) -> None:
        """And to a heading in it, where it names one."""
        broken = []
        for link in links(page.read_text()):
            name, _, anchor = link.partition("#")
            target = (page.parent / name) if name else page
            if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
                broken.append(link)

        assert broken == []


class TestReadme:
    """The one page everybody reads."""

    def test_every_verb_is_documented(self) -> None:
        """By a call of it."""
        assert set(cli.commands) - named("ratchet", README.read_text()) == set()

    def test_every_target_is_documented(self) -> None:
        """By a call of it."""
        assert targets() - named("make", README.read_text()) == set()


def test_make_help_shows_every_target() -> None:
    """A phony target without a description would be hidden."""
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert targets() == set(phony.split())

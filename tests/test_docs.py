"""The documents say what there is: every command they name exists, every command there is is named, links lead on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ratchet import judge
from ratchet.cli import cli

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [path for path in (README, *sorted((ROOT / "docs").glob("*.md"))) if path.exists()]

FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^(?: {4}|\t)[^\n]*\n?)+", re.MULTILINE)
SPAN = re.compile(r"(`+)([^`].*?)\1")
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)[^)]*\)")
SOURCE = re.compile(r"""<(?:img|a)\b[^>]*?\b(?:src|href)=["']([^"']+)""")
PLACE = re.compile(r"(?:\.github|src|pipelines|rehearsal|tests|bench|docs)/[\w./-]*")
WORKFLOWS = ROOT / ".github" / "workflows"


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


def places(text: str) -> list[str]:
    """Paths of this repository that stand in a code span of their own."""
    prose = INDENTED.sub("", FENCED.sub("", text))
    return [content for _, content in SPAN.findall(prose) if PLACE.fullmatch(content)]


def rights() -> dict[tuple[str, str], set[str]]:
    """What docs/security.md says that a workflow's job may do."""
    rows = re.findall(
        r"^\| `(\w+\.yml)` \| `(\w+)` \| ([^|]+) \|", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE
    )
    return {(workflow, job): set(re.findall(r"`([^`]+)`", may)) for workflow, job, may in rows}


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

    def test_paths_are_code_spans_that_are_nothing_else(self) -> None:
        """Neither those with a gap to be filled, nor what runs leave behind."""
        page = "`src/ratchet/` and `docs/a.md`, not `python bench/b.py`, `adopt/…`, `build/c` or tests/d.py"

        assert places(page) == ["src/ratchet/", "docs/a.md"]

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

    def test_every_path_exists(self, page: Path) -> None:
        """Files and folders that a page names; those of the example also where another problem has taken its place."""
        named = [place.replace("src/flights/", "tests/problems/toy_departures/") for place in places(page.read_text())]

        assert [place for place in named if not (ROOT / place).exists()] == []

    def test_every_workflow_exists(self, page: Path) -> None:
        """By the name of its file."""
        spans = [content for _, content in SPAN.findall(FENCED.sub("", page.read_text()))]
        named_files = {span for span in spans if re.fullmatch(r"\w+\.yml", span)}

        assert named_files - {"action.yml"} <= {path.name for path in WORKFLOWS.glob("*.yml")}


@pytest.mark.skipif(
    not README.exists() or "\n## What is where\n" not in README.read_text(),
    reason="this README is the repository's own",
)
class TestReadme:
    """The one page everybody reads, as long as it is the template's: others tell of their own project."""

    def test_every_verb_is_documented(self) -> None:
        """By a call of it."""
        assert set(cli.commands) - named("ratchet", README.read_text()) == set()

    def test_every_target_is_documented(self) -> None:
        """By a call of it."""
        assert targets() - named("make", README.read_text()) == set()

    def test_every_module_has_its_place(self) -> None:
        """Each module and package of the loop stands in *What is where*, and nothing else stands there."""
        tree = README.read_text().partition("src/ratchet/ ")[2].partition("\n.github/")[0]
        told = {name for line in tree.splitlines()[1:] for name in line.strip().partition("  ")[0].split()}

        assert told == {
            path.stem
            for path in (ROOT / "src" / "ratchet").iterdir()
            if path.suffix in {".py", ""} and path.stem[0] != "_"
        }


class TestSecurity:
    """The two pages that say who decides."""

    def test_rights_are_those_of_the_files(self) -> None:
        """The table of workflows has every job, with the permissions that its file gives it."""
        files = {path.name: yaml.safe_load(path.read_text()) for path in sorted(WORKFLOWS.glob("*.yml"))}

        assert rights() == {
            (name, key): {f"{scope}: {level}" for scope, level in job["permissions"].items()}
            for name, content in files.items()
            for key, job in content["jobs"].items()
        }

    def test_what_judges_is_listed(self) -> None:
        """Every path and parameter whose change is a change of the judge."""
        spans = {content for _, content in SPAN.findall((ROOT / "docs" / "pull-requests.md").read_text())}
        keys = {f"{key}*" if key.endswith(".") else key for key in judge.POLICY}

        assert {*judge.JUDGES, *judge.FREE, *keys} - spans == set()


def test_make_help_shows_every_target() -> None:
    """A phony target without a description would be hidden."""
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert targets() == set(phony.split())

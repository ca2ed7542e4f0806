"""The one comment on a pull request: what came out, what to do next, and the evidence, folded.

A run that has begun:            `comment.pending(facts)`
A run that is held for approval: `comment.held(facts)`
A run that was judged, or why it could not be:
                                 `comment.render(judgement, look, history, acceptance, links)`
A run that ended without a word: `comment.error(facts, "The run was cancelled.")`
A maintainer who let it pass:    `comment.accepted(body, acceptance)`

Pure: records in, Markdown out. Every comment begins with `MARKER`, by which the one comment is found again. What stands
in it may come from anywhere, so it is a `ratchet.report.Document`, whose renderer alone escapes; addresses are linked
only when they lie inside the repository.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ratchet.errors import RatchetError
from ratchet.report import Inputs, Section, Side, document, markdown, sections
from ratchet.report.document import (
    Block,
    Callout,
    Code,
    Headline,
    Items,
    Link,
    Log,
    Paragraph,
    Span,
    Strong,
    Text,
    Tone,
    plain,
)

Record = Mapping[str, Any]
Spans = tuple[Span, ...]

MARKER = "<!-- ratchet -->"

MOST_EARLIER = 30
MOST_UNFOLDED = 8  # rows of parameters that stand open

# The first section always stays whole, so its texts are short: headline, the sentences after it, a reason.
_HEADLINE, _SENTENCES, _REASON = 350, 900, 350
_SHA = 7


@dataclass(frozen=True)
class Links:
    """Where things stand; an address outside of the repository is never linked.

    Attributes:
        server: `https://github.com`.
        repository: `owner/name` of the repository the pull request is for.
        run: Address of the run; the judgement's own when None.
        report: Address of the HTML report; the judgement's own when None.
        card: Address of the model card; the judgement's own when None.
    """

    server: str
    repository: str
    run: str | None = None
    report: str | None = None
    card: str | None = None

    def to(self, path: str) -> str:
        """An address in the repository."""
        return f"{self.server}/{self.repository}/{path}"

    def own(self, address: object) -> str | None:
        """The address when it lies inside the repository."""
        return address if isinstance(address, str) and address.startswith(self.to("")) else None


@dataclass(frozen=True)
class Facts:
    """What is known of a run before, or without, a judgement.

    Attributes:
        links: Where things stand.
        pull_request: Its number.
        head_sha: The commit that the run is for.
        history: Records of this pull request, of which the verdicts are shown.
    """

    links: Links
    pull_request: int
    head_sha: str
    history: Sequence[Record] = field(default_factory=tuple)


def pending(facts: Facts) -> str:
    """A run has begun: the verdict will replace this."""
    sentence = "Running: the proposed model is being made, and judged after that."
    commit = Code(facts.head_sha[:_SHA])
    step = ("The verdict on commit ", commit, " will stand here in a few minutes.", *_watch(facts.links))
    return _rendered(_top("busy", sentence, "Nothing to do.", step), _earlier(facts.history, facts.head_sha))


def held(facts: Facts) -> str:
    """A run waits for approval, as a first-time author's does."""
    sentence = "Waiting: a maintainer has to approve the run before the proposed model is made and judged."
    step = (
        "The verdict on commit ",
        Code(facts.head_sha[:_SHA]),
        " will stand here after that. ",
        "GitHub deletes the run after 30 days: close the pull request then, and open it again.",
        *_watch(facts.links),
    )
    top = _top("wait", sentence, "Next: a maintainer approves the run.", step)
    return _rendered(top, _earlier(facts.history, facts.head_sha))


def stands(facts: Facts, sentence: str, *, passes: bool) -> str:
    """A run came to nothing: what was said before it.

    Args:
        facts: Which run said it, of what.
        sentence: What it said.
        passes: Whether the gate is green.
    """
    step = (
        "A newer run ended before a job of it began, so this still stands for commit ",
        Code(facts.head_sha[:_SHA]),
        ". Run the jobs again to have the whole report here.",
        *_watch(facts.links),
    )
    return _rendered(
        _top("good" if passes else "bad", sentence, "As before.", step), _earlier(facts.history, facts.head_sha)
    )


def error(facts: Facts, reason: str) -> str:
    """A run crashed, was cancelled or took too long.

    Args:
        facts: Which run, of what.
        reason: A plain sentence.
    """
    step = (
        "Nothing was judged for commit ",
        Code(facts.head_sha[:_SHA]),
        ". Run the jobs again, or push a change, and the verdict will stand here.",
        *_watch(facts.links),
    )
    top = _top("bad", f"No verdict: {_short(reason)}", "Next: run it again.", step)
    return _rendered(top, _earlier(facts.history, facts.head_sha))


def render(
    judgement: Record,
    look: int,
    history: Sequence[Record],
    acceptance: Record | None,
    links: Links,
    lock_commit: str | None = None,
) -> str:
    """What came of a judgement.

    Args:
        judgement: `judgement.json`.
        look: Which look at its holdout this is; without meaning unless the outcome is "judged".
        history: Records of the pull request, of which the verdicts are shown; this one may be among them.
        acceptance: The record by which a maintainer accepted this very model, if there is one.
        links: Where things stand.
        lock_commit: SHA of the commit that brought the judged dvc.lock to the branch, if one was made.

    Raises:
        RatchetError: The judgement has no verdict for this look, or an outcome that is not known.
    """
    case = _Case(judgement, _completed(links, judgement), acceptance, lock_commit)
    outcome = str(judgement["outcome"])
    if outcome == "judged":
        found = _judged(case, look)
    elif outcome in _OTHERS:
        found = _OTHERS[outcome](case)
    else:
        raise RatchetError(f"judgement: the outcome {plain(outcome, 40)!r} is not known")
    return _rendered(*found, _earlier(history, str(judgement["head"]["sha"])))


def accepted(body: str, acceptance: Record) -> str:
    """A comment that `render` made, after a maintainer accepted what it is about; a second time changes nothing.

    Args:
        body: The comment as it stands.
        acceptance: The record of it.
    """
    text = body.replace("\r\n", "\n").removeprefix(MARKER).lstrip("\n")
    symbol = markdown.SYMBOLS["good"]
    if text.startswith(f"### {symbol} Accepted by "):
        return body
    new = markdown.render(document("", [_acceptance(acceptance, _GATES)])).rstrip("\n")
    # The old headline goes on as a sentence; the old next step is done.
    old = re.match(r"### \S+ (?P<sentence>[^\n]*)\n(?P<more>(?:\n[^>\n][^\n]*\n)*)\n> \[![^\n]*\n> [^\n]*\n", text)
    rest = f"What was accepted: {old['sentence']}\n{old['more']}{text[old.end() :]}" if old else text
    return _shortened(f"{MARKER}\n{new}\n\n{rest}")


def _shortened(text: str) -> str:
    """Without the last folded parts that no longer fit."""
    while len(text.encode()) > markdown.LIMIT and "\n\n<details>" in text:
        text = text.rpartition("\n\n<details>")[0] + "\n"
    return text


@dataclass(frozen=True)
class _Case:
    """A judgement and all that its comment depends on beside it."""

    judgement: Record
    links: Links
    acceptance: Record | None
    lock_commit: str | None

    @property
    def number(self) -> int:
        return int(self.judgement["pull_request"])

    @property
    def is_fork(self) -> bool:
        return bool(self.judgement["head"]["is_fork"])

    def action(self, name: str) -> Spans:
        """How a maintainer starts one of the actions."""
        page = Link("maintainer workflow", self.links.to("actions/workflows/maintainer.yml"))
        return ("the ", page, " with action ", Code(name), ", pull request ", Code(str(self.number)), " and a reason")


# --- judged ----------------------------------------------------------------------------------------------------------


def inputs_of(judgement: Record, look: int) -> Inputs:
    """What a report of the verdict at a look is made from; the comment and the page have it from here.

    Raises:
        RatchetError: The judgement has no verdict for this look.
    """
    return Inputs(
        _verdict(judgement, look),
        _side(judgement["sides"]["champion"]),
        _side(judgement["sides"]["challenger"]),
        params=[(str(key), old, new) for key, old, new in judgement["params"]],
        stages=judgement["stages"],
        seconds=judgement["seconds"],
    )


def _judged(case: _Case, look: int) -> list[Section]:
    inputs = inputs_of(case.judgement, look)
    verdict = inputs.verdict
    inputs = replace(inputs, commands=_commands(case, verdict))
    top = _decision(case, verdict)
    evidence = (*_baseline(case, verdict), *sections.primary(inputs), *sections.judged_on(verdict), *_where(case))
    params = sections.params(inputs)
    return [
        replace(top, blocks=(*top.blocks, *evidence)),
        replace(params, folded=len(inputs.params) > MOST_UNFOLDED),
        _judge_changes(case),
        *(replace(section(inputs), folded=True) for section in _FOLDED),
    ]


_FOLDED: tuple[Callable[[Inputs], Section], ...] = (
    sections.metrics,
    sections.evidence,
    sections.rules,
    sections.data,
    sections.slices,
    sections.behaviour,
    sections.curves,
    sections.baselines,
    sections.models,
    sections.cost,
    sections.look,
    sections.reproduce,
)


def _decision(case: _Case, verdict: Record) -> Section:
    """The verdict and the next step."""
    word, hold, sentence = str(verdict["verdict"]), verdict.get("hold"), str(verdict["sentence"])
    if case.acceptance is not None and word == "hold":
        return _accepted(case, case.acceptance, sentence)
    if case.is_fork and word == "promote":
        said = re.sub(r"^Promote: ", "Promote, by the fork's own scores: ", sentence)
        return _top("wait", said, "Next: a maintainer adopts it.", _fork(case))
    top = _top(sections.TONES.get(word, "none"), sentence, *_next_step(case, word, str(hold)))
    is_told = not case.is_fork or (word == "hold" and hold in {"safe", "judge changed"})
    beside = () if is_told else (Callout("none", (Strong("From a fork."), " ", *_fork(case))),)
    return replace(top, blocks=(*top.blocks, *beside))


def _accepted(case: _Case, acceptance: Record, sentence: str) -> Section:
    top = _acceptance(acceptance, _merge(case))
    return replace(top, blocks=(*top.blocks, Paragraph(f"What was accepted: {plain(sentence, _SENTENCES)}")))


def _acceptance(acceptance: Record, how: Spans) -> Section:
    who, why = plain(acceptance.get("who"), 80), plain(acceptance.get("reason"), _REASON)
    said = f"Accepted by {who}: {why}" if why else f"Accepted by {who}."
    return _top("good", said, "Next: merge.", ("The acceptance is recorded, for this very proposal alone. ", *how))


def _next_step(case: _Case, word: str, hold: str) -> tuple[str, Text]:
    if word == "promote":
        return "Next: merge.", ("The merge releases this very model. ", *_merge(case))
    if word == "hold" and case.is_fork and hold in {"safe", "judge changed"}:
        return "Next: a maintainer adopts it.", _fork(case)
    if word == "hold":
        return _after_hold(case, hold)
    if word == "block":
        return (
            "Next: push a change.",
            "Harm is proven, so this model cannot be merged. Which rule it breaks, and by how much, stands below under "
            "Rules.",
        )
    return (
        "Next: push a change.",
        "The two models cannot be compared fairly, so nothing is proven either way. The reason stands above.",
    )


def _after_hold(case: _Case, hold: str) -> tuple[str, Text]:
    if hold == "safe":
        return (
            "Next: a maintainer decides, or you push a change.",
            (
                "It does no harm, but no gain is proven. To take it anyway, start ",
                *case.action("accept"),
                ": that records who and why, and turns ",
                Code("model-gate"),
                " green for this very model.",
            ),
        )
    if hold == "judge changed":
        return _review_of_judge(case)
    return (
        "Next: push a change, or wait for data.",
        "There is too little independent data to tell a gain from a loss. A change with a larger effect can be seen, "
        "and this one perhaps on a later period.",
    )


def _review_of_judge(case: _Case) -> tuple[str, Text]:
    return (
        "Next: a maintainer reviews what judges.",
        (
            "It changes what judges models (listed below), so a person has to decide. After the review, start ",
            *case.action("accept"),
            ".",
        ),
    )


def _merge(case: _Case) -> Spans:
    """What still stands between a green model and its merge."""
    committed: Spans = ()
    if case.lock_commit:
        committed = (
            " The judged ",
            Code("dvc.lock"),
            " was committed to the branch (",
            Code(case.lock_commit[:_SHA]),
            "): pull before you push again.",
        )
    return (
        *_GATES,
        *committed,
        " Should main move on first, start ",
        *case.action("refresh"),
        ".",
    )


_GATES: Spans = (Code("model-gate"), " is green; ", Code("ci-gate"), " must be, too.")


def _fork(case: _Case) -> Spans:
    return (
        "The fork's own run made these scores, so they are its claim until a maintainer adopts the change. That makes "
        "a branch and a pull request of this repository out of it, where it is run and judged again. Review the code, "
        "then start ",
        *case.action("adopt"),
        ".",
    )


def _baseline(case: _Case, verdict: Record) -> tuple[Block, ...]:
    """What stood in the champion's place while there is none."""
    digest = str((verdict.get("champion") or {}).get("digest", ""))
    if case.judgement.get("champion") is not None or not digest.startswith("baseline:"):
        return ()
    name = Code(digest.removeprefix("baseline:"))
    return (Paragraph(("There is no released model yet: the best baseline, ", name, ", stands in for the champion.")),)


def _judge_changes(case: _Case) -> Section:
    paths = case.judgement["judge_changed"]
    return Section("What judges, and is changed here", (Items(tuple(map(_judge_changed, paths))),) * bool(paths))


def _judge_changed(said: str) -> Text:
    """A path, or a path and what has changed in it; only the path is code, which is cut where a name would be."""
    path, colon, change = said.partition(": ")
    return (Code(path), colon + change)


def _commands(case: _Case, verdict: Record) -> list[str]:
    """Lines that make and judge the model on a laptop."""
    links, look, champion = case.links, (verdict.get("look") or {}).get("number", 1), case.judgement.get("champion")
    lines = [
        f"git fetch {links.server}/{links.repository}.git pull/{case.number}/head",
        "git checkout --detach FETCH_HEAD",
        "make repro",
    ]
    tag = str((champion or {}).get("tag", ""))
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", tag, re.ASCII):
        return lines
    return [
        *lines,
        f"gh release download {tag} --repo {links.repository} --dir build/champion",
        "python -m zipfile -e build/champion/bundle.zip build/champion/bundle",
        f"ratchet compare build/champion . --look {look}",
    ]


# --- not judged ------------------------------------------------------------------------------------------------------


def _unchanged(case: _Case) -> list[Section]:
    sentence = "Nothing to judge: the model stays as it is on main."
    top = _same(case, sentence, needs_adoption=case.is_fork and case.judgement["lock"] is not None)
    return [top, _judge_changes(case)]


def _same_model(case: _Case) -> list[Section]:
    sentence = "Same model: the pipeline ran again and made the model of main, byte for byte."
    top = _same(case, sentence, needs_adoption=case.is_fork)
    inputs = Inputs({}, params=case.judgement["params"], stages=case.judgement["stages"])
    inputs = replace(inputs, seconds=case.judgement["seconds"])
    return [top, sections.params(inputs), _judge_changes(case), sections.cost(inputs)]


def _same(case: _Case, sentence: str, *, needs_adoption: bool) -> Section:
    """The next step where the model stays the same."""
    if needs_adoption:
        top = _top("none", sentence, "Next: a maintainer adopts it.", _fork(case))
    elif case.acceptance is not None:
        top = _accepted(case, case.acceptance, sentence)
    elif case.judgement["judge_changed"]:
        said = "Hold, judge changed: the model stays as it is on main, but what judges models does not."
        top = _top("wait", said, *_review_of_judge(case))
    else:
        top = _top("none", sentence, "Next: merge.", ("There is nothing to prove. ", *_merge(case)))
    return replace(top, blocks=(*top.blocks, *_where(case)))


def _failed(case: _Case) -> list[Section]:
    reason = _short(case.judgement["reason"]) or "the run ended before there was a model."
    step = (
        "The end of its output stands below, all of it in the run. When a machine or the network was at fault, run the "
        "jobs again.",
        *_watch(case.links),
    )
    log = str(case.judgement["log"])
    top = _top("bad", f"Failed: {reason}", "Next: push a fix.", step)
    return [top, Section("The end of its output", (Log(log),) if log.strip() else ()), _changed_params(case)]


def _rejected(case: _Case) -> list[Section]:
    reason = _short(case.judgement["reason"]) or "what the run left cannot be read."
    step = (
        "What the run left as evidence was refused, so nothing was judged. Correct what stands above; when it was an "
        "accident, run the jobs again.",
        *_watch(case.links),
    )
    log = str(case.judgement["log"])
    top = _top("bad", f"Rejected: {reason}", "Next: push a change.", step)
    return [top, Section("In full", (Log(log),) if log.strip() else ()), _changed_params(case), _judge_changes(case)]


_OTHERS: Mapping[str, Callable[[_Case], list[Section]]] = {
    "unchanged": _unchanged,
    "same model": _same_model,
    "failed": _failed,
    "rejected": _rejected,
}


def _changed_params(case: _Case) -> Section:
    return replace(sections.params(Inputs({}, params=case.judgement["params"])), folded=True)


# --- parts -----------------------------------------------------------------------------------------------------------


def _top(tone: Tone, sentence: str, do: str, how: Text) -> Section:
    """The verdict in one sentence, what else it says, and the next step."""
    first, rest = _split(sentence)
    more = (Paragraph(plain(rest, _SENTENCES)),) if rest else ()
    spans = how if isinstance(how, tuple) else (how,)
    return Section("", (Headline(tone, first), *more, Callout(tone, (Strong(do), " ", *spans))))


def _split(sentence: str) -> tuple[str, str]:
    """The first sentence, and those after it."""
    text = plain(sentence, _HEADLINE + _SENTENCES)
    end = re.search(r"(?<=[.!?…])\s+(?=[A-Z0-9])", text)
    first, rest = (text[: end.start()], text[end.end() :]) if end else (text, "")
    return plain(first, _HEADLINE), rest


def _where(case: _Case) -> tuple[Block, ...]:
    """Links to the whole evidence."""
    links = case.links
    champion = case.judgement.get("champion") or {}
    known = [
        (f"champion {champion.get('tag')}", links.to(f"releases/tag/{champion.get('tag')}") if champion else None),
        ("HTML report", links.report),
        ("model card", links.card),
        ("run", links.run),
    ]
    linked = [Link(text, address) for text, address in known if address is not None]
    commit: Spans = ("Commit ", Code(str(case.judgement["head"]["sha"])[:_SHA]))
    return (Paragraph(commit + tuple(span for link in linked for span in (" · ", link))),)


def _watch(links: Links) -> Spans:
    address = links.own(links.run)
    return () if address is None else (" ", Link("Open the run", address), ".")


def _earlier(history: Sequence[Record], head_sha: str) -> Section:
    """Verdicts of other commits of the pull request, one line each, the newest first."""
    newest: dict[str, Record] = {}
    verdicts = [record for record in history if record.get("kind") in {"verdict", "claim"}]
    for record in sorted(verdicts, key=lambda record: str(record.get("at", ""))):
        sha = str(record.get("head_sha", ""))
        newest.pop(sha, None)
        newest[sha] = record
    newest.pop(head_sha, None)
    lines = [_line(sha, record) for sha, record in reversed(newest.items())]
    more = len(lines) - MOST_EARLIER
    cut = [Paragraph(f"… and {more} more, on the branch records.")] if more > 0 else []
    blocks: tuple[Block, ...] = (Items(tuple(lines[:MOST_EARLIER])), *cut)
    return Section(f"Earlier verdicts ({len(lines)})", blocks if lines else (), folded=True)


def _line(sha: str, record: Record) -> Text:
    symbol = markdown.SYMBOLS[sections.TONES.get(str(record.get("verdict")), "none")]
    day = plain(str(record.get("at", ""))[:10], 10)
    sentence, _ = _split(str(record.get("sentence", "")))
    return (f"{symbol} ", Code(sha[:_SHA]), f" {day} ", plain(sentence, 200))


def _short(reason: object) -> str:
    return plain(reason, _REASON)


def _verdict(judgement: Record, look: int) -> Record:
    first, verdicts = int(judgement["first_look"]), judgement["verdicts"]
    if not first <= look < first + len(verdicts):
        raise RatchetError(
            f"judgement: has verdicts for looks {first} to {first + len(verdicts) - 1}, not for look {look}\n"
            "run the verdict again: other models were judged meanwhile"
        )
    found: Record = verdicts[look - first]
    return found


def _side(side: Record) -> Side:
    return Side(side["evaluation"], side["dataset"], side["training"], side["bundle_bytes"])


def _completed(links: Links, judgement: Record) -> Links:
    """The addresses that are known, each inside the repository."""
    told = judgement["links"]
    return replace(
        links,
        run=links.own(links.run or judgement["run"]["url"]),
        report=links.own(links.report or told["report"]),
        card=links.own(links.card or told["card"]),
    )


def _rendered(*parts: Section) -> str:
    room = markdown.LIMIT - len(MARKER) - 1
    return f"{MARKER}\n{markdown.render(document('', parts), room)}"

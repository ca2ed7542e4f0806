"""The links of the chain, each checked again from what was read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratchet import bundle, ledger
from ratchet.audit import origin
from ratchet.audit.facts import ORIGIN, SMOKE, VERDICT, Facts, Link, Outcome, Record, parsed, sha256
from ratchet.audit.origin import summed
from ratchet.status import SHORT, readable, role

if TYPE_CHECKING:
    from ratchet.deploy.state import Moment, State
    from ratchet.forge import Review

SYMBOLS: Mapping[Outcome, str] = {"ok": "ok    ", "broken": "BROKEN", "gone": "gone  "}


def examine(facts: Facts) -> list[Link]:
    """Every link of the chain, from what runs to what it was made of."""
    return [link for look in _LINKS for link in look(facts)]


def complete(links: Sequence[Link]) -> bool:
    """Whether no link is broken."""
    return all(link.outcome != "broken" for link in links)


def told(links: Sequence[Link]) -> list[str]:
    """The links as lines of text, one each, and the sum of them."""
    lines = [f"{SYMBOLS[link.outcome]}  {link.name:<12}  {link.sentence}" for link in links]
    broken, gone = (sum(link.outcome == outcome for link in links) for outcome in ("broken", "gone"))
    whole = "the chain is complete" if not broken else f"{broken} of {len(links)} links are broken"
    return [*lines, f"{whole}{f'; {gone} gone with time' if gone else ''}"]


# --- the release -----------------------------------------------------------------------------------------------------


def _image(facts: Facts) -> Iterator[Link]:
    """By the records: a digest names the same image for ever, and `_smoke` is what was seen of the model in it."""
    image = facts.record.get("image")
    moments = [moment for past in facts.moments.values() for moment in past]
    ran = {arm.image for moment in moments for arm in moment.state.arms.values() if arm.release == facts.tag}
    ran |= {str(move["image"]) for move in facts.moves if move["tag"] == facts.tag and move["image"]}
    if others := sorted(ran - {image}):
        yield Link("image", "broken", f"{others[0]} ran as {facts.tag}, whose record names {image or 'no image'}")
    elif image:
        yield Link("image", "ok", f"{image}, by record only: {facts.tag}'s names it, and nothing else ran as that")
    else:
        yield Link("image", "ok", f"none was built of {facts.tag}, and none ran")


def _record(facts: Facts) -> Iterator[Link]:
    entry, published = facts.record, facts.files.documents.get(ORIGIN) if facts.files else None
    where = f"{ledger.path_of(entry)} of {readable(entry['at'])}, run {entry['run']}"
    said = parsed(published)
    wrong = sorted(name for name in said.keys() & entry.keys() if said[name] != entry[name])
    if wrong:
        yield Link("record", "broken", f"{where}: {ORIGIN} of the release has another {wrong[0]}")
    else:
        yield Link(
            "record", "ok", f"{where}: model {entry['model_digest'][:SHORT]}, lock {entry['lock_digest'][:SHORT]}"
        )


def _release(facts: Facts) -> Iterator[Link]:
    held, sha = facts.files, facts.record["sha"]
    if held is None:
        yield Link("release", "broken", f"GitHub has no release {facts.tag}")
    elif held.tag_sha != sha:
        at = (held.tag_sha or "nowhere")[:SHORT]
        yield Link("release", "broken", f"the tag {facts.tag} is at {at}, and was made at {sha[:SHORT]}")
    else:
        yield Link("release", "ok", f"{held.release.name or facts.tag}, {held.release.url}")


def _assets(facts: Facts) -> Iterator[Link]:
    sums, noted = facts.files.sums if facts.files else {}, facts.record.get("assets")
    if noted is None:
        yield Link("files", "ok", f"{_count(sums, 'file')}; the record is older than digests of files")
        return
    wrong = [f"{name} is not there" for name in sorted(noted.keys() - sums.keys())]
    wrong += [f"{name} is not in the record" for name in sorted(sums.keys() - noted.keys())]
    wrong += [
        f"{name} has the SHA-256 {sums[name][:SHORT]}, and the record names {noted[name][:SHORT]}"
        for name in sorted(sums.keys() & noted.keys())
        if sums[name] != noted[name]
    ]
    yield from (Link("files", "broken", sentence) for sentence in wrong)
    if not wrong:
        yield Link("files", "ok", f"{_count(sums, 'file')}, each with the SHA-256 that the record names")


def _model(facts: Facts) -> Iterator[Link]:
    held, expected = facts.model, facts.record["model_digest"]
    if bundle.MANIFEST not in held:
        yield Link("model", "broken", f"the release holds no bundle, and the record names {expected[:SHORT]}")
        return
    found = sha256(held[bundle.MANIFEST])
    if found != expected:
        yield Link("model", "broken", f"the bundle is model {found[:SHORT]}, and the record names {expected[:SHORT]}")
        return
    named = {bundle.MANIFEST: found, **parsed(held[bundle.MANIFEST])["files"]}
    wrong = sorted(name for name in named.keys() | held.keys() if named.get(name) != _sum(held.get(name)))
    if wrong:
        yield Link("model", "broken", f"{wrong[0]} in the bundle is not the file that the manifest names")
    else:
        yield Link(
            "model", "ok", f"{expected}, the SHA-256 of its manifest, which names the other {len(held) - 1} files"
        )


def _smoke(facts: Facts) -> Iterator[Link]:
    """That image and model belong together was tried out: what ran named its model, and scored as was judged."""
    image, content = facts.record.get("image"), facts.files.documents.get(SMOKE) if facts.files else None
    if image is None or facts.files is None:
        return
    said = parsed(content)
    expected = {"image": image, "model": facts.record["model_digest"]}
    wrong = [name for name, value in expected.items() if said.get(name) != value]
    if wrong:
        yield Link("smoke test", "broken", f"{SMOKE} is about another {wrong[0]}: {str(said.get(wrong[0]))[:100]}")
    else:
        rows = said.get("rows")
        yield Link("smoke test", "ok", f"the running image named this model, and scored {rows} rows as judged")


# --- the commit ------------------------------------------------------------------------------------------------------


def _commit(facts: Facts) -> Iterator[Link]:
    sha = facts.record["sha"]
    if facts.tree is None:
        yield Link("commit", "broken", f"{sha[:SHORT]} is not in the repository")
    elif not facts.is_on_main:
        yield Link("commit", "broken", f"{sha[:SHORT]} is not part of the default branch")
    else:
        yield Link("commit", "ok", f"{sha}, on the default branch")


# --- the verdict -----------------------------------------------------------------------------------------------------


def _pull(facts: Facts) -> Iterator[Link]:
    number, proposal = facts.record["pull_request"], facts.proposal
    if number is None and facts.is_first:
        yield Link("pull request", "ok", "none: the first release of the repository, which had to beat its baselines")
    elif number is None:
        yield Link("pull request", "broken", f"none, and {facts.tag} is not the first release")
    elif proposal is None:
        yield Link("pull request", "broken", f"GitHub has no pull request {number}")
    elif not proposal.is_merged_in:
        yield Link("pull request", "broken", f"{number} is not merged into the commit of the release")
    else:
        pull = proposal.pull
        yield Link("pull request", "ok", f"{number}, {pull.title!r} by {pull.author}, merged by {pull.merged_by}")
        yield Link("review", "ok", _reviewed(proposal.reviews))


def _reviewed(reviews: Sequence[Review]) -> str:
    """Who approved, by the last word of each."""
    last = {review.author: review.state for review in reviews if review.state in _REVIEWS}
    said = {state: sorted(name for name, word in last.items() if word == state) for state in _REVIEWS}
    words = [f"{_REVIEWS[state]} {', '.join(names)}" for state, names in said.items() if names]
    return "; ".join(words) or "nobody has reviewed it on GitHub"


_REVIEWS = {"APPROVED": "approved by", "CHANGES_REQUESTED": "changes requested by", "DISMISSED": "dismissed:"}


def _verdict(facts: Facts) -> Iterator[Link]:
    judgement, path = facts.judgement, facts.record["verdict"]
    if judgement is None:
        if facts.record["pull_request"] is not None:
            yield Link("verdict", "broken", "the record names none")
        return
    entry = judgement.record
    if entry is None:
        yield Link("verdict", "broken", f"the ledger has no {path}")
        return
    wrong = [name for name in ("pull_request", "model_digest", "lock_digest") if entry[name] != facts.record[name]]
    kept = facts.files.documents.get(VERDICT) if facts.files else None
    if wrong:
        yield Link("verdict", "broken", f"{path} is about another {wrong[0].replace('_', ' ')}")
    elif kept is not None and parsed(kept) != entry:
        yield Link("verdict", "broken", f"{VERDICT} of the release is not {path}")
    elif entry["verdict"] != "promote" and not judgement.acceptances:
        yield Link("verdict", "broken", f"{entry['verdict']}, and nobody has accepted it: {entry['sentence']}")
    else:
        against = entry["champion"]["tag"] if entry["champion"] else "its baselines"
        yield Link("verdict", "ok", f"look {entry['look']}, against {against}: {entry['sentence']}")
        yield from (_acceptance(one) for one in judgement.acceptances)


def _acceptance(entry: Record) -> Link:
    return Link("acceptance", "ok", f"by {entry['who']} on {readable(entry['at'])}: {entry['reason']}")


def _artifact(facts: Facts) -> Iterator[Link]:
    judgement = facts.judgement
    if judgement is None or judgement.record is None:
        return
    judged, artifact = judgement.record["artifact"], judgement.artifact
    named = facts.record.get("artifact") or judged
    where = f"{judged['id']} of run {judgement.record['run']}"
    if named != judged:
        yield Link("artifact", "broken", f"the release names {named['id']}, and the verdict was about {where}")
    elif artifact is None or artifact.expired:
        yield Link("artifact", "gone", f"{where}, {judged['digest']}: GitHub keeps them for a while; the release stays")
    elif artifact.digest != judged["digest"]:
        yield Link("artifact", "broken", f"{where} is {artifact.digest} now, and was {judged['digest']}")
    elif judgement.model != facts.record["model_digest"]:
        yield Link("artifact", "broken", f"{where} holds model {(judgement.model or 'none')[:SHORT]}")
    else:
        yield Link("artifact", "ok", f"{where}, {judged['digest']}, holds this model")


# --- where it ran ----------------------------------------------------------------------------------------------------


def _ran(facts: Facts) -> Iterator[Link]:
    found = [_told(facts, environment, past[::-1]) for environment, past in sorted(facts.moments.items())]
    links = [link for link in found if link is not None]
    yield from links or [Link("ran", "ok", "nowhere")]


def _told(facts: Facts, environment: str, past: Sequence[Moment]) -> Link | None:
    """What a release was in an environment, from its oldest state to its newest; None when it was never there."""
    wrong, spells = list(_unrecorded(facts, environment, past)), list(_spells(facts.tag, past))
    wrong += [
        f"commit {moment.sha[:7]} says that {facts.tag} is model {arm.model[:SHORT]}"
        for moment in past
        for arm in moment.state.arms.values()
        if arm.release == facts.tag and arm.model != facts.record["model_digest"]
    ]
    if wrong:
        return Link(environment, "broken", f"{summed(wrong)}")
    return Link(environment, "ok", "; ".join([*spells, *_approved(facts, environment)])) if spells else None


def _approved(facts: Facts, environment: str) -> Iterator[str]:
    """Who let the release in, where that was asked for."""
    mine = [move for move in facts.moves if (move["tag"], move["environment"]) == (facts.tag, environment)]
    if names := sorted({move["approved_by"] for move in mine if "approved_by" in move}):
        yield f"approved by {', '.join(names)}"


def _unrecorded(facts: Facts, environment: str, past: Sequence[Moment]) -> Iterator[str]:
    """Moves of the release that stand in the ledger or on the branch, and not in both."""
    recorded = {move["deploy_sha"]: move for move in facts.moves if move["environment"] == environment}
    before = None
    for moment in past:
        if _part(facts.tag, moment.state) != before and moment.sha not in recorded:
            yield f"no record says who moved it with commit {moment.sha[:7]}"
        before = _part(facts.tag, moment.state)
    there = {moment.sha for moment in past}
    for sha, move in recorded.items():
        if move["tag"] == facts.tag and sha not in there:
            yield f"{ledger.path_of(move)} names commit {sha[:7]}, which the branch deploy has not"


def _spells(tag: str, past: Sequence[Moment]) -> Iterator[str]:
    begun, before = "", None
    for moment in past:
        part = _part(tag, moment.state)
        if part == before:
            continue
        if before is not None:
            yield f"{before} {readable(begun)} to {readable(moment.at)}"
        begun, before = moment.at, part
    if before is not None:
        yield f"{before} since {readable(begun)}"


def _part(tag: str, state: State) -> str | None:
    """What a release is in a state: "champion", "challenger with 10 %", "warm"; None when it is not there."""
    slot = state.slot_of(tag)
    if slot is None:
        return None
    return f"challenger with {state.share} %" if slot == state.challenger else role(state, slot)


def _sum(content: bytes | None) -> str | None:
    return None if content is None else sha256(content)


def _count(things: Mapping[str, Any], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


_LINKS: tuple[Callable[[Facts], Iterator[Link]], ...] = (
    _image,
    _record,
    _release,
    _assets,
    _model,
    _smoke,
    _commit,
    _pull,
    _verdict,
    _artifact,
    origin.links,
    _ran,
)

"""What runs where: the branch `deploy` as a page, with who brought each arm there, and every move there was."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from ratchet import status
from ratchet.deploy.state import Environment, Moment, parse
from ratchet.errors import RatchetError
from rehearsal.forge.git import Commit
from rehearsal.pages import records
from rehearsal.pages.layout import View, avatar, box, empty, mark, page, person, pill
from rehearsal.pages.markup import Child, Html, join, tag, text
from rehearsal.pages.words import NOTHING, parsed, short, when

if TYPE_CHECKING:
    from rehearsal.forge import Run

BRANCH = "deploy"
_ENVIRONMENTS = get_args(Environment)[::-1]  # production, where it matters, stands first
_MOVES = {"promotion": "good", "rollback": "bad"}
_ROLES = {"champion": "good", "challenger": "wait", "warm": "none"}


def render(view: View) -> Html:
    """The page of all deployments."""
    ledger = records.read(view.git)
    moves = [one for one in ledger.values() if one.get("kind") in _MOVES]
    about = tag(
        "p.quiet",
        "The branch ",
        view.branch(BRANCH),
        " says what is to run; hosts and clusters follow it. Promotions and rollbacks move it, nothing else does.",
    )
    places = [_place(view, environment, ledger) for environment in _ENVIRONMENTS]
    body = [tag("h1", "Deployments"), about, _waiting(view), places, _moves(view, moves)]
    return page("Deployments", body, view, "deployments")


def _waiting(view: View) -> list[Html]:
    """The runs that wait for a reviewer, each with the way to its button."""
    found = [run for run in view.state.runs_of(view.name) if run.status == "waiting" and run.pending]
    return [box(tag("div.row", mark("waiting"), tag("div.grow", _asking(view, run))), classes="wait") for run in found]


def _asking(view: View, run: Run) -> Html:
    link = tag("a.main", f"{run.name} #{run.number}", href=view.path("actions", "runs", run.id))
    return text([link, f" waits for an approval before it deploys to {' and '.join(run.pending)}."])


def _place(view: View, environment: Environment, ledger: Mapping[str, Mapping[str, Any]]) -> Html:
    name = tag("strong", environment.capitalize())
    try:
        past = _history(view, environment)
    except RatchetError as error:
        return box(empty(str(error)), title=name)
    if not past:
        return box(empty("Nothing was deployed yet."), title=name)
    entries = list(ledger.values())
    facts = status.Facts(
        moments={environment: past},
        moves=[one for one in entries if one.get("kind") in _MOVES],
        releases=[one for one in entries if one.get("kind") == "release"],
        verdicts=ledger,
    )
    (place,) = status.examine(facts).environments
    title: list[Child] = [
        name,
        tag("span.tag", place.strategy),
        tag("span.tag", "sticky") if place.sticky else None,
        view.commit(place.sha),
        tag("span.quiet.small", "since ", when(place.since)),
    ]
    head = tag("tr", (tag("th", words) for words in ("Slot", "Release", "Requests", "", "Image", "Why")))
    table = tag("table.data", head, (_seat(view, seat) for seat in place.seats))
    return box(tag("div.scroll", table), _withdrawn(view, place.withdrawn), title=title)


def _history(view: View, environment: Environment) -> list[Moment]:
    """The states of an environment, newest first."""
    path, head = f"{environment}/state.json", view.git.branch(BRANCH)
    found = view.git.log(head, path=path) if head else []
    texts = [(commit, view.git.read(commit.sha, path)) for commit in found]
    return [Moment(commit.sha, _at(commit), parse(content, path)) for commit, content in texts if content]


def _at(commit: Commit) -> str:
    """When a commit was made, in UTC."""
    at = parsed(commit.committer.date or "1970-01-01T00:00:00Z").astimezone(datetime.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _seat(view: View, seat: status.Seat) -> Html:
    digest = seat.image.rpartition("@")[2]
    copied = tag("div.quiet.small", f"and {seat.mirror} % copied") if seat.mirror else None
    by = [tag("strong", seat.who), f": {seat.why}"] if seat.who else ["no record says by whom"]
    return tag(
        "tr",
        tag("td.nowrap", tag("span", tag("code", seat.slot)), " ", pill(_ROLES[seat.role], seat.role)),
        tag("td.nowrap", _release(view, seat.release)),
        tag("td.numeric", f"{seat.share} %", copied),
        tag(
            "td.share",
            tag("span.amount", tag("i", style=f"width:{seat.share}%") if seat.share else None, aria_hidden="true"),
        ),
        tag("td", tag("code", digest.removeprefix("sha256:")[:12], title=seat.image)),
        tag("td", tag("div", by, tag("span.quiet.small", ", ", when(seat.since))), tag("div.quiet", seat.sentence)),
    )


def _release(view: View, name: str) -> Html:
    is_there = any(one.tag == name and not one.draft for one in view.state.releases_of(view.name))
    return tag("a", name, href=view.path("releases", "tag", name) if is_there else None)


def _withdrawn(view: View, found: Mapping[str, str]) -> Html | None:
    if not found:
        return None
    rows = (
        tag("div.row.slim", pill("bad", "withdrawn"), tag("span", _release(view, name)), tag("span.grow.quiet", why))
        for name, why in sorted(found.items())
    )
    return tag("div.below", rows)


def _moves(view: View, found: Sequence[Mapping[str, Any]]) -> Html:
    if not found:
        return text([tag("h2", "Moves"), box(empty("None yet."))])
    titles = ("When", "Where", "What", "Release", "By", "Why", "Commit", "Run")
    head = tag("tr", (tag("th", title) for title in titles))
    newest = sorted(found, key=lambda one: (str(one.get("at", "")), one.get("run", 0)), reverse=True)
    table = tag("table.data", head, (_move(view, one) for one in newest))
    return text([tag("h2", "Moves"), box(tag("div.scroll", table))])


def _move(view: View, one: Mapping[str, Any]) -> Html:
    what = str(one["kind"])
    taken = tag("div.quiet.small", f"{one['withdrawn']} withdrawn") if one.get("withdrawn") else None
    who = str(one.get("who", ""))
    return tag(
        "tr",
        tag("td.nowrap", when(str(one.get("at", "")), "%-d %b, %H:%M:%S")),
        tag("td", str(one.get("environment", ""))),
        tag("td.nowrap", join([tag("span", what, class_=f"tag {_MOVES[what]}"), str(one.get("strategy", ""))])),
        tag("td.nowrap", _release(view, str(one.get("tag", ""))), taken),
        tag("td.nowrap", tag("span.by", avatar(who), person(who))),
        tag("td", str(one.get("reason", ""))),
        tag("td", _commit(view, str(one.get("deploy_sha", "")))),
        tag("td", _run(view, one.get("run"))),
    )


def _commit(view: View, sha: str) -> Html:
    return view.commit(sha) if view.git.resolve(sha) else tag("span.sha", short(sha))


def _run(view: View, number: object) -> Html:
    run = view.state.run(number) if isinstance(number, int) else None
    if run is None or run.repository != view.name:
        return text(NOTHING)
    return tag("a", f"{run.name} #{run.number}", href=view.path("actions", "runs", run.id))

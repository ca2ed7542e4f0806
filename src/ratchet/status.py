"""What runs where, since when, by whom and why; and whether a service that runs is the one that is wanted.

    for line in status.told(status.examine(status.gather(Forge.from_environment()))):
        print(line)

The branch `deploy` says what is wanted, the ledger who wanted it, and the service itself what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.deploy.state import Moment, Slot, State
    from ratchet.forge import Forge

Record = Mapping[str, Any]

SHORT = 12
"""Digits of a digest that people are shown."""
PATIENCE = 5.0
"""Seconds that a service has to say who it is."""


@dataclass(frozen=True)
class Heard:
    """What a service says of itself.

    Attributes:
        url: Where it was asked.
        environment: Which one it is said to be; None: not said.
        ready: Whether it takes requests.
        info: What `/info` answers; None when it does not.
        fault: Why it could not be asked; empty when it could.
    """

    url: str
    environment: str | None = None
    ready: bool = False
    info: Record | None = None
    fault: str = ""


@dataclass(frozen=True)
class Facts:
    """What `examine` looks at.

    Attributes:
        moments: Of each environment, the newest first, see `recent`; an environment where nothing ran is left out.
        moves: The promotions and rollbacks in the ledger.
        releases: The releases in the ledger.
        verdicts: Path to record of the verdicts that these rest on.
        waiting: Runs that wait for an approval: the workflow's name, and the address.
        heard: What services say of themselves.
    """

    moments: Mapping[str, Sequence[Moment]]
    moves: Sequence[Record]
    releases: Sequence[Record]
    verdicts: Mapping[str, Record]
    waiting: Sequence[tuple[str, str]] = ()
    heard: Sequence[Heard] = ()


@dataclass(frozen=True)
class Seat:
    """An arm in its slot.

    Attributes:
        role: "champion" answers by default, "challenger" takes part, "warm" waits to go back to.
        share: Percent of the requests that it answers.
        mirror: Percent of the requests of which it gets a copy.
        since: When it came to this role and share.
        who: Who brought that about; None when no record says so.
        why: The reason they gave.
        sentence: What the verdict says of the model, or why there is none.
    """

    slot: str
    role: str
    release: str
    model: str
    image: str
    share: int
    mirror: int
    since: str
    who: str | None
    why: str | None
    sentence: str


@dataclass(frozen=True)
class Place:
    """One environment: its seats, by slot, and what was taken away from it."""

    environment: str
    strategy: str
    sticky: bool
    since: str
    sha: str
    seats: tuple[Seat, ...]
    withdrawn: Mapping[str, str]


@dataclass(frozen=True)
class Service:
    """A service that was asked: what it runs, and whether that is what the branch wants."""

    url: str
    release: str | None
    model: str | None
    ready: bool
    wanted: bool
    sentence: str


@dataclass(frozen=True)
class Status:
    """Everything there is to say; `newest` is about the newest release, `waiting` about runs to be approved."""

    environments: tuple[Place, ...]
    newest: str
    waiting: tuple[str, ...]
    services: tuple[Service, ...]

    @property
    def well(self) -> bool:
        """Whether every service that was asked is ready and what it should be."""
        return all(service.wanted and service.ready for service in self.services)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "well": self.well}


def gather(forge: Forge, urls: Sequence[str] = ()) -> Facts:
    """Read all that `examine` looks at.

    Args:
        forge: With a token that reads.
        urls: Services to be asked, each perhaps with its environment before it: "production=https://…".

    Raises:
        RatchetError: GitHub cannot be reached, or an address is none.
    """
    from ratchet.deploy import branch
    from ratchet.deploy.state import ENVIRONMENTS
    from ratchet.ledger import Ledger

    asked = [address(url) for url in urls]
    listing = Ledger(forge).listing()
    moments = {environment: recent(branch.history(forge, environment)) for environment in ENVIRONMENTS}
    releases = listing.releases()
    paths = {entry["verdict"] for entry in releases if entry["verdict"]}
    return Facts(
        moments={environment: past for environment, past in moments.items() if past},
        moves=listing.moves(),
        releases=releases,
        verdicts={path: found for path in sorted(paths) if (found := listing.read(path))},
        waiting=[(run.name, run.url) for run in forge.waiting_runs()],
        heard=[hear(url, environment) for environment, url in asked],
    )


def recent(past: Iterable[Moment]) -> list[Moment]:
    """The newest moments, as far back as some seat is still what it is now; no more are asked for."""
    kept: list[Moment] = []
    for moment in past:
        kept.append(moment)
        now = kept[0].state
        if all(_part(moment.state, slot) != _part(now, slot) for slot in now.arms):
            break
    return kept


def address(text: str) -> tuple[str | None, str]:
    """Environment and URL of "production=https://…"; the environment is None when it is not said.

    Raises:
        RatchetError: It is no address of the web, or no environment.
    """
    from ratchet.deploy.state import ENVIRONMENTS

    name, equals, rest = text.partition("=")
    is_named = bool(equals) and "/" not in name
    environment, url = (name, rest) if is_named else (None, text)
    if not url.startswith(("http://", "https://")) or (is_named and name not in ENVIRONMENTS):
        raise RatchetError(
            f"--url {text[:100]}: is not an address\n"
            f"write https://…, or {' or '.join(f'{one}=https://…' for one in ENVIRONMENTS)}"
        )
    return environment, url.rstrip("/")


def hear(url: str, environment: str | None = None) -> Heard:
    """Ask a service who it is."""
    import httpx

    try:
        with httpx.Client(base_url=url, timeout=PATIENCE, follow_redirects=True) as service:
            info = service.get("/info").raise_for_status().json()
            ready = service.get("/readyz").is_success
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return Heard(url, environment, fault=" ".join(str(error).split())[:200])
    if not isinstance(info, dict) or not isinstance(info.get("model"), str):
        return Heard(url, environment, ready, fault="its /info names no model")
    return Heard(url, environment, ready, info)


def examine(facts: Facts) -> Status:
    """What the facts come to."""
    places = tuple(_place(environment, past, facts) for environment, past in sorted(facts.moments.items()))
    return Status(
        environments=places,
        newest=_newest(facts),
        waiting=tuple(f"{name} waits for an approval: {url}" for name, url in facts.waiting),
        services=tuple(_service(heard, places) for heard in facts.heard),
    )


def role(state: State, slot: Slot) -> str | None:
    """What the arm in a slot is: "champion", "challenger" or "warm"; None where there is none."""
    if state.slots[slot] is None:
        return None
    return "champion" if slot == state.champion else "challenger" if slot == state.challenger else "warm"


def told(status: Status) -> list[str]:
    """The status as lines of text."""
    lines = [line for place in status.environments for line in _told_place(place)]
    if not status.environments:
        lines = ["nothing is deployed: the branch deploy has no state yet"]
    lines += [status.newest, *status.waiting]
    for service in status.services:
        lines.append(f"{'ok  ' if service.wanted and service.ready else 'FAIL'}  {service.url}: {service.sentence}")
    return [line for line in lines if line]


def _place(environment: str, past: Sequence[Moment], facts: Facts) -> Place:
    now = past[0]
    state = now.state
    return Place(
        environment=environment,
        strategy=state.strategy,
        sticky=state.sticky,
        since=now.at,
        sha=now.sha,
        seats=tuple(_seat(slot, past, facts) for slot in state.arms),
        withdrawn=dict(state.withdrawn),
    )


def _seat(slot: Slot, past: Sequence[Moment], facts: Facts) -> Seat:
    state = past[0].state
    arm, share, mirror = state.arms[slot], state.weights[slot], _mirror(state, slot)
    came = past[0]
    for moment in past:
        if _part(moment.state, slot) != _part(state, slot):
            break
        came = moment
    move: Record = next((one for one in facts.moves if one["deploy_sha"] == came.sha), {})
    release: Record = next((one for one in facts.releases if one["tag"] == arm.release), {})
    return Seat(
        slot=slot,
        role=role(state, slot) or "",
        release=arm.release,
        model=arm.model,
        image=arm.image,
        share=share,
        mirror=mirror,
        since=came.at,
        who=move.get("who"),
        why=move.get("reason"),
        sentence=_sentence(release, facts),
    )


def _sentence(release: Record, facts: Facts) -> str:
    verdict = facts.verdicts.get(release.get("verdict") or "")
    if verdict is not None:
        return str(verdict["sentence"])
    if release and release["verdict"] is None:
        return "The first model of the repository: there was none to be judged against."
    return "No record says why it may run."


def _part(state: State, slot: Slot) -> tuple[object, ...]:
    """What makes a seat the same as before: the arm, its role and how much it has to do."""
    return state.slots[slot], role(state, slot), state.weights[slot], _mirror(state, slot)


def _mirror(state: State, slot: Slot) -> int:
    return state.mirror if slot == state.challenger else 0


def _newest(facts: Facts) -> str:
    """Whether the newest release has come to production, in one sentence."""
    from ratchet.release import number_of

    entry = max(facts.releases, key=lambda one: number_of(one["tag"]), default=None)
    if entry is None:
        return "no release yet"
    tag, past = entry["tag"], facts.moments.get("production", ())
    state = past[0].state if past else None
    if state is not None and tag in state.withdrawn:
        return f"newest release: {tag}, withdrawn from production: {state.withdrawn[tag]}"
    slot = None if state is None else state.slot_of(tag)
    if state is not None and slot is not None and tag in state.taking_part:
        return f"newest release: {tag}, {role(state, slot)} in production"
    if not entry.get("image"):
        return f"newest release: {tag}, which has no image, so it cannot run"
    return (
        f"newest release: {tag}, not in production yet: Actions → promote, or `ratchet deploy plan` to see what changes"
    )


def _service(heard: Heard, places: Sequence[Place]) -> Service:
    if heard.info is None:
        return Service(heard.url, None, None, heard.ready, wanted=False, sentence=f"does not answer: {heard.fault}")
    model, release = str(heard.info["model"]), heard.info.get("release") or None
    asked = [place for place in places if heard.environment in {None, place.environment}]
    found = next(((place, seat) for place in asked for seat in place.seats if _is(seat, model, release)), None)
    state = "" if heard.ready else ", and is not ready"
    if found is None:
        sentence = f"runs {_named(release, model)}{state}; wanted: {_wanted(asked) or 'nothing'}"
        return Service(heard.url, release, model, heard.ready, wanted=False, sentence=sentence)
    place, seat = found
    sentence = f"runs {_named(seat.release, model)}, {seat.role} in {place.environment}{state}"
    return Service(heard.url, release, model, heard.ready, wanted=True, sentence=sentence)


def _is(seat: Seat, model: str, release: str | None) -> bool:
    return seat.model == model and release in {None, seat.release}


def _named(release: str | None, model: str) -> str:
    return f"{release or 'a model'} ({model[:SHORT]})"


def _wanted(places: Sequence[Place]) -> str:
    return ", ".join(
        f"{_named(seat.release, seat.model)} in {place.environment}" for place in places for seat in place.seats
    )


def _told_place(place: Place) -> Iterator[str]:
    sticky = ", sticky" if place.sticky else ""
    yield f"{place.environment}: {place.strategy}{sticky}, commit {place.sha[:7]} of {readable(place.since)}"
    for seat in place.seats:
        digest = seat.image.partition("@sha256:")[2][:SHORT]
        amount = f"{seat.share:3} %" + (f" and {seat.mirror} % copied" if seat.mirror else "")
        yield f"  {seat.slot:<5}  {seat.role:<10}  {seat.release:<9}  {amount}  image {digest}"
        by = f"by {seat.who}: {seat.why}" if seat.who else "and no record says by whom"
        yield f"         since {readable(seat.since)} {by}"
        yield f"         {seat.sentence}"
    for release, why in sorted(place.withdrawn.items()):
        yield f"  withdrawn: {release}: {why}"


def readable(at: str) -> str:
    """A time in UTC as people read it: `2026-11-24 13:07 UTC`."""
    return f"{at[:10]} {at[11:16]} UTC"

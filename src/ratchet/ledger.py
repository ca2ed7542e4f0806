"""The ledger: what was decided about which model, by what evidence, one small JSON file each, only ever added.

    ledger = Ledger(forge)
    ledger.append_with(lambda listing: verdict(judgement, listing.look(holdout, model), now()))

It is the branch `records`, which the API moves forward and never back:

    verdicts/<holdout>/<model>/pr12-345.1.json      of pull request 12, run 345, attempt 1
    claims/pr12-345.1.json                          the same by a fork's own scores: no look, and nothing rests on it
    acceptances/pr12-678.json    adoptions/…    refreshes/…    releases/model-v1.json
    promotions/production-901.json    rollbacks/…
    proofs/<holdout>/<model>/2013-06-345.json       a retraining that drift.yml has tried: a look like a verdict
    checks/2013-06/<inputs>.json                    a drift check, also one that found nothing

All digests are cut to 16 digits. The paths alone say which models a holdout has judged: a *look* is one of these. It
is counted in the same commit that records its verdict, so that two runs at once never share one.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from random import random
from typing import Any

from ratchet import schemas
from ratchet.errors import RatchetError
from ratchet.forge import Entry, Forge, Moved

Record = dict[str, Any]

BRANCH = "records"
LOOKS = ("verdicts", "proofs")
"""Folders in which a model has seen a holdout."""
MOVES = ("promotion", "rollback")
"""Kinds of records of what runs where."""
VERSION = 1
DIGITS = 16
"""Digits of a digest in a path: enough that two never meet, few enough to read."""
LIMIT = 1_000_000
"""Bytes of a record at most, on average of those that are read together."""
TRIES = 12
"""How often a record is tried again when others are faster; each time, one of them got through."""


def now() -> str:
    """The time in UTC, as records hold it: `2026-11-24T13:07:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def record(kind: str, at: str, **fields: Any) -> Record:
    """A record of that kind.

    Args:
        kind: One of those that the schema lists: "verdict", "release", "rollback", …
        at: When, from `now`.
        fields: What `record.schema.json` asks for of its kind.

    Raises:
        RatchetError: It is not in the shape of `record.schema.json`.
    """
    return checked({"version": VERSION, "kind": kind, "at": at, **fields})


def verdict(judgement: Mapping[str, Any], look: int, at: str) -> Record:
    """The record of a judgement, as the look that it turned out to be; of a fork's only as its claim.

    Args:
        judgement: In the shape of `judgement.schema.json`, with the outcome "judged".
        look: Which distinct model this is on its holdout.
        at: When.

    Raises:
        RatchetError: The judgement has no verdict for that look.
    """
    said = verdict_at(judgement, look)
    copied = ("pull_request", "artifact", "model_digest", "lock_digest", "holdout", "champion", "judge_changed")
    head, run = judgement["head"], judgement["run"]
    return record(
        "claim" if head["is_fork"] else "verdict",
        at,
        head_sha=head["sha"],
        head_repository=head["repository"],
        run=run["id"],
        attempt=run["attempt"],
        lock_blob=None if judgement["lock"] is None else blob_name(judgement["lock"]),
        verdict=said["verdict"],
        hold=said["hold"],
        sentence=said["sentence"],
        look=look,
        **{name: judgement[name] for name in copied},
    )


def verdict_at(judgement: Mapping[str, Any], look: int) -> Mapping[str, Any]:
    """The verdict that a judgement holds for a look; it holds some from its `first_look` on.

    Raises:
        RatchetError: It holds none for this one: too many models were judged meanwhile.
    """
    verdicts, index = judgement["verdicts"], look - judgement["first_look"]
    if not 0 <= index < len(verdicts):
        raise RatchetError(
            f"look {look}: the judgement holds {len(verdicts)} verdicts from look {judgement['first_look']} on, "
            "and other models were judged meanwhile\njudge it again"
        )
    found: Mapping[str, Any] = verdicts[index]
    return found


def blob_name(text: str | bytes) -> str:
    """How git names a file of that content."""
    content = text.encode() if isinstance(text, str) else text
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def path_of(entry: Mapping[str, Any]) -> str:
    """Where a record lies."""
    if entry["kind"] in {"verdict", "claim"}:
        run = f"pr{entry['pull_request']}-{entry['run']}.{entry['attempt']}.json"
        is_claim = entry["kind"] == "claim"
        about = judged_in("verdicts", entry["holdout"], entry["model_digest"])
        return f"claims/{run}" if is_claim else f"{about}{run}"
    if entry["kind"] == "release":
        return f"releases/{entry['tag']}.json"
    if entry["kind"] in MOVES:
        return f"{entry['kind']}s/{entry['environment']}-{entry['run']}.json"
    if entry["kind"] == "proof":
        run = f"{entry['period']}-{entry['run']}.json"
        return f"{judged_in('proofs', entry['holdout'], entry['model_digest'])}{run}"
    if entry["kind"] == "check":
        return check_path(entry["period"], entry["inputs"])
    return f"{_FOLDERS[entry['kind']]}/pr{entry['pull_request']}-{entry['run']}.json"


def judged_in(folder: str, holdout: str, model: str) -> str:
    """The folder, in one of `LOOKS`, of what is said about a model on a holdout, with its slash."""
    return f"{folder}/{holdout[:DIGITS]}/{model[:DIGITS]}/"


def check_path(period: str, inputs: str) -> str:
    """Where the drift check of a period lies that has looked at these inputs."""
    return f"checks/{period}/{inputs[:DIGITS]}.json"


def models(paths: Collection[str], holdout: str) -> frozenset[str]:
    """The models that a holdout has judged, by the first digits of their digests."""
    folders = tuple(f"{folder}/{holdout[:DIGITS]}/" for folder in LOOKS)
    return frozenset(path.split("/")[2] for path in paths if path.startswith(folders))


def tried(paths: Collection[str], period: str) -> frozenset[tuple[str, str]]:
    """Holdouts and models of the retrainings that were tried on a period, by the first digits of their digests."""
    parts = (path.split("/") for path in paths if path.startswith("proofs/"))
    return frozenset((holdout, model) for _, holdout, model, name in parts if name.rpartition("-")[0] == period)


def checked(entry: Any, where: str = "record") -> Record:
    """The record itself, when it has the shape of `record.schema.json`.

    Raises:
        RatchetError: It has not; says where.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    kind = str(entry.get("kind")) if isinstance(entry, dict) else ""
    found = best_match(Draft202012Validator(_shape(kind)).iter_errors(entry))
    if found is not None:
        raise RatchetError(f"{where}: is not a valid record: {found.json_path}: {found.message[:300]}")
    return dict(entry)


def text(entry: Mapping[str, Any]) -> bytes:
    """The bytes of a record's file."""
    return (json.dumps(entry, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


@dataclass(frozen=True)
class Listing:
    """The ledger as it was at one moment: its paths, and its records when they are asked for.

    Attributes:
        head: The commit; None while there is no ledger.
        entries: Its files by path.
        fetch: Gives files' bytes by the hashes of their content.
    """

    head: str | None
    entries: Mapping[str, Entry]
    fetch: Callable[[Collection[str]], Mapping[str, bytes]] = field(repr=False)

    def read(self, path: str) -> Record | None:
        """The record at a path; None when there is none.

        Raises:
            RatchetError: What lies there is no record.
        """
        return next(iter(self._read([path] if path in self.entries else [])), None)

    def look(self, holdout: str, model: str, period: str | None = None) -> int:
        """Which distinct model this is (or would be) that the holdout judges: one that was judged keeps its look.

        Args:
            holdout: Names the rows.
            model: Its digest.
            period: Of a retraining that is tried on it: what was tried on the same period with fewer of its labels,
                which was another holdout, counts as well.
        """
        known = self._chosen(lambda path: path.startswith(tuple(judged_in(folder, holdout, model) for folder in LOOKS)))
        if known:
            return int(known[0]["look"])
        others = {one for one in tried(self.entries, period) if one[0] != holdout[:DIGITS]} if period else ()
        return len(models(self.entries, holdout)) + len(others) + 1

    def verdicts(self, pull_request: int) -> list[Record]:
        """The verdicts about a pull request, oldest first."""
        return self._records("verdicts/", f"pr{pull_request}-")

    def claims(self, pull_request: int) -> list[Record]:
        """What a fork's own scores would have come to, oldest first."""
        return self._records("claims/", f"pr{pull_request}-")

    def all_verdicts(self) -> list[Record]:
        """All verdicts, oldest first."""
        return self._records("verdicts/")

    def proofs(self) -> list[Record]:
        """All retrainings that were tried, oldest first."""
        return self._records("proofs/")

    def checks(self, period: str) -> list[Record]:
        """The drift checks of a period, oldest first."""
        return self._records(f"checks/{period}/")

    def acceptances(self) -> list[Record]:
        """All acceptances, oldest first."""
        return self._records("acceptances/")

    def acceptance(self, pull_request: int, judgement: Mapping[str, Any], head: str) -> Record | None:
        """The newest acceptance that lets a judgement pass as it stands.

        A safe hold is accepted for one model on one holdout, a change of the judge for one commit. Neither lets
        anything else pass: not another model, and not this one once the verdict about it is another.

        Args:
            pull_request: Its number.
            judgement: What is to pass.
            head: The head of the pull request, which may be the judged commit with dvc.lock on top.
        """
        held, commits = self._held(judgement), {head, judgement["head"]["sha"]}
        fits = [
            entry
            for entry in self._records("acceptances/", f"pr{pull_request}-")
            if (entry["hold"], entry["model_digest"], entry["holdout"]) == held
            and (entry["hold"] == "safe" or entry["head_sha"] in commits)
        ]
        return fits[-1] if fits else None

    def _held(self, judgement: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
        """What an acceptance of a judgement must name: why it holds, the model, the holdout."""
        if judgement["outcome"] in {"failed", "rejected"}:
            return None, None, None
        if judgement["outcome"] != "judged":  # nothing was compared, so only a change of the judge can hold it
            return "judge changed" if judgement["judge_changed"] else None, None, None
        model, holdout = judgement["model_digest"], judgement["holdout"]
        return verdict_at(judgement, self.look(holdout, model))["hold"], model, holdout

    def history(self, pull_request: int) -> list[Record]:
        """All records about a pull request, oldest first."""
        return self._chosen(lambda path: path.rpartition("/")[2].startswith(f"pr{pull_request}-"))

    def releases(self) -> list[Record]:
        """The releases, oldest first."""
        return self._records("releases/")

    def moves(self, environment: str | None = None) -> list[Record]:
        """Promotions and rollbacks of an environment, or of all, oldest first."""
        folders = tuple(f"{kind}s/{environment or ''}" for kind in MOVES)
        return self._chosen(lambda path: path.startswith(folders))

    def _records(self, folder: str, name: str = "") -> list[Record]:
        return self._chosen(lambda path: path.startswith(folder) and path.rpartition("/")[2].startswith(name))

    def _chosen(self, wanted: Callable[[str], bool]) -> list[Record]:
        found = self._read([path for path in sorted(self.entries) if wanted(path)])
        return sorted(found, key=lambda entry: (entry["at"], entry.get("run", 0)))

    def _read(self, paths: Collection[str]) -> list[Record]:
        """The records at paths that are there, all fetched at once."""
        content = self.fetch([self.entries[path].sha for path in paths]) if paths else {}
        return [_parsed(content[self.entries[path].sha], f"{BRANCH}:{path}") for path in paths]


class Ledger:
    """The ledger of a repository."""

    def __init__(self, forge: Forge, sleep: Callable[[float], None] = time.sleep) -> None:
        self._forge, self._sleep = forge, sleep

    def listing(self) -> Listing:
        """The ledger as it is now."""
        head = self._forge.branch(BRANCH)

        def fetch(shas: Collection[str]) -> Mapping[str, bytes]:
            return self._forge.objects.files(shas, LIMIT * len(shas))

        return Listing(head, self._forge.tree(head) if head else {}, fetch)

    def look(self, holdout: str, model: str, period: str | None = None) -> int:
        """Which distinct model this is (or would be now) that the holdout judges; see `Listing.look`."""
        return self.listing().look(holdout, model, period)

    def append(self, entry: Mapping[str, Any]) -> Record:
        """Add a record; like `append_with`."""
        return self.append_with(lambda _: dict(entry))

    def append_with(self, build: Callable[[Listing], Record]) -> Record:
        """Add a record that depends on those that are there, and return it as it now stands.

        The record that the ledger has already, but for its time, is not added again: the older one is returned.

        Args:
            build: Makes the record; called again, with the ledger as it is then, whenever someone else was faster.

        Raises:
            RatchetError: There is another record in its place, or it is no valid one.
        """
        for attempt in range(TRIES):
            listing = self.listing()
            entry = checked(build(listing))
            path = path_of(entry)
            held = listing.read(path)
            if held is not None:
                return _same(held, entry, path)
            try:
                self._forge.commit_files(BRANCH, listing.head, {path: text(entry)}, _message(entry))
            except Moved:
                self._sleep(min(0.1 * 2**attempt, 5.0) * random())  # noqa: S311  # so that two part ways
            else:
                return entry
        raise Moved(f"branch {BRANCH}: has moved {TRIES} times meanwhile\nrun it again")


_FOLDERS = {"acceptance": "acceptances", "adoption": "adoptions", "refresh": "refreshes"}


def _parsed(content: bytes, where: str) -> Record:
    try:
        return checked(json.loads(content), where)
    except ValueError as error:
        raise RatchetError(f"{where}: is not valid JSON: {error}") from error


def _same(held: Record, entry: Record, path: str) -> Record:
    if {**held, "at": ""} == {**entry, "at": ""}:
        return held
    differ = sorted(name for name in held.keys() | entry.keys() if held.get(name) != entry.get(name) and name != "at")
    raise RatchetError(
        f"{BRANCH}:{path}: is there already with another {', '.join(differ)}\n"
        "a record never changes: start a new run, which gets one of its own"
    )


def _message(entry: Mapping[str, Any]) -> str:
    """Without a number sign: GitHub would link every record under the pull request it is about."""
    if entry["kind"] == "release":
        return f"release {entry['tag']}"
    if entry["kind"] in MOVES:
        return f"{entry['kind']} in {entry['environment']}: {entry['tag']}, run {entry['run']}"
    if entry["kind"] in {"proof", "check"}:
        said = entry["verdict"] if entry["kind"] == "proof" else entry["state"]
        return f"{entry['kind']} of {entry['period']}: {said}, run {entry['run']}"
    said = f" {entry['verdict']}" if entry["kind"] == "verdict" else ""
    return f"{entry['kind']}{said}: pull request {entry['pull_request']}, run {entry['run']}"


@cache
def _shape(kind: str) -> dict[str, Any]:
    """The schema of one kind of record, whose errors say what is wrong and not which kind it might have been."""
    whole = dict(schemas.schema("record"))
    one = {"$ref": f"#/$defs/{kind}"}
    return {**whole, "oneOf": [one]} if one in whole["oneOf"] else {k: v for k, v in whole.items() if k != "oneOf"}

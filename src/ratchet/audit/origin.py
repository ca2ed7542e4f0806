"""What a model was made of, by the lock of its commit: the bundle, the data, the parameters, the code. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ratchet import bundle, intake, lock, yaml12
from ratchet.audit.facts import DATASET, Facts, Link, Record, parsed
from ratchet.errors import RatchetError
from ratchet.release.code import strays
from ratchet.status import SHORT

PERIODS = "data/periods/"
_PARAMETER = " is not what params.yaml says"  # how `lock.faults` ends when it is about a parameter


@dataclass(frozen=True)
class Origin:
    """The pipeline at the commit of a release.

    Attributes:
        digest: The lock digest.
        outs: Path to hash of what the live stages have made.
        faults: Where the lock does not fit the commit.
        fault: Why it cannot be read at all; empty when it can.
    """

    digest: str = ""
    outs: Mapping[str, str] | None = None
    faults: Sequence[str] = ()
    fault: str = ""


def links(facts: Facts) -> Iterator[Link]:
    """The links from the commit of a release to what its model was made of."""
    origin = read(facts)
    if origin.outs is None:
        yield Link("lock", "broken", f"{origin.fault}; data, parameters and code hang on it")
        return
    yield _lock(facts, origin, origin.outs)
    yield _data(facts, origin.outs)
    yield _parameters(facts, origin)
    yield _code(facts, origin)


def read(facts: Facts) -> Origin:
    """Read the lock and the pipeline of the commit, as data: nothing of it runs."""
    tree = facts.tree or {}
    absent = [name for name in ("dvc.lock", "dvc.yaml", "params.yaml") if name not in tree]
    if absent:
        return Origin(fault=f"the commit has no {absent[0]}")
    try:
        stages = lock.parse(tree["dvc.lock"].decode(errors="replace"))
        live = lock.live_of(tree["dvc.yaml"], tree["params.yaml"])
        outs = {item["path"]: str(item["md5"]) for name in live for item in stages.get(name, {}).get("outs", [])}
        faults = lock.faults(stages, live, tree.get, tree)
    except RatchetError as error:
        return Origin(fault=str(error).splitlines()[0])
    except (KeyError, TypeError, AttributeError):
        return Origin(fault="dvc.lock is not as DVC writes it")
    return Origin(lock.digest(stages, [name for name, stage in live.items() if stage.outs]), outs, faults)


def _lock(facts: Facts, origin: Origin, outs: Mapping[str, str]) -> Link:
    expected = facts.record["lock_digest"]
    made = lock.directory_md5({name: lock.md5(content) for name, content in facts.model.items()})
    named = outs.get(intake.BUNDLE, "none")
    if origin.digest != expected:
        sentence = f"the commit's dvc.lock is {origin.digest[:SHORT]}, and the record names {expected[:SHORT]}"
        return Link("lock", "broken", sentence)
    if made != named:
        return Link("lock", "broken", f"dvc.lock names the bundle {named[:SHORT]}, and the release has {made[:SHORT]}")
    return Link("lock", "ok", f"{expected}, which names this very bundle")


def _data(facts: Facts, outs: Mapping[str, str]) -> Link:
    content = facts.files.documents.get(DATASET) if facts.files else None
    if content is None:
        return Link("data", "broken", f"the release has no {DATASET}")
    if lock.md5(content) != outs.get(intake.OUTPUTS[DATASET]):
        return Link("data", "broken", f"{DATASET} of the release is not the one that dvc.lock names")
    dataset = parsed(content)
    train, test = ({period: entry["sha256"] for period, entry in dataset[part].items()} for part in ("train", "test"))
    periods = {path.removeprefix(PERIODS).split("/")[0] for path in outs if path.startswith(PERIODS)}
    if periods != train.keys() | test.keys():
        return Link("data", "broken", f"dvc.lock holds other periods than {DATASET}")
    if _manifest(facts).get("trained_on") != train:
        return Link("data", "broken", "the bundle's manifest names other training data")
    sums = ", ".join(f"{period} {digest[:8]}" for period, digest in sorted({**train, **test}.items()))
    return Link("data", "ok", f"trained on {_span(train)}, tested on {_span(test)}; SHA-256 of the rows: {sums}")


def _parameters(facts: Facts, origin: Origin) -> Link:
    wrong = [fault for fault in origin.faults if fault.endswith(_PARAMETER)]
    here, made_from = _params(facts), _manifest(facts).get("made_from", {}).get("params", {})
    for name, value in made_from.items():
        if here.get(name) != value:
            wrong.append(f"{name} in params.yaml is not what the bundle was made from")
    if wrong:
        return Link("parameters", "broken", summed(wrong))
    return Link("parameters", "ok", f"{', '.join(sorted(made_from))} of params.yaml are those of dvc.lock and bundle")


def _code(facts: Facts, origin: Origin) -> Link:
    wrong = [fault for fault in origin.faults if not fault.endswith(_PARAMETER)]
    judged = facts.judgement.tree if facts.judgement else {}
    wrong += [f"src/{name} is not what the bundle runs" for name in strays(facts.model, [facts.tree or {}, judged])]
    if wrong:
        return Link("code", "broken", summed(wrong))
    return Link("code", "ok", "what the stages have read and what the bundle runs is what the commit has")


def summed(faults: Sequence[str]) -> str:
    """The first of several faults, and how many there are beside it."""
    return faults[0] if len(faults) == 1 else f"{faults[0]}, and {len(faults) - 1} more"


def _params(facts: Facts) -> dict[str, Any]:
    found = yaml12.read_as_dvc((facts.tree or {}).get("params.yaml", b"{}"), "params.yaml")
    return found if isinstance(found, dict) else {}


def _manifest(facts: Facts) -> Record:
    return parsed(facts.model.get(bundle.MANIFEST))


def _span(periods: Mapping[str, Any]) -> str:
    first, last = min(periods, default="nothing"), max(periods, default="nothing")
    return first if first == last else f"{first} to {last}"

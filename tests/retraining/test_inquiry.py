"""From a check to what follows: which periods are trained with, what a failed training is, and what is written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import yaml
from scene_example import DIGEST, KNOWN, Coins, scene, throws

from forge_example import Desk, desk
from ratchet import bundle, evidence, judge, ledger, lock, outputs, params
from ratchet.drift import report
from ratchet.errors import RatchetError
from ratchet.ledger import Ledger
from ratchet.retraining import inquiry
from ratchet.retraining.inquiry import Inquiry
from rehearsal.forge import Forge as Server
from release_example import git

APRIL, MAY = throws("2013-04"), throws("2013-05")
PROOF = {"model_digest": "a" * 64, "lock_digest": "e" * 64, "look": 1, "verdict": "hold", "hold": "cannot tell"}
PROOF |= {"sentence": "Hold, cannot tell.", "improvement": {"value": 0.0, "low": None, "high": None}}


@pytest.fixture
def yard(forge: Server) -> Desk:
    """A repository whose ledger is empty."""
    return desk(forge)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Main, checked out: the champion's months lie in it, and the source has April and May."""
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "--quiet")
    commit(root)
    made = scene(root, monkeypatch, Coins(m2013_04=APRIL, m2013_05=MAY))
    (root / "params.yaml").write_text(yaml.safe_dump(made.given.model_dump(mode="json")))
    monkeypatch.setattr(inquiry, "_scene", lambda *_: made)
    monkeypatch.setattr(report, "evidently", lambda *_: "<p>Evidently</p>")
    return root


def commit(root: Path) -> None:
    """Main moves on."""
    git(root, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "--allow-empty", "-qm", "A change")


def recorded(found: Inquiry, **changes: Any) -> dict[str, Any]:
    """The record of a check, as the ledger takes it."""
    names = ("period", "inputs", "champion", "state", "diagnosis", "sentence", "labelled", "findings")
    fields = {name: getattr(found, name) for name in names} | changes
    return ledger.record("check", ledger.now(), run=7, proof=None, answer={"action": "none", "number": None}, **fields)


def breaks(monkeypatch: pytest.MonkeyPatch, stage: str | None) -> None:
    """The pipeline fails in a stage, or around all of them."""
    failure = {"stage": stage, "log": "late: is null in 40 % of the rows"}
    monkeypatch.setattr(evidence, "collect", lambda *_, **__: {"outcome": "failed", "failure": failure})


def holds(monkeypatch: pytest.MonkeyPatch, holdout: str) -> None:
    """The pipeline makes a challenger, which is not proven to be better on these rows."""
    monkeypatch.setattr(evidence, "collect", lambda *_, **__: {"outcome": "proposed"})
    monkeypatch.setattr(outputs, "find", lambda root: SimpleNamespace(bundle=root))
    monkeypatch.setattr(outputs, "holdout", lambda *_: SimpleNamespace(digests={}))
    monkeypatch.setattr(judge, "holdout_digest", lambda _: holdout)
    monkeypatch.setattr(bundle, "digest", lambda _: PROOF["model_digest"])
    monkeypatch.setattr(lock, "digest_of", lambda _: PROOF["lock_digest"])
    monkeypatch.setattr(outputs, "compare", lambda *_: SimpleNamespace(verdict=verdict, write=Path.mkdir))
    primary = {"improvement": 0.0, "low": None, "high": None}
    verdict = {"verdict": "hold", "hold": "cannot tell", "sentence": "Hold, cannot tell.", "primary": primary}


def checked(yard: Desk, root: Path, wanted: str | None = None) -> Inquiry | None:
    return inquiry.check(yard.client(), root, root.parent / "out", wanted)


def test_a_training_that_fails_is_a_check_of_its_own(yard: Desk, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is recorded, with an issue that says why, and is not tried again before main has changed."""
    breaks(monkeypatch, "assemble")
    found = checked(yard, root)

    assert found is not None
    assert (found.period, found.state, found.action, found.proof) == ("2013-04", "failed", "issue", None)
    assert "The stage assemble fails: late: is null in 40 % of the rows" in found.sentence
    Ledger(yard.client()).append(recorded(found))

    again = checked(yard, root)
    assert again is not None
    assert again.period == "2013-05"
    Ledger(yard.client()).append(recorded(again))
    assert checked(yard, root) is None

    commit(root)
    later = checked(yard, root)
    assert later is not None
    assert (later.period, later.inputs == found.inputs) == ("2013-04", False)


def test_what_fails_around_the_stages_is_no_finding(yard: Desk, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run fails: the next one may have more luck."""
    breaks(monkeypatch, None)

    with pytest.raises(RatchetError, match="2013-04: no challenger can be trained"):
        checked(yard, root)
    assert not (root.parent / "out").exists()


@pytest.mark.parametrize(
    ("diagnoses", "added"),
    [
        (["broken upstream"], ["2013-05"]),
        (["too few labels"], ["2013-05"]),
        (["broken upstream", "healthy"], ["2013-04", "2013-05"]),
        ([], ["2013-04", "2013-05"]),
    ],
)
def test_a_period_that_its_newest_check_found_unfit_stays_out(
    yard: Desk, root: Path, monkeypatch: pytest.MonkeyPatch, diagnoses: list[str], added: list[str]
) -> None:
    """Its issue was closed by hand: the pipeline would refuse it for ever; one that was mended is taken in."""
    breaks(monkeypatch, "train")
    found = checked(yard, root, "2013-04")
    assert found is not None
    for number, diagnosis in enumerate(diagnoses):
        changes = {"diagnosis": diagnosis, "inputs": f"{number}" * 64, "state": "watch"}
        Ledger(yard.client()).append(recorded(found, **changes) | {"at": f"2013-06-0{number + 1}T00:00:00Z"})

    later = checked(yard, root, "2013-05")

    assert later is not None
    assert (later.added, later.periods) == (added, [*KNOWN, *added])
    assert list(params.load(root / "params.yaml").data.periods) == later.periods
    assert ("no data to train with: 2013-04" in later.diagnosed) == (len(added) == 1)


def test_more_labels_of_a_period_are_another_look(yard: Desk, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not the first one of another holdout: each would have the whole chance to be wrong."""
    champion = {"tag": "model-v1", "digest": DIGEST}
    first = ledger.record("proof", ledger.now(), period="2013-04", run=6, champion=champion, holdout="1" * 64, **PROOF)
    Ledger(yard.client()).append(first)
    (root / "dvc.lock").write_text("{}\n")

    looks = {}
    for holdout in ("1", "2"):
        holds(monkeypatch, holdout * 64)
        found = checked(yard, root, "2013-04")
        assert found is not None
        looks[holdout] = (found.proof or {})["look"]

    assert looks == {"1": 1, "2": 2}


def test_a_page_that_evidently_does_not_make_ends_no_check(
    yard: Desk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All inputs are private, or a column is odd: its page says so, and everything else is there."""

    def fails(*_: Any) -> str:
        raise ValueError("a column without values")

    monkeypatch.setattr(report, "evidently", fails)
    breaks(monkeypatch, "train")
    checked(yard, root)

    out = root.parent / "out"
    assert "a column without values" in (out / "evidently.html").read_text()
    assert {path.name for path in out.iterdir()} == {"inquiry.json", "report.md", "report.html", "evidently.html"}
    assert Inquiry.read(out).state == "failed"


def test_a_check_of_broken_data_fits_into_the_ledger(yard: Desk, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source of a wide table names all of its columns; the record does not."""
    more = pd.DataFrame(1, index=APRIL.index, columns=[f"column_{number:04}" for number in range(2000)])
    wide = pd.concat([APRIL.drop(columns="metal"), more], axis=1)
    made = scene(root, monkeypatch, Coins(m2013_04=wide))
    monkeypatch.setattr(inquiry, "_scene", lambda *_: made)

    found = checked(yard, root)

    assert found is not None
    assert (found.state, found.action) == ("broken", "issue")
    assert len(found.diagnosed) < 1300
    recorded(found)

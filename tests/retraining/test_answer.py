"""What follows from a check, on a local forge: one proposal with its reviewers, and looks that others have taken."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from forge_example import Desk, desk
from ratchet import files, ledger
from ratchet.errors import RatchetError
from ratchet.maintain import Deed
from ratchet.retraining import answer
from ratchet.retraining.answer import owners
from ratchet.retraining.inquiry import FILE
from rehearsal.forge import Forge as Server
from words_example import FOUND

DEED = Deed("github-actions[bot]", "", 700)
WORKFLOW = "name: {0}\non:\n  workflow_dispatch:\njobs: {{}}\n"
PROOF = {
    "model_digest": "a" * 64,
    "lock_digest": "e" * 64,
    "holdout": "f" * 64,
    "look": 1,
    "verdict": "promote",
    "hold": None,
    "improvement": {"value": 0.05, "low": 0.02, "high": 0.08},
    "sentence": "Promote: log loss falls by 0.05.",
}


@pytest.fixture
def yard(forge: Server) -> Desk:
    """A repository with an owner of its code."""
    made = desk(forge)
    held = {f".github/workflows/{name}.yml": WORKFLOW.format(name) for name in ("report", "ci")}
    made.commit("main", {**held, "params.yaml": "a: 1\n", "dvc.lock": "{}\n", ".github/CODEOWNERS": "* @bob\n"})
    forge.token("bob", role="read")
    return made


def folder(yard: Desk, place: Path, **changes: object) -> Path:
    """What the check before has left."""
    found = replace(FOUND, sha=str(yard.git.branch("main")), proof=PROOF, **changes)
    files.write_json(place / FILE, asdict(found))
    (place / "params.yaml").write_text("a: 2\n")
    (place / "dvc.lock").write_text("stages: {}\n")
    return place


def test_a_proposal_has_two_files_a_label_and_reviewers(yard: Desk, tmp_path: Path) -> None:
    """A second time changes nothing."""
    given = folder(yard, tmp_path)

    said = answer.answer(yard.client(), given, DEED)
    heads = [yard.git.branch(name) for name in ("records", "retrain/2013-06")]
    again = answer.answer(yard.client(), given, DEED)

    (pull,) = yard.client().open_pulls()
    held = yard.server.pull(yard.name, pull.number)
    assert (pull.title, held.labels, held.reviewers) == ("Retrain with 2013-05 and 2013-06", ["retraining"], ["bob"])
    assert "asked for a review: bob" in said
    assert yard.client().file(pull.head_branch, "params.yaml") == b"a: 2\n"
    assert yard.git.commit(pull.head_sha).parents == (main_of(yard),)
    assert [yard.git.branch(name) for name in ("records", "retrain/2013-06")] == heads
    assert again[-1] == said[-1] == "2013-06: retrain: Retraining is proven to help: a pull request carries it."


def main_of(yard: Desk) -> str:
    """The commit that was checked."""
    return str(yard.git.branch("main"))


def test_a_look_that_others_have_taken_is_no_proof(yard: Desk, tmp_path: Path) -> None:
    """Its level was another one: nothing is opened, and a new run judges anew."""
    book = ledger.Ledger(yard.client())
    other = {**PROOF, "model_digest": "9" * 64}
    book.append(ledger.record("proof", ledger.now(), period="2013-06", run=1, champion=FOUND.champion, **other))

    with pytest.raises(RatchetError, match="2013-06: is look 2 by now, and was judged as look 1"):
        answer.answer(yard.client(), folder(yard, tmp_path), DEED)

    assert yard.client().open_pulls() == []
    assert book.look("f" * 64, "9" * 64) == 1
    assert book.look("f" * 64, "8" * 64) == 2


def test_owners_are_people_and_teams_that_are_named() -> None:
    """Comments and the placeholder are nobody; a team is named without its organisation."""
    text = "# @nobody\n/src/ @ada @org/ml-team\n/deploy/ @OWNER @ada # @late\n*.md docs@example.org\n"

    assert owners(text) == (["ada"], ["ml-team"])
    assert owners("/src/ @OWNER\n") == ([], [])

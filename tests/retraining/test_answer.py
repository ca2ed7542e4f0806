"""What follows from a check, on a local forge, with the rights of drift.yml's job: once, and for the newest period."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from forge_example import Desk, desk
from ratchet import files, ledger
from ratchet.errors import RatchetError
from ratchet.forge import Forge
from ratchet.maintain import Deed
from ratchet.retraining import answer, words
from ratchet.retraining.answer import owners
from ratchet.retraining.inquiry import FILE
from rehearsal.forge import Event
from rehearsal.forge import Forge as Server
from words_example import FOUND

DEED = Deed("github-actions[bot]", "", 700)
RIGHTS = {"actions": "write", "contents": "write", "issues": "write", "pull_requests": "write", "statuses": "read"}
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
HELD = {**PROOF, "verdict": "hold", "hold": "safe", "sentence": "Hold: cannot tell."}
QUIET: dict[str, Any] = {"state": "healthy", "action": "none", "sentence": "The champion stays.", "proof": HELD}
DRIFTED = {**QUIET, "state": "watch", "action": "issue", "sentence": "The champion fell."}
BROKEN = {**QUIET, "state": "broken", "action": "issue", "sentence": "Broken.", "proof": None, "labelled": False}
BLOCKED = {**BROKEN, "action": "none", "sentence": "Blocked.", "labelled": True}
FAILED = {**QUIET, "state": "failed", "action": "issue", "sentence": "The stage train fails.", "proof": None}
UNKNOWN = {**QUIET, "proof": None, "labelled": False}

Answer = Callable[..., list[str]]


@pytest.fixture
def yard(forge: Server) -> Desk:
    """A repository with an owner of its code, where Actions may open pull requests."""
    made = desk(forge)
    held = {f".github/workflows/{name}.yml": WORKFLOW.format(name) for name in ("report", "ci")}
    made.commit("main", {**held, "params.yaml": "a: 1\n", "dvc.lock": "{}\n", ".github/CODEOWNERS": "* @bob\n"})
    forge.token("bob", role="read")
    forge.repository(made.name).settings.actions_may_open_pulls = True
    return made


@pytest.fixture
def job(yard: Desk) -> Forge:
    """The client of the job `answer`."""
    return yard.job(**RIGHTS)


def folder(yard: Desk, place: Path, lock: str = "stages: {}\n", **changes: Any) -> Path:
    """What the check before has left."""
    found = replace(FOUND, **{"sha": main_of(yard), "proof": PROOF, **changes})
    files.write_json(place / FILE, asdict(found))
    (place / "params.yaml").write_text("a: 2\n")
    (place / "dvc.lock").write_text(lock)
    return place


@pytest.fixture
def say(yard: Desk, job: Forge, tmp_path: Path) -> Answer:
    """Answer a check of a period, each of other inputs and by a run of its own."""
    runs = iter(range(701, 800))

    def said(period: str, **changes: Any) -> list[str]:
        run = next(runs)
        added = changes.pop("added", [period])
        given = {"period": period, "added": added, "inputs": f"{run}".ljust(64, "0"), **changes}
        return answer.answer(job, folder(yard, tmp_path / str(run), **given), replace(DEED, run=run))

    return said


def main_of(yard: Desk) -> str:
    """The commit that was checked."""
    return str(yard.git.branch("main"))


def proposed(yard: Desk) -> dict[int, str]:
    """Number to branch of the open pull requests."""
    return {pull.number: pull.head_branch for pull in yard.client().open_pulls()}


def issues(yard: Desk) -> list[str]:
    """Titles of the open issues, whoever opened them."""
    return [one.title for one in yard.server.state.issues if (one.repository, one.state) == (yard.name, "open")]


def answers(yard: Desk, period: str) -> list[dict[str, Any]]:
    """What followed from the checks of a period, by run."""
    return [entry["answer"] for entry in sorted(checks(yard, period), key=lambda entry: entry["run"])]


def checks(yard: Desk, period: str) -> list[dict[str, Any]]:
    """The records of the checks of a period."""
    return ledger.Ledger(yard.client()).listing().checks(period)


# --- the pull request


def test_a_proposal_has_two_files_a_label_and_reviewers(yard: Desk, job: Forge, tmp_path: Path) -> None:
    """A second time changes nothing."""
    given = folder(yard, tmp_path)

    said = answer.answer(job, given, DEED)
    heads = [yard.git.branch(name) for name in ("records", "retrain/2013-06")]
    again = answer.answer(job, given, DEED)

    (pull,) = yard.client().open_pulls()
    held = yard.server.pull(yard.name, pull.number)
    assert (pull.title, held.labels, held.reviewers) == ("Retrain with 2013-05 and 2013-06", ["retraining"], ["bob"])
    assert "asked for a review: bob" in said
    assert yard.client().file(pull.head_branch, "params.yaml") == b"a: 2\n"
    assert yard.git.commit(pull.head_sha).parents == (main_of(yard),)
    assert said[-1] == "2013-06: retrain: Retraining is proven to help: a pull request carries it."
    assert again == ["2013-06: nothing is left to do: it was answered"]
    assert [yard.git.branch(name) for name in ("records", "retrain/2013-06")] == heads


def test_a_newer_period_takes_the_place_of_an_earlier_one(yard: Desk, say: Answer) -> None:
    """Never the other way round, and never the place of what a person proposes. Superseded is not refused."""
    say("2013-05")
    yard.commit("retrain/by-hand", {"params.yaml": "a: 3\n"})
    by_hand = yard.client().create_pull("By hand", "retrain/by-hand", "main")

    say("2013-06", added=["2013-05", "2013-06"])

    assert proposed(yard) == {3: "retrain/2013-06", by_hand.number: "retrain/by-hand"}
    assert yard.git.branch("retrain/2013-05") is None
    (told,) = yard.client().comments(1)
    assert told.body.endswith("Superseded by #3, a retraining with 2013-05 and 2013-06.\n")

    said = say("2013-05")  # looked at anew, as after a change of the champion

    assert "pull request 3 is open for 2013-06: nothing older is proposed" in said
    assert sorted(proposed(yard)) == [by_hand.number, 3]

    yard.server.pull(yard.name, 3).state = "closed"  # by a person
    say("2013-06")
    say("2013-05")

    assert answers(yard, "2013-06") == [answered("pull request", 3), answered("refused", 3)]
    assert answers(yard, "2013-05") == [
        answered("pull request", 1),
        answered("none", 3),
        answered("pull request", 4),
    ]


def answered(action: str, number: int | None) -> dict[str, Any]:
    """As a record has it."""
    return {"action": action, "number": number}


def test_a_proposal_follows_its_newest_check(yard: Desk, say: Answer) -> None:
    """Proven with other data it has their text and files; proven no longer it is closed, and proven anew a new one."""
    say("2013-06")
    say("2013-06", added=["2013-04", "2013-06"], lock="stages: {a: 1}\n", proof={**PROOF, "sentence": "Promote: 0.07."})

    (pull,) = yard.client().open_pulls()
    assert (pull.number, pull.title) == (1, "Retrain with 2013-04 and 2013-06")
    assert "Promote: 0.07." in pull.body
    assert yard.client().file(pull.head_branch, "dvc.lock") == b"stages: {a: 1}\n"

    said = say("2013-06", **QUIET)

    assert "pull request 1 is closed: Retrain with 2013-04 and 2013-06" in said
    assert proposed(yard) == {}
    assert "Withdrawn: 2013-06 was checked again. The champion stays." in yard.client().comments(1)[-1].body

    yard.commit("main", {"README.md": "# Flights of New York\n"})
    say("2013-06")

    assert proposed(yard) == {2: "retrain/2013-06"}
    assert yard.git.commit(str(yard.git.branch("retrain/2013-06"))).parents == (main_of(yard),)


@pytest.mark.parametrize(
    ("period", "changes", "stays"),
    [
        ("2013-06", DRIFTED, False),
        ("2013-06", BROKEN, False),
        ("2013-06", FAILED, False),
        ("2013-06", UNKNOWN, True),
        ("2013-06", BLOCKED, True),
        ("2013-07", QUIET, True),
    ],
    ids=["fell", "broken", "failed", "no-labels", "blocked", "later"],
)
def test_a_proposal_is_withdrawn_by_what_speaks_against_it(
    yard: Desk, say: Answer, period: str, changes: dict[str, Any], stays: bool
) -> None:
    """What was not judged does not, nor that July teaches nothing when June has proven to."""
    say("2013-06")
    say(period, **changes)

    assert proposed(yard) == ({1: "retrain/2013-06"} if stays else {})


def test_each_gate_is_dispatched_once_also_when_the_second_dispatch_fails(
    yard: Desk, job: Forge, tmp_path: Path
) -> None:
    """By the time of the re-run the first gate waits already."""
    told: list[Event] = []
    yard.server.listen(told.append)
    given = folder(yard, tmp_path)
    yard.fails("POST", r"/ci\.yml/dispatches$", 502, times=99)
    with pytest.raises(RatchetError, match="502"):
        answer.answer(job, given, DEED)
    yard.server.faults.clear()
    head = str(yard.git.branch("retrain/2013-06"))
    yard.client().set_status(head, "model-gate", "pending", "report.yml trains and scores")

    answer.answer(job, given, DEED)

    dispatched = [event.payload["workflow"] for event in told if event.name == "workflow_dispatch"]
    assert dispatched == [".github/workflows/report.yml", ".github/workflows/ci.yml"]


# --- the same again


@pytest.mark.parametrize("path", ["params.yaml", "dvc.lock", ".github/workflows/ci.yml"])
def test_a_run_whose_main_is_no_more_is_not_answered(yard: Desk, job: Forge, tmp_path: Path, path: str) -> None:
    """Such as the re-run of one that broke off, after its pull request was merged."""
    given = folder(yard, tmp_path)
    yard.commit("main", {path: "b: 3\n"})

    said = answer.answer(job, given, DEED)

    assert said == [f"2013-06: nothing is left to do: main has another {path} since it was checked"]
    assert (proposed(yard), yard.git.branch("records"), yard.git.branch("retrain/2013-06")) == ({}, None, None)


def test_a_run_that_was_answered_does_not_put_its_files_back(yard: Desk, job: Forge, tmp_path: Path) -> None:
    """Somebody has worked on the branch since."""
    given = folder(yard, tmp_path)
    answer.answer(job, given, DEED)
    head = yard.commit("retrain/2013-06", {"params.yaml": "a: 4\n"})

    answer.answer(job, given, DEED)

    assert yard.git.branch("retrain/2013-06") == head


def test_two_runs_at_once_leave_one_of_everything(
    yard: Desk, job: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second does all of its work while the first is about to label its pull request."""
    given, label = folder(yard, tmp_path), Forge.label

    def slow(forge: Forge, number: int, names: list[str]) -> None:
        monkeypatch.setattr(Forge, "label", label)
        answer.answer(yard.job(**RIGHTS), given, replace(DEED, run=701))
        label(forge, number, names)

    monkeypatch.setattr(Forge, "label", slow)
    answer.answer(job, given, DEED)

    (entry,) = checks(yard, "2013-06")
    assert (entry["run"], entry["answer"]) == (701, answered("pull request", 1))
    assert proposed(yard) == {1: "retrain/2013-06"}


def test_a_look_that_others_have_taken_is_no_proof(yard: Desk, job: Forge, tmp_path: Path) -> None:
    """Its level was another one: nothing is opened, and a new run judges anew."""
    book = ledger.Ledger(yard.client())
    other = {**PROOF, "model_digest": "9" * 64}
    book.append(ledger.record("proof", ledger.now(), period="2013-06", run=1, champion=FOUND.champion, **other))

    with pytest.raises(RatchetError, match="2013-06: is look 2 by now, and was judged as look 1"):
        answer.answer(job, folder(yard, tmp_path), DEED)

    assert yard.client().open_pulls() == []
    assert book.look("f" * 64, "9" * 64) == 1
    assert book.look("f" * 64, "8" * 64) == 2


# --- the issues


@pytest.mark.parametrize(
    ("period", "changes", "closes"),
    [
        ("2013-07", {}, True),
        ("2013-07", QUIET, True),
        ("2013-06", QUIET, True),
        ("2013-07", UNKNOWN, False),
        ("2013-07", DRIFTED, False),
        ("2013-07", FAILED, False),
        ("2013-07", BLOCKED, False),
        ("2013-05", QUIET, False),
    ],
    ids=["helps", "holds", "holds-by-now", "no-labels", "fell", "failed", "blocked", "earlier"],
)
def test_drift_is_over_when_the_champion_holds_or_retraining_helps(
    yard: Desk, say: Answer, period: str, changes: dict[str, Any], closes: bool
) -> None:
    """In this period or a later one, by labels that have come. That something else was looked at says nothing."""
    say("2013-06", **DRIFTED)
    assert issues(yard) == ["Drift in 2013-06: retraining is not proven to help"]

    say(period, **changes)

    assert ("Drift in 2013-06: retraining is not proven to help" not in issues(yard)) is closes


def test_broken_data_are_one_issue_until_they_are_well(yard: Desk, say: Answer) -> None:
    """Also when somebody gives the issue another title; another period does not close it."""
    say("2013-06", **BROKEN)
    (one,) = [one for one in yard.server.state.issues if one.repository == yard.name]
    one.title = "Whoever is on call: look at this"

    say("2013-06", **{**BROKEN, "sentence": "Broken in another way."})
    say("2013-07", **BLOCKED)

    assert issues(yard) == ["Whoever is on call: look at this"]
    assert "Broken in another way." in one.body
    say("2013-06", **QUIET)
    assert issues(yard) == []


def test_a_training_that_failed_is_an_issue_until_one_works(yard: Desk, say: Answer) -> None:
    """Whatever the challenger comes to; that nothing was trained is no answer."""
    say("2013-06", **FAILED)
    (one,) = [one for one in yard.server.state.issues if one.repository == yard.name]
    assert (one.title, one.labels) == ("No challenger can be trained with 2013-06", ["retraining"])

    say("2013-07", **UNKNOWN)
    assert len(issues(yard)) == 1
    say("2013-07", **DRIFTED)

    assert issues(yard) == ["Drift in 2013-07: retraining is not proven to help"]


def test_what_others_write_is_no_issue_of_ours(yard: Desk, job: Forge, say: Answer) -> None:
    """Whoever may open issues neither blocks a retraining, nor is overwritten or closed."""
    stranger = yard.client(yard.server.token("eve", role="read"))
    text = f"{words.mark(words.BROKEN, '2013-06')}\nNothing may be retrained."
    forged = stranger.issue("The data of 2013-06 are broken", text)

    say("2013-06", **BROKEN)

    assert len(issues(yard)) == 2
    (ours,) = job.open_issues(words.BROKEN)
    assert ours.number != forged.number
    say("2013-06", **QUIET)
    assert issues(yard) == ["The data of 2013-06 are broken"]
    assert yard.server.state.issue(yard.name, forged.number).body == text  # type: ignore[union-attr]


# --- the reviewers


def test_people_are_asked_although_teams_cannot_be(yard: Desk, say: Answer) -> None:
    """A job's token does not know teams: GitHub refuses the whole request."""
    yard.commit("main", {".github/CODEOWNERS": "* @bob @org/ml-team\n"})

    said = say("2013-06")

    assert yard.server.pull(yard.name, 1).reviewers == ["bob"]
    assert "asked for a review: bob" in said
    assert any(one.startswith("not asked for a review: ml-team: ") for one in said)


@pytest.mark.parametrize(
    ("text", "people", "teams"),
    [
        ("* @ada @org/ml-team docs@example.org\n", ["ada"], ["ml-team"]),
        ("* @ada\n/params.yaml @bob # @late\n", ["ada", "bob"], []),
        ("* @ada\n*.yaml\n**/dvc.lock @bob\n", ["bob"], []),
        ("# * @nobody\n/src/ @ada\n/deploy/* @ada\n*.md @ada\n", [], []),
        ("* @OWNER\n", [], []),
        ("", [], []),
    ],
)
def test_owners_are_those_of_what_is_proposed(text: str, people: list[str], teams: list[str]) -> None:
    """Of the last line that fits params.yaml or dvc.lock; a team is named without its organisation."""
    assert owners(text) == (people, teams)

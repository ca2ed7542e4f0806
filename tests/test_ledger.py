"""The ledger only ever grows, counts looks without a race, and holds nothing that is not a record."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from forge_example import Desk, desk
from ratchet import ledger
from ratchet.errors import RatchetError
from ratchet.forge import Entry, Moved
from ratchet.ledger import Ledger, Listing
from rehearsal.forge import Forge as Server

HOLDOUT, OTHER_HOLDOUT = "a" * 64, "b" * 64
MODEL, SECOND, THIRD = "1" * 64, "2" * 64, "3" * 64
AT = "2026-11-24T13:07:00Z"


def judgement(model: str = MODEL, **fields: Any) -> dict[str, Any]:
    """A judgement with the verdicts of two looks."""
    said = [
        {"verdict": "promote", "hold": None, "sentence": "Promote: it is better."},
        {"verdict": "hold", "hold": "safe", "sentence": "Hold, safe: it is not worse."},
    ]
    return {
        "pull_request": 12,
        "head": {"sha": "c" * 40, "repository": "ada/flights", "branch": "change", "is_fork": False},
        "run": {"id": 345, "attempt": 1, "url": "https://github.com/ada/flights/actions/runs/345"},
        "artifact": {"id": 7, "digest": f"sha256:{'d' * 64}"},
        "outcome": "judged",
        "model_digest": model,
        "lock_digest": "e" * 64,
        "lock": "schema: '2.0'\n",
        "holdout": HOLDOUT,
        "first_look": 1,
        "verdicts": said,
        "champion": {"tag": "model-v1", "digest": "f" * 64},
        "judge_changed": [],
        **fields,
    }


def acceptance(at: str = AT, run: int = 678, **fields: Any) -> dict[str, Any]:
    """A maintainer lets a safe hold of the model pass."""
    said: dict[str, Any] = {
        "pull_request": 12,
        "head_sha": "c" * 40,
        "who": "grace",
        "reason": "the new feature is worth it",
        "hold": "safe",
        "model_digest": MODEL,
        "lock_digest": "e" * 64,
        "holdout": HOLDOUT,
        "verdict": "verdicts/aaaaaaaaaaaaaaaa/1111111111111111/pr12-345.1.json",
    }
    return ledger.record("acceptance", at, run=run, **{**said, **fields})


def held(hold: str, **fields: Any) -> dict[str, Any]:
    """A judgement that holds, whatever its look."""
    return judgement(verdicts=[{"verdict": "hold", "hold": hold, "sentence": "Hold."}] * 10, **fields)


def listing(*records: dict[str, Any]) -> Listing:
    """A ledger with these records, as it would be read."""
    held = {ledger.path_of(entry): ledger.text(entry) for entry in records}
    entries = {path: Entry("100644", "blob", path) for path in held}
    return Listing("9" * 40, entries, lambda paths: {path: held[path] for path in paths})


def test_a_verdict_lies_under_its_holdout_and_its_model() -> None:
    """The path names holdout, model, pull request, run and attempt, so that looks are counted without reading."""
    found = ledger.path_of(ledger.verdict(judgement(), 1, AT))

    assert found == "verdicts/aaaaaaaaaaaaaaaa/1111111111111111/pr12-345.1.json"


def test_other_records_lie_under_their_kind() -> None:
    """An acceptance is found by its pull request, a release by its tag."""
    release = ledger.record(
        "release",
        AT,
        tag="model-v1",
        sha="c" * 40,
        run=5,
        model_digest=MODEL,
        lock_digest="e" * 64,
        pull_request=None,
        verdict=None,
    )

    assert ledger.path_of(acceptance()) == "acceptances/pr12-678.json"
    assert ledger.path_of(release) == "releases/model-v1.json"


def test_the_record_is_of_the_look_it_turned_out_to_be() -> None:
    """A judgement holds a verdict for each look that may come; the record takes the one that came."""
    found = ledger.verdict(judgement(), 2, AT)

    assert (found["verdict"], found["hold"], found["look"]) == ("hold", "safe", 2)
    assert found["sentence"] == "Hold, safe: it is not worse."
    assert (found["run"], found["attempt"], found["head_sha"]) == (345, 1, "c" * 40)


def test_a_retraining_that_is_tried_with_more_labels_is_another_look() -> None:
    """More labels are another holdout of one period, and each try is another chance to be wrong."""
    tried = ledger.record(
        "proof",
        AT,
        period="2013-05",
        run=7,
        model_digest=MODEL,
        lock_digest="e" * 64,
        holdout=HOLDOUT,
        look=1,
        verdict="hold",
        hold="cannot tell",
        improvement={"value": 0.0, "low": None, "high": None},
        sentence="Hold, cannot tell.",
        champion={"tag": "model-v1", "digest": "d" * 64},
    )
    found = listing(tried)

    assert found.look(OTHER_HOLDOUT, MODEL, "2013-05") == 2
    assert found.look(HOLDOUT, SECOND, "2013-05") == 2
    assert found.look(HOLDOUT, MODEL, "2013-05") == 1
    assert found.look(OTHER_HOLDOUT, MODEL, "2013-06") == 1
    assert found.look(OTHER_HOLDOUT, MODEL) == 1


def test_a_look_beyond_the_judgement_is_refused() -> None:
    """When too many models were judged meanwhile, nothing is recorded and one has to judge again."""
    with pytest.raises(RatchetError, match=r"look 3: the judgement holds 2 verdicts from look 1 on"):
        ledger.verdict(judgement(), 3, AT)


def test_a_look_is_a_distinct_model_on_a_holdout() -> None:
    """A new model is the next look; a known one keeps its own; another holdout counts for itself."""
    found = listing(
        ledger.verdict(judgement(MODEL), 1, AT),
        ledger.verdict(judgement(SECOND, run={"id": 346, "attempt": 1}), 2, AT),
        ledger.verdict(judgement(SECOND, run={"id": 347, "attempt": 1}), 2, AT),
    )

    assert found.look(HOLDOUT, THIRD) == 3
    assert found.look(HOLDOUT, SECOND) == 2
    assert found.look(HOLDOUT, MODEL) == 1
    assert found.look(OTHER_HOLDOUT, SECOND) == 1


def test_a_safe_hold_is_accepted_for_one_model_on_one_holdout() -> None:
    """What a maintainer accepted is the model that was judged on those rows, on whatever commit; the newest counts."""
    newer = acceptance(at="2026-11-25T08:00:00Z", run=700)
    found = listing(acceptance(), newer, acceptance(model_digest=SECOND, run=680))

    assert found.acceptance(12, held("safe"), "0" * 40) == newer
    assert found.acceptance(12, held("safe", model_digest=THIRD), "c" * 40) is None
    assert found.acceptance(12, held("safe", holdout=OTHER_HOLDOUT), "c" * 40) is None
    assert found.acceptance(1, held("safe"), "c" * 40) is None


@pytest.mark.parametrize("verdict", ["promote", "block", "void"])
def test_an_acceptance_does_not_outlive_its_verdict(verdict: str) -> None:
    """The same model against a newer champion may be provably worse: what was accepted was a safe hold."""
    said = [{"verdict": verdict, "hold": None, "sentence": "It is otherwise now."}] * 10

    assert listing(acceptance()).acceptance(12, judgement(verdicts=said), "c" * 40) is None


def test_a_change_of_the_judge_is_accepted_for_one_commit() -> None:
    """The commit that was read, also with dvc.lock on top; the next one has to be read again."""
    found = listing(acceptance(hold="judge changed"))

    assert found.acceptance(12, held("judge changed"), "7" * 40) is not None
    moved = held("judge changed", head={"sha": "8" * 40, "repository": "ada/flights"})
    assert found.acceptance(12, moved, "c" * 40) is not None
    assert found.acceptance(12, moved, "8" * 40) is None
    assert found.acceptance(12, held("safe"), "c" * 40) is None


@pytest.mark.parametrize("outcome", ["unchanged", "same model"])
def test_a_change_of_the_judge_alone_is_accepted_without_a_verdict(outcome: str) -> None:
    """Where no models are compared, the commit is all there is to accept."""
    nothing = {"model_digest": None, "lock_digest": None, "holdout": None, "verdict": None}
    found = listing(acceptance(hold="judge changed", **nothing))
    alone = judgement(outcome=outcome, holdout=None, verdicts=[], judge_changed=["dvc.yaml"])

    assert found.acceptance(12, alone, "c" * 40) is not None
    assert found.acceptance(12, {**alone, "judge_changed": []}, "c" * 40) is None
    assert found.acceptance(12, held("judge changed"), "c" * 40) is None


@pytest.mark.parametrize("outcome", ["failed", "rejected"])
def test_what_could_not_be_judged_cannot_be_accepted(outcome: str) -> None:
    """Whatever was accepted before."""
    found = listing(acceptance(), acceptance(hold="judge changed", run=679))
    broken = judgement(outcome=outcome, verdicts=[], judge_changed=["dvc.yaml"])

    assert found.acceptance(12, broken, "c" * 40) is None


def test_the_record_names_the_lock_that_was_judged() -> None:
    """As git names it in a tree, so that a merge is recognised; null where the head had it already."""
    assert ledger.verdict(judgement(), 1, AT)["lock_blob"] == "b8d79d78fcd6b0e834b80a771bdd26655b2210f2"
    assert ledger.verdict(judgement(lock=None), 1, AT)["lock_blob"] is None


def test_the_history_of_a_pull_request_is_its_own_and_in_order() -> None:
    """Oldest first, all kinds; pull request 1 is not 12."""
    first = ledger.verdict(judgement(), 1, "2026-11-24T10:00:00Z")
    other = ledger.verdict(judgement(SECOND, pull_request=1), 2, AT)
    found = listing(acceptance(), first, other)

    assert [entry["kind"] for entry in found.history(12)] == ["verdict", "acceptance"]
    assert found.verdicts(12) == [first]
    assert found.verdicts(1) == [other]
    assert found.all_verdicts() == [first, other]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head_sha": "main"}, "head_sha"),
        ({"model_digest": None}, "model_digest"),
        ({"verdict": "fine"}, "verdict"),
        ({"look": 0}, "look"),
        ({"sentence": ""}, "sentence"),
        ({"extra": 1}, "extra"),
        ({"kind": "opinion"}, "kind"),
        ({"version": 2}, "version"),
        ({"at": "yesterday"}, "at"),
    ],
)
def test_what_is_not_a_record_is_refused(change: dict[str, Any], message: str) -> None:
    """A record is checked against its schema when it is written and when it is read."""
    with pytest.raises(RatchetError, match=rf"is not a valid record: .*{message}"):
        ledger.checked({**ledger.verdict(judgement(), 1, AT), **change})


def test_a_broken_record_says_where_it_lies() -> None:
    """Someone edited the branch by hand: the error names the file."""
    path = ledger.path_of(acceptance())
    broken = Listing("9" * 40, {path: Entry("100644", "blob", "x")}, lambda _: {"x": b"{no"})

    with pytest.raises(RatchetError, match=r"records:acceptances/pr12-678.json: is not valid JSON"):
        broken.read(path)


@pytest.fixture
def place(forge: Server) -> Iterator[Desk]:
    """A new repository."""
    yield desk(forge)
    forge.faults.clear()


def test_the_first_record_makes_the_branch(place: Desk) -> None:
    """The branch has no history but its own: nothing of main is in it."""
    entry = Ledger(place.client()).append(acceptance())

    head = place.git.branch("records")
    assert head is not None
    assert [item.path for item in place.git.tree(head, recursive=True) if item.type == "blob"] == [
        "acceptances/pr12-678.json"
    ]
    assert place.git.commit(head).parents == ()
    assert place.git.commit(head).message.strip() == "acceptance: pull request 12, run 678"
    assert json.loads(place.git.read(head, "acceptances/pr12-678.json") or b"") == entry


def test_records_are_read_back(place: Desk) -> None:
    """What one client appends, another reads."""
    Ledger(place.client()).append(acceptance())
    Ledger(place.client()).append(ledger.verdict(judgement(), 1, AT))

    found = Ledger(place.client()).listing()

    assert found.acceptances() == [acceptance()]
    assert found.look(HOLDOUT, SECOND) == 2
    assert Ledger(place.client()).look(HOLDOUT, MODEL) == 1


def test_the_time_of_a_record_is_in_utc_to_the_second() -> None:
    """As the schema wants it, so that records sort by their text."""
    assert acceptance(at=ledger.now())["at"] == ledger.now()


def test_a_repository_without_a_ledger_has_an_empty_one(place: Desk) -> None:
    """A new repository has judged nothing, and that is no error."""
    found = Ledger(place.client()).listing()

    assert (found.head, dict(found.entries)) == (None, {})
    assert found.look(HOLDOUT, MODEL) == 1


def test_the_same_record_again_changes_nothing(place: Desk) -> None:
    """A job that is run again finds its record, whatever the clock says now, and gets the one that is there."""
    first = Ledger(place.client()).append(acceptance())
    head = place.git.branch("records")

    second = Ledger(place.client()).append(acceptance(at="2027-01-01T00:00:00Z"))

    assert second == first
    assert place.git.branch("records") == head


def test_another_record_in_the_same_place_is_refused(place: Desk) -> None:
    """The ledger never changes what it holds."""
    Ledger(place.client()).append(acceptance())

    with pytest.raises(RatchetError, match=r"records:acceptances/pr12-678.json: is there already with another model"):
        Ledger(place.client()).append(acceptance(model_digest=SECOND))


def test_a_job_that_may_not_write_is_told_which_permission_it_lacks(place: Desk) -> None:
    """The judge's read-only token cannot add to the ledger."""
    with pytest.raises(RatchetError, match=r"the job needs `contents: write`"):
        Ledger(place.job(contents="read")).append(acceptance())

    assert place.git.branch("records") is None


def test_models_that_are_judged_at_once_get_looks_of_their_own(place: Desk) -> None:
    """Eight models at the same time: each look from 1 to 8 is given once, and nothing is lost."""
    looks: list[int] = []
    failures: list[BaseException] = []
    said = judgement()["verdicts"][0]

    def judge(number: int) -> None:
        model = f"{number:x}" * 64
        mine = judgement(model, run={"id": 1000 + number, "attempt": 1}, verdicts=[said] * 10)
        records = Ledger(place.client())
        try:
            entry = records.append_with(lambda found: ledger.verdict(mine, found.look(HOLDOUT, model), AT))
            looks.append(entry["look"])
        except BaseException as error:  # a thread's error must reach the test
            failures.append(error)

    threads = [threading.Thread(target=judge, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert sorted(looks) == [1, 2, 3, 4, 5, 6, 7, 8]
    found = Ledger(place.client()).listing()
    assert len(found.verdicts(12)) == 8
    assert place.git.count("records", "main") == 8


def test_an_answer_that_is_lost_after_the_write_does_not_double_the_record(place: Desk) -> None:
    """The connection is cut when the branch has moved: the record is there once, and no error is told."""
    Ledger(place.client()).append(acceptance())
    place.fails("PATCH", r"/git/refs/heads/records", "cut")

    Ledger(place.client()).append(ledger.verdict(judgement(), 1, AT))

    assert place.git.count("records", "main") == 2


def test_a_ledger_that_keeps_moving_ends_in_an_error(place: Desk) -> None:
    """Patience has a bound."""
    Ledger(place.client()).append(acceptance())
    place.fails("PATCH", r"/git/refs/heads/records", 422, times=99, message="Update is not a fast forward")

    with pytest.raises(Moved, match=r"branch records: has moved 12 times meanwhile"):
        Ledger(place.client(), sleep=lambda _: None).append(acceptance(run=679))

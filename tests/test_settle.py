"""What follows from a run: each event leaves its statuses, its record, its lock and its words, once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import report_example
from forge_example import desk
from ratchet import ledger, maintain, settle
from ratchet.errors import RatchetError
from ratchet.forge import Status
from rehearsal.forge import Forge as Server
from rehearsal.forge import runs
from rehearsal.forge.access import person
from settle_example import CI, LOCK, REPORT, SENTENCES, Place, judged, verdict


@pytest.fixture
def place(forge: Server) -> Iterator[Place]:
    """A pull request from a branch of the repository."""
    made = desk(forge)
    yield Place(made, made.client(tries=2), made.pull())
    forge.faults.clear()


@pytest.fixture
def fork(forge: Server) -> Iterator[Place]:
    """A pull request from a fork."""
    made = desk(forge)
    yield Place(made, made.client(tries=2), made.pull(owner="bob"))
    forge.faults.clear()


class TestRunOf:
    """The payload of `workflow_run`."""

    def test_it_is_read_from_what_github_sends(self, place: Place) -> None:
        """The run, as it stood when the event was sent."""
        run, event = place.ended(conclusion="cancelled")

        found = settle.run_of(event)

        assert (found.id, found.attempt, found.path) == (run.id, 1, REPORT)
        assert (found.conclusion, found.head_repository, found.head_branch, found.head_sha) == (
            "cancelled",
            place.desk.name,
            "change",
            place.head,
        )
        assert found.url.endswith(f"/{place.desk.name}/actions/runs/{run.id}")

    def test_the_ref_behind_the_path_of_a_dispatched_run_is_left_out(self, place: Place) -> None:
        """GitHub writes `report.yml@refs/heads/change` there."""
        event = place.event(place.run(), "in_progress")
        event["workflow_run"]["path"] += "@refs/heads/change"

        assert settle.run_of(event).path == REPORT

    def test_a_fork_that_is_gone_is_nobodys(self, place: Place) -> None:
        """GitHub says null; no pull request has that head."""
        event = place.event(place.run(), "in_progress")
        event["workflow_run"]["head_repository"] = None

        assert place.settle(event) == settle.Settled()

    def test_another_event_is_refused(self) -> None:
        """Settle belongs in verdict.yml."""
        with pytest.raises(RatchetError, match="the event is no workflow_run"):
            settle.run_of({"action": "opened", "pull_request": {}})


class TestGate:
    """State and words of `model-gate`, from the judgement alone."""

    ACCEPTANCE: Mapping[str, Any] = {"who": "grace", "reason": "simpler"}

    @pytest.mark.parametrize(
        ("said", "accepted", "state", "description"),
        [
            ("promote", False, "success", SENTENCES["promote"]),
            ("promote", True, "success", SENTENCES["promote"]),
            ("safe", False, "failure", SENTENCES["safe"]),
            ("safe", True, "success", "Accepted by grace: simpler"),
            ("judge changed", False, "failure", SENTENCES["judge changed"]),
            ("judge changed", True, "success", "Accepted by grace: simpler"),
            ("cannot tell", False, "failure", SENTENCES["cannot tell"]),
            ("cannot tell", True, "failure", SENTENCES["cannot tell"]),
            ("block", False, "failure", SENTENCES["block"]),
            ("block", True, "failure", SENTENCES["block"]),
            ("void", True, "failure", SENTENCES["void"]),
        ],
    )
    def test_a_verdict_opens_it_or_a_hold_that_was_accepted(
        self, said: str, accepted: bool, state: str, description: str
    ) -> None:
        """Nobody can accept what is blocked, void or cannot be told."""
        acceptance = self.ACCEPTANCE if accepted else None

        found = settle.model_gate(judged(said), verdict(said), acceptance, has_lock=True)

        assert found == (state, description)

    @pytest.mark.parametrize("lock", [LOCK, None], ids=["to be committed", "the head has it"])
    @pytest.mark.parametrize(("said", "accepted"), [("promote", False), ("safe", True)])
    def test_it_stays_shut_where_the_judged_lock_is_not(self, said: str, accepted: bool, lock: str | None) -> None:
        """Also where the judged commit had the lock itself, and a commit on top of it brings another one."""
        acceptance = self.ACCEPTANCE if accepted else None

        found = settle.model_gate(judged(said, lock=lock), verdict(said), acceptance, has_lock=False)

        assert found == ("failure", "The judged dvc.lock is not in this commit")

    @pytest.mark.parametrize("outcome", ["failed", "rejected"])
    def test_what_was_not_judged_is_told_with_its_reason(self, outcome: str) -> None:
        """Whatever was accepted before."""
        found = settle.model_gate(
            report_example.unjudged(outcome, "Stage train failed."), None, self.ACCEPTANCE, has_lock=True
        )

        assert found == ("failure", "Stage train failed.")

    @pytest.mark.parametrize("outcome", ["unchanged", "same model"])
    def test_the_same_model_passes(self, outcome: str) -> None:
        """With its lock in the commit."""
        judgement = report_example.unjudged(outcome)

        assert settle.model_gate(judgement, None, None, has_lock=True) == ("success", "The model stays the same")
        assert settle.model_gate(judgement, None, None, has_lock=False)[0] == "failure"

    @pytest.mark.parametrize("outcome", ["unchanged", "same model"])
    def test_a_change_of_the_judge_waits_for_a_maintainer_where_the_model_stays_the_same(self, outcome: str) -> None:
        """The description is the one by which `accept` knows it."""
        judgement = report_example.unjudged(outcome, judge_changed=["pipelines/train.py"])

        assert settle.model_gate(judgement, None, None, has_lock=True) == ("failure", settle.JUDGE_CHANGED)
        assert settle.model_gate(judgement, None, self.ACCEPTANCE, has_lock=True) == (
            "success",
            "Accepted by grace: simpler",
        )
        assert settle.model_gate(judgement, None, self.ACCEPTANCE, has_lock=False)[0] == "failure"

    @pytest.mark.parametrize("said", ["promote", "safe", "block"])
    def test_a_forks_scores_open_nothing(self, said: str) -> None:
        """Not with its own lock, and not when somebody accepted it."""
        judgement = judged(said)
        judgement["head"] = {**judgement["head"], "is_fork": True}

        state, description = settle.model_gate(judgement, verdict(said), self.ACCEPTANCE, has_lock=True)

        assert state == "failure"
        assert "adopts" in description

    def test_a_fork_that_changes_no_model_passes_when_it_has_the_lock(self) -> None:
        """Words may come from anyone; a lock that has to be committed may not."""
        judgement = report_example.unjudged("unchanged")
        judgement["head"] = {**judgement["head"], "is_fork": True}

        assert settle.model_gate(judgement, None, None, has_lock=True)[0] == "success"
        assert "adopts" in settle.model_gate(judgement, None, None, has_lock=False)[1]


class TestMayCommit:
    """Whether the judged lock goes to the branch."""

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("promote", True),
            ("safe", True),
            ("judge changed", True),
            ("cannot tell", False),
            ("block", False),
            ("void", False),
        ],
    )
    def test_where_the_proposal_may_be_merged_or_accepted(self, said: str, expected: bool) -> None:
        """The lock of a model that cannot be merged stays off the branch."""
        assert settle.may_commit(judged(said), verdict(said)) is expected

    def test_where_nothing_was_compared_it_goes_along(self) -> None:
        """The model is main's, its lock belongs to the change."""
        assert settle.may_commit(report_example.unjudged("same model", lock=LOCK), None)
        assert settle.may_commit(report_example.unjudged("unchanged", lock=LOCK), None)

    def test_never_when_there_is_none_or_not_ours_or_not_judged(self) -> None:
        """No lock, a fork's branch, a rejected or failed run."""
        fork = judged()
        fork["head"] = {**fork["head"], "is_fork": True}

        assert not settle.may_commit(judged(lock=None), verdict("promote"))
        assert not settle.may_commit(fork, verdict("promote"))
        assert not settle.may_commit(report_example.unjudged("failed", "no", lock=LOCK), None)
        assert not settle.may_commit(report_example.unjudged("rejected", "no", lock=LOCK), None)


class TestRead:
    """The judgement as a file."""

    def test_one_that_is_too_large_is_not_read(self, tmp_path: Path) -> None:
        """Three megabytes at most."""
        (tmp_path / "judgement.json").write_bytes(b" " * 3_000_001)

        with pytest.raises(RatchetError, match="is larger than the 3 MB"):
            settle.read(tmp_path / "judgement.json")

    def test_one_that_is_no_json_is_told(self, tmp_path: Path) -> None:
        """By the name of the file."""
        (tmp_path / "judgement.json").write_text("{")

        with pytest.raises(RatchetError, match=r"judgement.json: is not valid JSON"):
            settle.read(tmp_path / "judgement.json")

    def test_it_is_what_was_written(self, tmp_path: Path) -> None:
        """Nothing is lost."""
        (tmp_path / "judgement.json").write_text(json.dumps(judged()))

        assert settle.read(tmp_path / "judgement.json") == judged()


class TestBegun:
    """A run begins."""

    def test_the_gate_waits_at_once_and_the_comment_is_made(self, place: Place) -> None:
        """Before any step after it: the old verdict must not stand for a moment longer."""
        event = place.event(place.run(), "in_progress")

        found = settle.settle(place.forge, event, None, place.links)

        assert place.states(place.head) == {"model-gate": "pending"}
        assert found.pull_request == place.pull.number
        assert found.comment is not None
        assert found.comment.startswith("<!-- ratchet -->\n### ")
        assert "Running" in found.comment.splitlines()[1]

    def test_a_second_time_changes_nothing(self, place: Place) -> None:
        """One comment; of statuses the newest counts, and it says the same."""
        event = place.event(place.run(), "in_progress")
        place.settle(event)
        said = place.status(place.head)
        place.settle(event)

        assert len(place.comments()) == 1
        assert place.status(place.head) == said

    def test_one_that_arrives_after_the_run_has_ended_is_silent(self, place: Place) -> None:
        """Events come in any order: what *completed* has said stays."""
        run = place.run()
        late = place.event(run, "in_progress")
        place.desk.server.close_run(run, "success")
        place.settle(place.event(run, "completed"), place.judgement(run, "block"))

        found = place.settle(late)

        assert found == settle.Settled()
        assert place.status(place.head) == ("failure", SENTENCES["block"])
        assert "Block" in place.comments()[0].splitlines()[1]

    def test_one_of_an_older_attempt_is_silent(self, place: Place) -> None:
        """The second attempt is under way, and says so itself."""
        run = place.run()
        late = place.event(run, "in_progress")
        place.desk.server.close_run(run, "cancelled")
        place.rerun(run)

        assert place.settle(late) == settle.Settled()

    def test_it_does_not_undo_a_verdict_that_came_meanwhile(self, place: Place) -> None:
        """Between what is read and what is written the run ends, is judged, and a verdict is set."""
        run = place.run()
        early = place.event(run, "in_progress")

        def end() -> None:
            place.desk.server.close_run(run, "success")
            place.settle(place.event(run, "completed"), place.judgement(run, "block"))

        found = settle.settle(place.interrupted("set_status", end), early, None, place.links)

        assert place.status(place.head) == ("failure", SENTENCES["block"])
        assert found.comment is None

    @pytest.mark.parametrize(("path", "gate"), [(REPORT, "model-gate"), (CI, "ci-gate")])
    def test_one_that_is_held_for_approval_is_told_when_it_is_requested(
        self, fork: Place, path: str, gate: str
    ) -> None:
        """A first-time author's: there is no other event until somebody approves it."""
        run = fork.opened(path, actor="bob")
        run.status = "waiting"

        found = fork.settle(fork.event(run, "requested"))

        assert fork.status(fork.head, gate) == ("pending", "A maintainer has to approve the run")
        if path == REPORT:
            assert "Waiting: a maintainer has to approve the run" in (found.comment or "")

    def test_a_held_run_that_is_deleted_leaves_the_gates_to_the_next_one(self, fork: Place) -> None:
        """GitHub does so after 30 days and sends no event; the comment says what to do, and then the new run counts."""
        server = fork.desk.server
        for path in (REPORT, CI):
            run = fork.opened(path, actor="bob")
            run.status = "waiting"
            said = fork.settle(fork.event(run, "requested")).comment
            with server.changing():
                runs.delete(server, run)
            if path == REPORT:
                assert "deletes the run after 30 days: close the pull request then, and open it again" in (said or "")
        assert set(fork.states(fork.head).values()) == {"pending"}

        for path in (REPORT, CI):
            fork.settle(fork.ended(path, "failure")[1])
        assert fork.states(fork.head) == {"model-gate": "error", "ci-gate": "failure"}

    @pytest.mark.parametrize("is_judged", [True, False])
    def test_what_was_said_stands_again_after_a_run_that_was_cancelled_without_a_job(
        self, place: Place, *, is_judged: bool
    ) -> None:
        """And the comment says so; where nobody has judged the run before, it has to run again."""
        first, event = place.ended()
        if is_judged:
            place.settle(event, place.judgement(first, "block"))
        second = place.opened()
        place.desk.server.begin_run(second)
        place.settle(place.event(second, "in_progress"))
        assert place.status(place.head)[0] == "pending"
        place.desk.server.close_run(second, "cancelled")

        found = place.settle(place.event(second, "completed"))

        expected = (
            ("failure", SENTENCES["block"]) if is_judged else ("error", "report.yml was not judged: run it again")
        )
        assert place.status(place.head) == expected
        assert place.comments() == [found.comment]
        assert expected[1] in (found.comment or "")
        assert "A newer run ended before a job of it began" in (found.comment or "")

    def test_a_commit_that_is_no_head_any_more_waits_for_nothing(self, place: Place) -> None:
        """Nothing is said about it."""
        event = place.event(place.run(), "in_progress")
        old = place.head
        place.push({"README.md": "newer"})

        assert place.settle(event) == settle.Settled()
        assert place.states(old) == {}

    def test_a_branch_without_a_pull_request_is_left_alone(self, place: Place) -> None:
        """Someone dispatched report.yml on a branch to try it."""
        sha = place.desk.commit("trial", {"a.txt": "a"})
        run = place.desk.run(head_sha=sha, head_branch="trial", event="workflow_dispatch")

        assert place.settle(place.event(run, "in_progress")) == settle.Settled()
        assert place.states(sha) == {}

    def test_another_workflow_of_the_same_name_has_no_say(self, place: Place) -> None:
        """Names can be taken; the path of the file counts."""
        run = place.run(".github/workflows/evil.yml")
        place.desk.server.close_run(run, "success")

        assert place.settle(place.event(run, "in_progress")) == settle.Settled()
        assert place.settle(place.event(run, "completed"), place.judgement(run)) == settle.Settled()
        assert place.states(place.head) == {}


class TestCi:
    """A run of ci.yml."""

    def test_a_run_that_is_listed_as_queued_has_a_say_once_a_job_of_it_has_begun(self, place: Place) -> None:
        """A person's commit with a lock has tests of its own: the end of its parent's does not turn it green."""
        _, event = place.ended(CI)
        place.push({"dvc.lock": "schema: '2.0'\n"})
        own = place.run(CI)
        own.status = "queued"  # as GitHub lists it while a second job waits

        place.settle(event)

        assert place.states(place.head) == {}  # until an event of its own run is handled
        place.settle(place.event(own, "in_progress"))
        assert place.states(place.head) == {"ci-gate": "pending"}

    @pytest.mark.parametrize(
        ("conclusion", "state", "description"),
        [
            ("success", "success", "Tests and linters pass"),
            ("failure", "failure", "Tests or linters fail"),
            ("cancelled", "error", "ci.yml was cancelled: run it again"),
            ("timed_out", "error", "ci.yml ended as timed_out: run it again"),
        ],
    )
    def test_the_gate_is_its_conclusion(self, place: Place, conclusion: str, state: str, description: str) -> None:
        """On the commit it ran for, without a comment."""
        _, event = place.ended(CI, conclusion)

        found = place.settle(event)

        assert place.status(place.head, "ci-gate") == (state, description)
        assert (found.pull_request, found.comment) == (None, None)

    def test_it_waits_from_the_beginning(self, place: Place) -> None:
        """Pending; a late event changes nothing."""
        run = place.run(CI)
        event = place.event(run, "in_progress")

        place.settle(event)
        assert place.states(place.head) == {"ci-gate": "pending"}

        place.desk.server.close_run(run, "success")
        place.settle(place.event(run, "completed"))
        place.settle(event)
        assert place.states(place.head) == {"ci-gate": "success"}

    def test_the_commit_that_brings_the_lock_inherits_it(self, place: Place) -> None:
        """Tests that end after the verdict count for both commits."""
        running = place.run(CI)
        place.settle(place.event(running, "in_progress"))
        parent = place.head
        run, event = place.ended()
        place.settle(event, place.judgement(run))
        assert place.states(place.head) == {"ci-gate": "pending", "model-gate": "success"}

        place.desk.server.close_run(running, "success")
        place.settle(place.event(running, "completed"))

        assert place.head != parent
        assert place.states(place.head) == {"ci-gate": "success", "model-gate": "success"}
        assert place.states(parent) == {"ci-gate": "success", "model-gate": "failure"}

    def test_tests_that_ended_before_the_verdict_are_inherited_too(self, place: Place) -> None:
        """With the same words and the same link."""
        running, event = place.ended(CI, "failure")
        place.settle(event)
        parent = place.head
        run, event = place.ended()
        place.settle(event, place.judgement(run))

        statuses = place.desk.server.statuses(place.desk.name, place.head)
        assert (statuses["ci-gate"].state, statuses["ci-gate"].description) == ("failure", "Tests or linters fail")
        assert str(statuses["ci-gate"].target_url).endswith(f"/runs/{running.id}")
        assert parent != place.head

    def test_without_tests_there_is_nothing_to_inherit(self, place: Place) -> None:
        """A repository whose ci.yml has not begun yet."""
        run, event = place.ended()
        place.settle(event, place.judgement(run))

        assert place.states(place.head) == {"model-gate": "success"}

    @pytest.mark.parametrize("moment", ["commit_files", "runs", "set_status"])
    def test_what_is_inherited_is_not_older_than_what_the_parent_has(self, place: Place, moment: str) -> None:
        """The tests end while the verdict is being written: the head must not wait for ever."""
        running = place.run(CI)
        place.settle(place.event(running, "in_progress"))
        run, event = place.ended()

        def end() -> None:
            place.desk.server.close_run(running, "success")
            place.settle(place.event(running, "completed"))

        settle.settle(place.interrupted(moment, end), event, place.judgement(run), place.links)

        assert place.states(place.head) == {"ci-gate": "success", "model-gate": "success"}

    def test_a_commit_that_changes_more_than_the_lock_inherits_nothing(self, place: Place) -> None:
        """It has tests of its own."""
        running = place.run(CI)
        parent = place.head
        child = place.push({"dvc.lock": LOCK, "src/more.py": "import os\n"})
        place.desk.server.close_run(running, "success")

        place.settle(place.event(running, "completed"))

        assert place.states(child) == {}
        assert parent != place.head

    def test_a_lock_that_a_person_pushed_has_tests_of_its_own(self, place: Place) -> None:
        """They fail on the new lock; those of its parent, which end later, do not turn it green."""
        running = place.run(CI)
        child = place.push({"dvc.lock": "stages: {forged: {}}\n"})
        _, event = place.ended(CI, "failure")
        place.settle(event)
        place.desk.server.close_run(running, "success")

        place.settle(place.event(running, "completed"))

        assert place.status(child, "ci-gate") == ("failure", "Tests or linters fail")

    def test_a_fork_has_its_tests_told_like_any_other(self, fork: Place) -> None:
        """On its own commit, which the base repository has as well."""
        _, event = fork.ended(CI)

        fork.settle(event)

        assert fork.states(fork.head) == {"ci-gate": "success"}


class TestJudged:
    """A run of report.yml has been judged."""

    def test_a_promotion_commits_the_lock_and_opens_the_gate_on_top_of_it(self, place: Place) -> None:
        """The record is about the judged commit; the gate is open on the one with the judged lock alone."""
        parent = place.head
        run, event = place.ended()
        judgement = place.judgement(run)

        place.settle(event, judgement)

        commit = place.forge.commit(place.head)
        assert (commit.parents, commit.files) == ((parent,), ("dvc.lock",))
        assert place.desk.git.read(place.head, "dvc.lock") == LOCK.encode()
        assert place.status(place.head) == ("success", SENTENCES["promote"])
        state, description = place.status(parent)
        assert (state, description) == ("failure", f"Judged; the lock that belongs to it came with {place.head[:8]}")
        (record,) = place.verdicts()
        assert (record["head_sha"], record["look"], record["verdict"]) == (parent, 1, "promote")
        assert (record["run"], record["attempt"], record["artifact"]) == (run.id, 1, judgement["artifact"])
        assert record["lock_blob"] == place.forge.tree(place.head)["dvc.lock"].sha
        (told,) = place.comments()
        assert SENTENCES["promote"].removeprefix("Promote: ") in told.splitlines()[1]
        assert place.head[:7] in told

    def test_a_second_time_ends_in_the_same_state(self, place: Place) -> None:
        """No second record, no second lock commit, no second comment, no other status."""
        run, event = place.ended()
        judgement = place.judgement(run)
        place.settle(event, judgement)
        head, told, records = place.head, place.comments(), place.desk.git.branch("records")
        said = [place.status(sha) for sha in (run.head_sha, head)]

        place.settle(event, judgement)

        assert (place.head, place.comments(), place.desk.git.branch("records")) == (head, told, records)
        assert len(place.verdicts()) == 1
        assert [place.status(sha) for sha in (run.head_sha, head)] == said

    @pytest.mark.parametrize("said", ["block", "cannot tell", "void"])
    def test_what_cannot_be_merged_leaves_the_branch_alone(self, place: Place, said: str) -> None:
        """It is recorded and told, and the gate is shut."""
        before = place.head
        run, event = place.ended()

        place.settle(event, place.judgement(run, said))

        assert place.head == before
        assert place.status(before) == ("failure", SENTENCES[said])
        assert len(place.verdicts()) == 1

    def test_a_head_that_has_the_lock_gets_no_commit(self, place: Place) -> None:
        """The gate opens on the judged commit itself."""
        place.push({"dvc.lock": LOCK})
        before = place.head
        run, event = place.ended()

        place.settle(event, place.judgement(run, lock=None))

        assert place.head == before
        assert place.status(before) == ("success", SENTENCES["promote"])

    def test_a_forged_lock_on_top_of_the_judged_commit_opens_nothing(self, place: Place) -> None:
        """It was pushed while the judge was at work: the gate is about the judged lock, not about this one."""
        run, event = place.ended()
        forged = place.push({"dvc.lock": "stages: {forged: {}}\n"})

        place.settle(event, place.judgement(run))

        assert place.head == forged
        assert place.states(forged).get("model-gate") != "success"

    def test_a_forged_lock_on_top_of_a_commit_with_the_judged_one_opens_nothing(self, place: Place) -> None:
        """There was nothing to commit; and yet the head holds another lock than the judged one."""
        place.push({"dvc.lock": LOCK})
        run, event = place.ended()
        forged = place.push({"dvc.lock": "stages: {forged: {}}\n"})

        place.settle(event, place.judgement(run, lock=None))

        assert place.states(forged).get("model-gate") != "success"

    def test_a_commit_on_top_that_changes_more_is_judged_on_its_own(self, place: Place) -> None:
        """The old commit is superseded, and nothing is recorded about it."""
        run = place.run()
        place.settle(place.event(run, "in_progress"))
        parent = place.head
        child = place.push({"dvc.lock": LOCK, "params.yaml": "rate: 2\n"})
        place.desk.server.close_run(run, "success")

        found = place.settle(place.event(run, "completed"), place.judgement(run))

        assert found.comment is None
        assert place.status(parent) == (
            "error",
            "Not judged: this commit is no longer the head of its branch",
        )
        assert place.states(child) == {}
        assert place.verdicts() == []

    def test_a_superseded_commit_that_waits_for_nothing_is_left_alone(self, place: Place) -> None:
        """Its gate was never set, so there is nothing to take back."""
        old = place.head
        run, event = place.ended()
        place.push({"README.md": "newer"})

        assert place.settle(event, place.judgement(run)) == settle.Settled()
        assert place.states(old) == {}

    def test_a_push_between_verdict_and_commit_wins(self, place: Place) -> None:
        """The lock does not overwrite what came meanwhile; the old commit is no head any more."""
        run = place.run()
        place.settle(place.event(run, "in_progress"))
        parent = place.head
        place.desk.server.close_run(run, "success")
        place.desk.fails("PATCH", r"/git/refs/heads/change", 422, message="Update is not a fast forward")

        found = place.settle(place.event(run, "completed"), place.judgement(run))

        assert (found.pull_request, found.comment) == (None, None)
        assert place.states(parent) == {"model-gate": "error"}
        assert place.head == parent

    def test_a_branch_that_is_gone_is_no_error(self, place: Place) -> None:
        """Closed and deleted while it was judged: there is no pull request to tell."""
        run, event = place.ended()
        place.desk.server.move(place.desk.name, "refs/heads/change", None, person("ada"))

        assert place.settle(event, place.judgement(run)) == settle.Settled()

    def test_a_fork_is_recorded_and_told_and_opens_nothing(self, fork: Place) -> None:
        """No lock is committed anywhere; the comment says that its scores are its own."""
        before = fork.head
        run, event = fork.ended()

        fork.settle(event, fork.judgement(run))

        state, description = fork.status(before)
        assert (state, "adopts" in description) == ("failure", True)
        assert fork.head == before
        assert fork.desk.git.branch("change") is None
        assert fork.verdicts() == []
        assert fork.claims()[0]["head_repository"].startswith("bob/")
        assert "adopt" in fork.comments()[0]

    def test_a_fork_that_only_brings_words_passes(self, fork: Place) -> None:
        """The model stays the same: there is nothing to forge."""
        run, event = fork.ended()

        fork.settle(event, fork.about(run, report_example.unjudged("unchanged")))

        assert fork.status(fork.head) == ("success", "The model stays the same")

    def test_whether_it_is_a_fork_is_githubs_word(self, fork: Place) -> None:
        """A judgement that says otherwise is refused: the judge has read what a stranger wrote."""
        run, event = fork.ended()
        lie = fork.judgement(run)
        lie["head"] = {**lie["head"], "is_fork": False, "repository": fork.desk.name}

        with pytest.raises(RatchetError, match="the judgement is about"):
            fork.settle(event, lie)

        assert fork.states(fork.head) == {}

    @pytest.mark.parametrize(("outcome", "lock"), [("same model", LOCK), ("unchanged", LOCK), ("unchanged", None)])
    def test_the_same_model_is_not_recorded(self, place: Place, outcome: str, lock: str | None) -> None:
        """No look is spent; its lock goes to the branch where it differs."""
        run, event = place.ended()

        place.settle(event, place.about(run, report_example.unjudged(outcome, lock=lock)))

        assert place.verdicts() == []
        assert place.status(place.head) == ("success", "The model stays the same")
        assert (place.desk.git.read(place.head, "dvc.lock") is not None) == (lock is not None)

    @pytest.mark.parametrize("outcome", ["failed", "rejected"])
    def test_what_could_not_be_judged_is_told_with_its_reason(self, place: Place, outcome: str) -> None:
        """No record, no lock."""
        before = place.head
        run, event = place.ended(conclusion="failure")

        place.settle(event, place.about(run, report_example.unjudged(outcome, "Stage train failed.", "Killed")))

        assert place.status(before) == ("failure", "Stage train failed.")
        assert (place.head, place.verdicts()) == (before, [])
        assert "Stage train failed." in place.comments()[0]

    def test_the_look_is_the_one_in_the_ledger_when_the_record_is_made(self, place: Place) -> None:
        """Another model was recorded on these rows while this one was judged: this is the second look."""
        run, event = place.ended()
        judgement = place.judgement(run)
        judgement["verdicts"][1] = {**judgement["verdicts"][1], **verdict("safe")}
        other = {**judgement, "model_digest": "9" * 64, "pull_request": 99}
        book = ledger.Ledger(place.forge)
        book.append(ledger.verdict(other, 1, ledger.now()))

        place.settle(event, judgement)

        mine = place.verdicts()[-1]
        assert (mine["look"], mine["verdict"], mine["hold"]) == (2, "hold", "safe")
        assert place.status(place.head) == ("failure", SENTENCES["safe"])

    def test_the_page_and_the_comment_are_of_the_look_that_was_recorded(self, place: Place) -> None:
        """Two models race for the first look: for the one that lost, both say what its second look says."""
        run, event = place.ended()
        judgement = place.judgement(run)
        judgement["verdicts"][1] = {**judgement["verdicts"][1], **verdict("safe")}

        def record() -> None:
            other = {**judgement, "model_digest": "9" * 64, "pull_request": 99}
            ledger.Ledger(place.forge).append(ledger.verdict(other, 1, ledger.now()))

        found = settle.settle(place.interrupted("commit_files", record), event, judgement, place.links)

        assert place.verdicts()[-1]["look"] == 2
        for text in (found.page or "", found.comment or ""):
            assert SENTENCES["safe"].removeprefix("Hold, safe: ") in text
            assert SENTENCES["promote"].removeprefix("Promote: ") not in text

    def test_a_look_that_the_judgement_does_not_hold_is_told(self, place: Place) -> None:
        """Too many models were judged meanwhile; nothing is recorded."""
        run, event = place.ended()
        judgement = place.judgement(run)
        for number in range(3):
            other = {**judgement, "model_digest": f"{number}" * 64, "pull_request": 90 + number}
            ledger.Ledger(place.forge).append(ledger.verdict(other, 1, ledger.now()))

        with pytest.raises(RatchetError, match="judge it again"):
            place.settle(event, judgement)

        assert len(place.verdicts()) == 3

    def test_what_was_accepted_before_stays_accepted_for_the_same_model(self, place: Place) -> None:
        """A second run of the same proposal finds the acceptance."""
        run, event = place.ended()
        place.settle(event, place.judgement(run, "safe"))
        maintain.accept(place.forge, place.pull.number, maintain.Deed("grace", "simpler", 900))
        run, event = place.ended()

        place.settle(event, place.judgement(run, "safe", lock=None))

        assert place.status(place.head) == ("success", "Accepted by grace: simpler")
        assert "Accepted by grace" in place.comments()[0].splitlines()[1]

    def test_the_history_holds_each_verdict_once(self, place: Place) -> None:
        """An earlier verdict of the same pull request is one folded line."""
        run, event = place.ended()
        place.settle(event, place.judgement(run, "block"))
        first = place.head
        place.push({"params.yaml": "rate: 3\n"})
        run, event = place.ended()

        place.settle(event, place.judgement(run, "block", model_digest="9" * 64))

        (told,) = place.comments()
        assert told.count(f"`{first[:7]}`") == 1


class TestRefused:
    """A judgement that is not what it must be."""

    @pytest.mark.parametrize(
        "change",
        [
            {"pull_request": 999},
            {"run": {"id": 1, "attempt": 1, "url": ""}},
            {"head": {"sha": "0" * 40, "repository": "ada/flights", "branch": "change", "is_fork": False}},
        ],
        ids=["pull request", "run", "commit"],
    )
    def test_one_about_another_run_is_refused(self, place: Place, change: dict[str, Any]) -> None:
        """Nothing is recorded, nothing is set."""
        run, event = place.ended()

        with pytest.raises(RatchetError, match=r"the judgement is about .*, not about this run of pull request"):
            place.settle(event, place.judgement(run) | change)

        assert (place.verdicts(), place.states(place.head), place.comments()) == ([], {}, [])

    def test_one_about_another_attempt_is_refused(self, place: Place) -> None:
        """The number of the run alone does not say which evidence it was."""
        run, event = place.ended()
        other = place.judgement(run)
        other["run"] = {**other["run"], "attempt": 2}

        with pytest.raises(RatchetError, match="the judgement is about"):
            place.settle(event, other)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"version": 2}, r"judgement: \$\.version"),
            ({"outcome": "fine"}, r"judgement: \$\.outcome"),
            ({"extra": 1}, "judgement: .*extra"),
            ({"lock": 1}, r"judgement: \$\.lock"),
            ({"verdicts": [{"verdict": "promote"}]}, "verdict: "),
        ],
    )
    def test_one_of_another_shape_is_refused(self, place: Place, change: dict[str, Any], message: str) -> None:
        """The judgement, and every verdict in it."""
        run, event = place.ended()

        with pytest.raises(RatchetError, match=message):
            place.settle(event, place.judgement(run) | change)

        assert (place.verdicts(), place.states(place.head)) == ([], {})


class TestUnjudged:
    """A run has ended, and the judge did not speak."""

    @pytest.mark.parametrize(
        ("conclusion", "words"),
        [("cancelled", "report.yml was cancelled"), ("failure", "report.yml ended as failure")],
    )
    def test_the_gate_says_why(self, place: Place, conclusion: str, words: str) -> None:
        """An error, so that nothing waits for ever; the comment has the same reason."""
        run = place.run()
        place.settle(place.event(run, "in_progress"))
        place.desk.server.close_run(run, conclusion)

        place.settle(place.event(run, "completed"))

        state, description = place.status(place.head)
        assert state == "error"
        assert description.startswith(words)
        assert words in place.comments()[0]
        assert len(place.comments()) == 1

    def test_a_newer_run_of_the_same_commit_says_the_rest(self, place: Place) -> None:
        """Closed and opened again: the older run was cancelled, and the newer one waits."""
        older = place.run()
        newer = place.run()
        place.settle(place.event(newer, "in_progress"))
        place.desk.server.close_run(older, "cancelled")

        assert place.settle(place.event(older, "completed")) == settle.Settled()
        assert place.states(place.head) == {"model-gate": "pending"}

    def test_a_newer_attempt_says_the_rest_too(self, place: Place) -> None:
        """Someone runs it again before this event is looked at."""
        run = place.run()
        place.settle(place.event(run, "in_progress"))
        place.desk.server.close_run(run, "cancelled")
        late = place.event(run, "completed")
        place.rerun(run)

        assert place.settle(late) == settle.Settled()
        assert place.states(place.head) == {"model-gate": "pending"}

    def test_a_run_that_was_cancelled_after_the_lock_came_shuts_the_head(self, place: Place) -> None:
        """A second attempt of a judged run was cancelled: the gate of the head says so."""
        run, event = place.ended()
        place.settle(event, place.judgement(run))

        place.rerun(run)
        place.begin(run)
        place.desk.server.close_run(run, "cancelled")
        place.settle(place.event(run, "completed"))

        assert place.status(place.head)[0] == "error"


class TestBadDay:
    """GitHub fails in the middle; a second run of the same event heals it."""

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", r"/pulls", 502),
            ("POST", r"/git/trees", "drop"),
            ("PATCH", r"/git/refs/heads/change", 502),
            ("POST", r"/issues/\d+/comments", 502),
            ("POST", r"/statuses/", "drop"),
        ],
    )
    def test_the_second_run_ends_where_the_first_would_have(
        self, place: Place, method: str, path: str, status: int | str
    ) -> None:
        """Wherever it broke: one record, one lock commit, one comment, both gates."""
        parent = place.head
        run, event = place.ended()
        judgement = place.judgement(run)
        place.desk.fails(method, path, status, times=99)
        with pytest.raises(RatchetError):
            place.settle(event, judgement)
        place.desk.server.faults.clear()

        place.settle(event, judgement)

        assert len(place.verdicts()) == 1
        assert place.forge.commit(place.head).parents == (parent,)
        assert place.states(place.head) == {"model-gate": "success"}
        assert len(place.comments()) == 1

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", r"/git/refs"),
            ("PATCH", r"/git/refs/heads/change"),
            ("POST", r"/issues/\d+/comments"),
            ("POST", r"/statuses/"),
        ],
    )
    def test_an_answer_that_is_lost_after_the_deed_doubles_nothing(self, place: Place, method: str, path: str) -> None:
        """The connection is cut when the change is made: no error, and nothing twice."""
        parent = place.head
        run, event = place.ended()
        place.desk.fails(method, path, "cut")

        place.settle(event, place.judgement(run))

        assert len(place.verdicts()) == 1
        assert place.forge.commit(place.head).parents == (parent,)
        assert place.states(place.head) == {"model-gate": "success"}
        assert len(place.comments()) == 1


class TestConclude:
    """The last step."""

    def test_statuses_are_set_in_their_order(self, place: Place) -> None:
        """The last one stands."""
        waits = settle.Status(place.head, "model-gate", "pending", "wait", "https://example.org/1")
        fine = settle.Status(place.head, "model-gate", "success", "fine", "https://example.org/2")

        settle.conclude(place.forge, waits, fine)

        assert place.forge.statuses(place.head)["model-gate"] == Status(
            "model-gate", "success", "fine", "https://example.org/2", "ada"
        )

    def test_the_comment_is_written_for_the_step_after_it(self, tmp_path: Path) -> None:
        """There is a file only when there is something to say."""
        settle.Settled(12, "words\n").write(tmp_path / "a")
        settle.Settled().write(tmp_path / "b")

        assert (tmp_path / "a" / "comment.md").read_text() == "words\n"
        assert not (tmp_path / "b").exists()

    @pytest.mark.parametrize(("path", "context"), [(REPORT, "model-gate"), (CI, "ci-gate")])
    def test_a_verdict_that_fails_itself_is_told(self, place: Place, path: str, context: str) -> None:
        """On the commit, in the gate of the workflow it was about, with a link to the failed run."""
        _, event = place.ended(path)

        settle.conclude_failed(place.forge, event, "https://example.org/run")

        found = place.forge.statuses(place.head)[context]
        assert (found.state, found.url) == ("error", "https://example.org/run")
        assert "run it again" in found.description

    def test_a_failure_of_another_workflow_is_nobodys_business(self, place: Place) -> None:
        """No status of ours is about it."""
        _, event = place.ended(".github/workflows/evil.yml")

        settle.conclude_failed(place.forge, event, "https://example.org/run")

        assert place.states(place.head) == {}

    def test_a_verdict_that_fails_after_the_lock_came_shuts_the_head_too(self, place: Place) -> None:
        """The head is the commit with the lock: it must not wait for ever for a status."""
        run, event = place.ended()
        settle.settle(place.forge, event, place.judgement(run), place.links)  # the step after it breaks

        settle.conclude_failed(place.forge, event, "https://example.org/run")

        assert place.states(place.head) == {"model-gate": "error"}


class TestVerdictOf:
    """The verdict that `accept` is about."""

    def found(self, place: Place) -> Mapping[str, Any] | None:
        """For the pull request as it stands."""
        return settle.verdict_of(place.forge, ledger.Ledger(place.forge).listing(), place.forge.pull(place.pull.number))

    def test_it_is_the_one_whose_lock_is_on_top_of_the_judged_commit(self, place: Place) -> None:
        """The newest of the pull request."""
        assert self.found(place) is None
        run, event = place.ended()
        place.settle(event, place.judgement(run, "safe"))

        assert self.found(place) == place.verdicts()[0]

    def test_it_is_the_one_about_the_head_where_no_lock_was_committed(self, place: Place) -> None:
        """And none once the head has moved on."""
        place.push({"dvc.lock": LOCK})
        run, event = place.ended()
        place.settle(event, place.judgement(run, "safe", lock=None))
        assert self.found(place) == place.verdicts()[0]

        place.push({"dvc.lock": "stages: {forged: {}}\n"})
        assert self.found(place) is None

    def test_there_is_none_where_another_lock_took_its_place(self, place: Place) -> None:
        """A forged lock on the judged commit was never judged."""
        run, event = place.ended()
        forged = place.push({"dvc.lock": "stages: {forged: {}}\n"})
        place.settle(event, place.judgement(run, "safe"))

        assert place.head == forged
        assert self.found(place) is None

    def test_there_is_none_where_the_lock_was_deleted(self, place: Place) -> None:
        """A commit that changes dvc.lock alone may also take it away."""
        place.push({"dvc.lock": "schema: '2.0'\n"})
        run, event = place.ended()
        place.delete("dvc.lock")
        place.settle(event, place.judgement(run, "safe"))

        assert self.found(place) is None

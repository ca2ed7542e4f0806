"""What a maintainer does: accept, adopt, refresh, each recorded with who and why, and safe to do twice."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import report_example
from forge_example import desk
from ratchet import ledger, maintain, settle
from ratchet.errors import RatchetError
from ratchet.forge import Moved
from ratchet.maintain import Clone, Deed
from rehearsal.forge import Event
from rehearsal.forge import Forge as Server
from rehearsal.forge.access import person
from settle_example import LOCK, Place

DEED = Deed("grace", "simpler, and safe", 900)
WORKFLOW = "name: {0}\non:\n  workflow_dispatch:\njobs: {{}}\n"
RIGHTS = {"actions": "write", "contents": "write", "pull_requests": "write", "statuses": "write"}
FILES = {f".github/workflows/{name}.yml": WORKFLOW.format(name) for name in ("report", "ci")}


@pytest.fixture(scope="module")
def events(forge: Server) -> list[Event]:
    """What the forge has told so far."""
    told: list[Event] = []
    forge.listen(told.append)
    return told


@pytest.fixture
def make(forge: Server, events: list[Event]) -> Iterator[Callable[..., Place]]:
    """A repository with workflows that can be dispatched, and a pull request."""

    def made(owner: str = "ada") -> Place:
        new = desk(forge)
        new.commit("main", FILES, "Workflows")
        forge.repository(new.name).settings.actions_may_open_pulls = True
        events.clear()
        return Place(new, new.client(tries=2), new.pull(owner=owner))

    yield made
    forge.faults.clear()


@pytest.fixture
def place(make: Callable[..., Place]) -> Place:
    """A pull request from a branch of the repository."""
    return make()


@pytest.fixture
def fork(make: Callable[..., Place]) -> Place:
    """A pull request from a fork."""
    return make(owner="bob")


def settled(place: Place, said: str = "safe", **more: Any) -> None:
    """The pull request has been judged."""
    run, event = place.ended()
    place.settle(event, place.judgement(run, said, **more))


def held_for_its_judge(place: Place) -> None:
    """It changes the judge and no model."""
    run, event = place.ended()
    place.settle(event, place.about(run, report_example.unjudged("unchanged", judge_changed=["dvc.yaml"])))


def records(place: Place, kind: str) -> list[dict[str, Any]]:
    """The records of that kind."""
    listing = ledger.Ledger(place.forge).listing()
    return [entry for entry in listing.history(place.pull.number) if entry["kind"] == kind]


def dispatched(events: list[Event]) -> list[tuple[str, str]]:
    """Workflow file and branch of each dispatch."""
    found = [event.payload for event in events if event.name == "workflow_dispatch"]
    return [(payload["workflow"].rpartition("/")[2], payload["ref"]) for payload in found]


class TestAccept:
    """A hold passes."""

    def test_a_safe_hold_opens_the_gate_and_is_recorded(self, place: Place) -> None:
        """Who, why, which model on which rows, by which verdict; in the ledger, the status and the comment."""
        settled(place, "safe")

        said = maintain.accept(place.forge, place.pull.number, DEED)

        assert said == f"pull request {place.pull.number} is accepted by grace"
        assert place.status(place.head) == ("success", "Accepted by grace: simpler, and safe")
        (record,) = records(place, "acceptance")
        (verdict,) = place.verdicts()
        assert (record["who"], record["reason"], record["hold"], record["run"]) == (
            "grace",
            "simpler, and safe",
            "safe",
            900,
        )
        assert record["head_sha"] == place.head
        assert (record["model_digest"], record["holdout"]) == (verdict["model_digest"], verdict["holdout"])
        assert record["verdict"] == ledger.path_of(verdict)
        (comment,) = place.comments()
        assert comment.splitlines()[1] == "### ✅ Accepted by grace: simpler, and safe"

    def test_a_change_of_the_judge_that_was_judged_is_accepted(self, place: Place) -> None:
        """By the verdict about it."""
        settled(place, "judge changed")

        maintain.accept(place.forge, place.pull.number, DEED)

        assert place.status(place.head)[0] == "success"
        assert records(place, "acceptance")[0]["hold"] == "judge changed"

    def test_a_change_of_the_judge_alone_is_accepted_for_its_commit(self, place: Place) -> None:
        """No model, no holdout, no verdict."""
        held_for_its_judge(place)
        before = place.head

        maintain.accept(place.forge, place.pull.number, DEED)

        (record,) = records(place, "acceptance")
        assert (record["hold"], record["head_sha"], record["verdict"], record["model_digest"]) == (
            "judge changed",
            before,
            None,
            None,
        )
        assert place.states(before) == {"model-gate": "success"}

        place.push({"dvc.yaml": "stages: {}\n"})
        held_for_its_judge(place)
        assert place.states(place.head) == {"model-gate": "failure"}

    def test_a_second_time_says_that_there_is_nothing_to_do(self, place: Place) -> None:
        """No second record."""
        settled(place, "safe")
        maintain.accept(place.forge, place.pull.number, DEED)

        said = maintain.accept(place.forge, place.pull.number, Deed("ada", "me too", 901))

        assert said == f"pull request {place.pull.number} may be merged already: Accepted by grace: simpler, and safe"
        assert len(records(place, "acceptance")) == 1

    def test_what_broke_in_the_middle_is_finished_by_a_second_time(self, place: Place) -> None:
        """The record was made, the status was not."""
        settled(place, "safe")
        place.desk.fails("POST", r"/statuses/", 502, times=99)
        with pytest.raises(RatchetError, match="502"):
            maintain.accept(place.forge, place.pull.number, DEED)
        place.desk.server.faults.clear()

        maintain.accept(place.forge, place.pull.number, DEED)

        assert place.status(place.head)[0] == "success"
        assert len(records(place, "acceptance")) == 1

    @pytest.mark.parametrize("said", ["block", "cannot tell", "void"])
    def test_what_may_not_pass_is_refused(self, place: Place, said: str) -> None:
        """With the verdict's own sentence, and what could be accepted."""
        settled(place, said)

        with pytest.raises(RatchetError, match="only a safe hold or a change of the judge can be accepted"):
            maintain.accept(place.forge, place.pull.number, DEED)

        assert records(place, "acceptance") == []
        assert place.states(place.head)["model-gate"] == "failure"

    def test_what_is_still_being_judged_is_refused(self, place: Place) -> None:
        """Before the first status, and while one is pending."""
        with pytest.raises(RatchetError, match="is still being judged"):
            maintain.accept(place.forge, place.pull.number, DEED)

        place.settle(place.event(place.run(), "requested"))
        with pytest.raises(RatchetError, match="is still being judged"):
            maintain.accept(place.forge, place.pull.number, DEED)

    def test_a_failed_run_has_nothing_to_accept(self, place: Place) -> None:
        """No verdict."""
        run, event = place.ended(conclusion="failure")
        place.settle(event, place.about(run, report_example.unjudged("failed", "Stage train failed.")))

        with pytest.raises(RatchetError, match="Stage train failed"):
            maintain.accept(place.forge, place.pull.number, DEED)

    def test_another_lock_than_the_judged_one_has_nothing_to_accept(self, place: Place) -> None:
        """It was pushed onto the judged commit."""
        run, event = place.ended()
        place.push({"dvc.lock": "stages: {forged: {}}\n"})
        place.settle(event, place.judgement(run, "safe"))
        settle.conclude_failed(place.forge, place.ended()[1], "https://example.org")

        with pytest.raises(RatchetError):
            maintain.accept(place.forge, place.pull.number, DEED)

        assert records(place, "acceptance") == []

    def test_a_forks_scores_cannot_be_accepted(self, fork: Place) -> None:
        """They are its own, also where it brought the lock that belongs to them: it has to be adopted first."""
        fork.push({"dvc.lock": LOCK})
        settled(fork, "safe", lock=None)

        with pytest.raises(RatchetError, match="adopt"):
            maintain.accept(fork.forge, fork.pull.number, DEED)

        assert fork.states(fork.head) == {"model-gate": "failure"}
        assert records(fork, "acceptance") == []

    def test_a_closed_one_is_refused(self, place: Place) -> None:
        """There is nothing to merge."""
        with place.desk.server.changing():
            place.pull.state = "closed"

        with pytest.raises(RatchetError, match=f"pull request {place.pull.number}: is closed"):
            maintain.accept(place.forge, place.pull.number, DEED)

    def test_one_that_is_not_there_is_told(self, place: Place) -> None:
        """A number was mistyped."""
        with pytest.raises(RatchetError, match=r"pulls/999: is not there"):
            maintain.accept(place.forge, 999, DEED)


class TestAdopt:
    """A fork's commit becomes a branch of this repository."""

    def test_the_same_commit_is_proposed_and_run_here(self, fork: Place, events: list[Event]) -> None:
        """A branch, a pull request, a record, two dispatches, and a word under the fork's own."""
        said = maintain.adopt(fork.forge, fork.pull.number, DEED)

        branch, new = f"adopt/{fork.pull.number}-{fork.head[:12]}", fork.pull.number + 1
        assert said == f"pull request {fork.pull.number} is adopted as {new}, branch {branch}"
        adopted = fork.forge.pull(new)
        assert (adopted.head_sha, adopted.head_branch, adopted.base_branch) == (fork.head, branch, "main")
        assert (adopted.title, adopted.is_fork) == ("Try change", False)
        assert f"Adopts pull request #{fork.pull.number}" in adopted.body
        (record,) = records(fork, "adoption")
        assert (record["who"], record["reason"], record["branch"], record["new_pull_request"]) == (
            "grace",
            "simpler, and safe",
            branch,
            new,
        )
        assert record["head_repository"] == fork.pull.head_repository
        assert dispatched(events) == [("report.yml", f"refs/heads/{branch}"), ("ci.yml", f"refs/heads/{branch}")]
        assert fork.comments() == [f"<!-- ratchet: adopted -->\nAdopted as #{new}, where it is judged.\n"]

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", r"/pulls"), ("POST", r"/git/trees"), ("POST", r"/dispatches"), ("POST", r"/comments")],
    )
    def test_what_broke_in_the_middle_is_finished_by_a_second_time(
        self, fork: Place, events: list[Event], method: str, path: str
    ) -> None:
        """One branch, one pull request, one record."""
        fork.desk.fails(method, path, 502, times=99)
        with pytest.raises(RatchetError, match="502"):
            maintain.adopt(fork.forge, fork.pull.number, DEED)
        fork.desk.server.faults.clear()

        maintain.adopt(fork.forge, fork.pull.number, DEED)

        assert len(fork.forge.open_pulls()) == 2
        assert len(records(fork, "adoption")) == 1
        assert {workflow for workflow, _ in dispatched(events)} == {"report.yml", "ci.yml"}
        assert len(fork.comments()) == 1

    def test_one_that_is_adopted_already_is_no_error(self, fork: Place) -> None:
        """Pressed again after the lock came to the branch: it says where it is."""
        maintain.adopt(fork.forge, fork.pull.number, DEED)
        branch = f"adopt/{fork.pull.number}-{fork.head[:12]}"
        fork.desk.commit(branch, {"dvc.lock": LOCK})

        said = maintain.adopt(fork.forge, fork.pull.number, Deed("ada", "again", 901))

        assert str(fork.pull.number + 1) in said
        assert len(records(fork, "adoption")) == 1

    def test_a_later_commit_of_the_fork_is_adopted_as_another_branch(self, fork: Place) -> None:
        """What was judged stays what was judged."""
        maintain.adopt(fork.forge, fork.pull.number, DEED)
        fork.push({"params.yaml": "rate: 9\n"})

        maintain.adopt(fork.forge, fork.pull.number, Deed("grace", "newer", 901))

        branches = [pull.head_branch for pull in fork.forge.open_pulls() if not pull.is_fork]
        assert branches == [f"adopt/{fork.pull.number}-{sha[:12]}" for sha in (fork.head, _parent(fork))]

    def test_a_branch_of_this_repository_needs_none(self, place: Place) -> None:
        """There is nothing to adopt."""
        with pytest.raises(RatchetError, match="there is nothing to adopt"):
            maintain.adopt(place.forge, place.pull.number, DEED)

    def test_a_workflow_that_it_brings_is_for_a_person(self, fork: Place) -> None:
        """GitHub would refuse a workflow's token: the commands are told, and after them it is adopted as any is."""
        fork.push({".github/workflows/report.yml": WORKFLOW.format("mine")})
        job, branch = fork.desk.job(**RIGHTS), f"adopt/{fork.pull.number}-{fork.head[:12]}"

        with pytest.raises(RatchetError, match=r"changes .github/workflows/report.yml, and no workflow") as caught:
            maintain.adopt(job, fork.pull.number, DEED)

        assert f"&& git push origin {fork.head}:refs/heads/{branch}" in str(caught.value)
        assert (fork.desk.git.branch(branch), records(fork, "adoption")) == (None, [])
        fork.desk.server.move(fork.desk.name, f"refs/heads/{branch}", fork.head, person("ada"))
        maintain.adopt(job, fork.pull.number, DEED)
        assert len(records(fork, "adoption")) == 1

    def test_a_workflow_that_main_has_changed_is_for_a_person_too(self, fork: Place) -> None:
        """The commit of the fork is older: its author, or a button, brings main's in."""
        fork.desk.commit("main", {".github/workflows/ci.yml": WORKFLOW.format("newer")})

        with pytest.raises(RatchetError, match=r"has older .github/workflows/ci.yml than main.*\n.*Update branch"):
            maintain.adopt(fork.desk.job(**RIGHTS), fork.pull.number, DEED)

        assert records(fork, "adoption") == []
        maintain.adopt(fork.forge, fork.pull.number, DEED)  # with the token of a person, who may
        assert len(records(fork, "adoption")) == 1


def _parent(place: Place) -> str:
    return place.forge.commit(place.head).parents[0]


def clone(place: Place, folder: Path, *options: str) -> Path:
    """A clone, as a checkout of main makes it."""
    url = f"{place.desk.server.url}/{place.desk.name}.git"
    subprocess.run(["git", "clone", "--quiet", *options, url, str(folder)], check=True, capture_output=True)
    return folder


class TestRefresh:
    """Main's changes come into the branch."""

    def test_the_branch_gets_a_merge_and_is_judged_again(
        self, place: Place, events: list[Event], tmp_path: Path
    ) -> None:
        """Both parents, the bot as its author, a record, two dispatches; the working tree is not touched."""
        old = place.head
        base = place.desk.commit("main", {"docs.md": "# Docs\n"})
        root = clone(place, tmp_path / "root")

        said = maintain.refresh(place.forge, place.pull.number, DEED, root)

        commit = place.desk.git.commit(place.head)
        assert said == f"pull request {place.pull.number} now has main's {base[:8]}, and is judged again"
        assert commit.parents == (old, base)
        assert commit.message.strip() == "Merge main into change"
        assert commit.author.name == "github-actions[bot]"
        assert place.desk.git.read(place.head, "docs.md") == b"# Docs\n"
        assert place.desk.git.read(place.head, "params.yaml") == b"rate: change\n"
        (record,) = records(place, "refresh")
        assert (record["old_sha"], record["base_sha"], record["new_sha"]) == (old, base, place.head)
        assert dispatched(events) == [("report.yml", "refs/heads/change"), ("ci.yml", "refs/heads/change")]
        assert _git(root, "status", "--porcelain") == ""
        assert _git(root, "rev-parse", "HEAD") == base

    def test_a_conflict_in_the_lock_alone_takes_mains(self, place: Place, tmp_path: Path) -> None:
        """What belongs to the branch is made and judged anew."""
        place.push({"dvc.lock": "stages: {mine: {}}\n"})
        place.desk.commit("main", {"dvc.lock": "stages: {main: {}}\n"})

        maintain.refresh(place.forge, place.pull.number, DEED, clone(place, tmp_path / "root"))

        assert place.desk.git.read(place.head, "dvc.lock") == b"stages: {main: {}}\n"
        assert place.desk.git.read(place.head, "params.yaml") == b"rate: change\n"

    def test_a_conflict_elsewhere_is_left_to_a_person(self, place: Place, tmp_path: Path) -> None:
        """It is named, and nothing is pushed."""
        before = place.head
        place.desk.commit("main", {"params.yaml": "rate: main\n", "dvc.lock": LOCK})

        with pytest.raises(RatchetError, match=r"both sides change params.yaml") as caught:
            maintain.refresh(place.forge, place.pull.number, DEED, clone(place, tmp_path / "root"))

        assert "dvc.lock" not in str(caught.value)
        assert (place.head, records(place, "refresh")) == (before, [])

    def test_one_that_is_up_to_date_stays_as_it_is(self, place: Place, events: list[Event], tmp_path: Path) -> None:
        """And is not judged again."""
        settled(place, "block")
        place.forge.set_status(place.head, settle.CI, "success", "Tests and linters pass")
        before = place.head

        said = maintain.refresh(place.forge, place.pull.number, DEED, clone(place, tmp_path / "root"))

        assert said == f"pull request {place.pull.number} has all of main already"
        assert (place.head, records(place, "refresh"), dispatched(events)) == (before, [], [])

    def test_what_broke_after_the_push_is_finished_by_a_second_time(
        self, place: Place, events: list[Event], tmp_path: Path
    ) -> None:
        """What a workflow's push starts waits for a person: without the dispatch the new head would not be judged."""
        place.desk.commit("main", {"docs.md": "# Docs\n"})
        root = clone(place, tmp_path / "root")
        place.desk.fails("POST", r"/git/(trees|refs)", 502, times=99)
        with pytest.raises(RatchetError, match="502"):
            maintain.refresh(place.forge, place.pull.number, DEED, root)
        place.desk.server.faults.clear()

        maintain.refresh(place.forge, place.pull.number, DEED, root)

        assert dispatched(events) == [("report.yml", "refs/heads/change"), ("ci.yml", "refs/heads/change")]

    def test_a_gate_that_was_not_dispatched_is_by_a_second_time(
        self, place: Place, events: list[Event], tmp_path: Path
    ) -> None:
        """It broke between the two dispatches: the first gate waits already, and is not started again."""
        place.desk.commit("main", {"docs.md": "# Docs\n"})
        root = clone(place, tmp_path / "root")
        place.desk.fails("POST", r"/ci\.yml/dispatches$", 502, times=99)
        with pytest.raises(RatchetError, match="502"):
            maintain.refresh(place.forge, place.pull.number, DEED, root)
        place.desk.server.faults.clear()
        place.forge.set_status(place.head, settle.MODEL, "pending", "report.yml trains and scores")

        maintain.refresh(place.forge, place.pull.number, DEED, root)

        assert dispatched(events) == [("report.yml", "refs/heads/change"), ("ci.yml", "refs/heads/change")]

    def test_a_job_without_a_clone_of_its_history_is_told(self, place: Place, tmp_path: Path) -> None:
        """The merge base is missing: the error says so instead of making a merge of nothing."""
        place.desk.commit("main", {"docs.md": "# Docs\n"})
        root = clone(place, tmp_path / "root", "--depth=1")

        with pytest.raises(RatchetError, match="unrelated histories"):
            maintain.refresh(place.forge, place.pull.number, DEED, root)

    def test_a_forks_branch_is_not_ours_to_write(self, fork: Place, tmp_path: Path) -> None:
        """It is adopted first."""
        with pytest.raises(RatchetError, match="adopt it first"):
            maintain.refresh(fork.forge, fork.pull.number, DEED, tmp_path)

    def test_a_workflows_token_is_enough(self, place: Place, tmp_path: Path) -> None:
        """It goes along in a header, and stands in no argument that others on the machine can read."""
        place.desk.commit("main", {"docs.md": "# Docs\n"})
        job = place.desk.job(**RIGHTS)

        maintain.refresh(job, place.pull.number, DEED, clone(place, tmp_path / "root"))

        assert place.desk.git.read(place.head, "docs.md") == b"# Docs\n"

    def test_a_workflow_that_main_has_changed_is_for_a_person(self, place: Place, tmp_path: Path) -> None:
        """GitHub would refuse the push; a branch's own workflow is no hindrance, for it is there already."""
        place.push({".github/workflows/report.yml": WORKFLOW.format("mine")})
        place.desk.commit("main", {"docs.md": "# Docs\n"})
        root, job = clone(place, tmp_path / "root"), place.desk.job(**RIGHTS)
        maintain.refresh(job, place.pull.number, DEED, root)
        before = place.head
        place.desk.commit("main", {".github/workflows/ci.yml": WORKFLOW.format("newer")})

        with pytest.raises(RatchetError, match=r"main has changed .github/workflows/ci.yml.*\npress \*Update branch\*"):
            maintain.refresh(job, place.pull.number, DEED, root)

        assert (place.head, len(records(place, "refresh"))) == (before, 1)
        maintain.refresh(place.forge, place.pull.number, Deed("grace", "again", 901), root)  # with a person's token
        assert place.desk.git.read(place.head, ".github/workflows/ci.yml") == WORKFLOW.format("newer").encode()

    def test_a_token_that_only_reads_pushes_nothing(self, place: Place, tmp_path: Path) -> None:
        """Git's own reason, in one line."""
        before = place.head
        place.desk.commit("main", {"docs.md": "# Docs\n"})
        job = place.desk.job(contents="read", pull_requests="read")

        with pytest.raises(RatchetError, match=r"^git push: [^\n]+$"):
            maintain.refresh(job, place.pull.number, DEED, clone(place, tmp_path / "root"))

        assert place.head == before


class TestGit:
    """Merges on objects alone."""

    def merged(self, place: Place, folder: Path) -> tuple[Clone, str]:
        """The merge of main into the branch, in a clone."""
        git = Clone(place.forge, clone(place, folder))
        base = place.forge.branch("main")
        assert base is not None
        return git, git.merge(place.head, base, "Merge")

    def test_a_clean_merge_holds_what_both_have(self, place: Place, tmp_path: Path) -> None:
        """Nothing is in conflict."""
        place.desk.commit("main", {"docs.md": "# Docs\n"})

        git, merged = self.merged(place, tmp_path / "root")

        names = git.run("ls-tree", "-r", "--name-only", merged).split()
        assert {"docs.md", "params.yaml", "README.md"} <= set(names)

    def test_a_lock_that_only_the_branch_changed_is_mains_too(self, place: Place, tmp_path: Path) -> None:
        """It was made from another main than the one there is now."""
        place.desk.commit("main", {"dvc.lock": "stages: {main: {}}\n"})
        place.push({"dvc.lock": "stages: {mine: {}}\n"})

        git, merged = self.merged(place, tmp_path / "root")

        assert git.run("show", f"{merged}:dvc.lock") == "stages: {main: {}}"

    def test_it_knows_what_holds_what(self, place: Place, tmp_path: Path) -> None:
        """Ancestors, and what git cannot find."""
        base = place.desk.git.branch("main")
        git = Clone(place.forge, clone(place, tmp_path / "root"))

        assert git.is_ancestor(str(base), place.head)
        assert not git.is_ancestor(place.head, str(base))
        assert not git.is_ancestor("0" * 40, str(base))

    def test_a_command_that_fails_is_told_in_one_line(self, place: Place, tmp_path: Path) -> None:
        """Which one, and git's last line."""
        git = Clone(place.forge, clone(place, tmp_path / "root"))

        with pytest.raises(RatchetError, match=r"^git rev-parse: fatal: [^\n]+$"):
            git.run("rev-parse", "--verify", "nothing")

    def test_a_commit_that_is_not_there_is_told(self, place: Place, tmp_path: Path) -> None:
        """By the command that could not find it."""
        git = Clone(place.forge, clone(place, tmp_path / "root"))

        with pytest.raises(RatchetError, match="git merge-tree: "):
            git.merge("0" * 40, place.head, "Merge")


def test_a_branch_that_stands_elsewhere_is_not_moved(fork: Place) -> None:
    """Somebody took the name of the adopted branch."""
    fork.desk.commit(f"adopt/{fork.pull.number}-{fork.head[:12]}", {"evil.txt": "x"})

    with pytest.raises(Moved):
        maintain.adopt(fork.forge, fork.pull.number, DEED)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()

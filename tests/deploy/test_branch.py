"""The branch `deploy` on a real forge: its files, moves, records, and what two at once or a run that broke leave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from forge_example import Desk, desk
from ratchet import ledger
from ratchet.deploy import branch
from ratchet.deploy.branch import Why, Wish
from ratchet.deploy.state import State, parse, render
from ratchet.deploy.strategy import plan
from ratchet.errors import RatchetError
from rehearsal.forge import Forge as Server
from rehearsal.forge import environments
from rehearsal.forge.environments import Protection
from rehearsal.forge.state import Approval
from state_example import REPOSITORY, alone, arm, released

pytestmark = pytest.mark.xdist_group("branch")

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def yard(forge: Server) -> Iterator[Desk]:
    """A repository of three releases, where nothing runs."""
    made = desk(forge)
    released(made.client(), 1, 2, 3)
    yield made
    forge.faults.clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout of main with something to copy."""
    texts = {
        "compose.yaml": "services: {}\n",
        "traefik/traefik.yaml": "ping: {}\n",
        "Dockerfile": "FROM x\n",
        "grafana/__pycache__/x.pyc": "x",
    }
    for name, text in texts.items():
        path = tmp_path / "deploy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def why(run: int, reason: str = "because") -> Why:
    """Ada, in a run."""
    return Why("ada", reason, run)


def stage(yard: Desk, number: int, run: int, root: Path = Path("nowhere")) -> str:
    """What a release does."""

    def change(state: State | None) -> State:
        return plan(state, arm(number), "blue-green", environment="staging")

    return branch.move(yard.client(), "staging", change, why(run), root)


def promote(yard: Desk, run: int, wish: Wish, root: Path = Path("nowhere")) -> branch.Move:
    """Into production."""
    return branch.promote(yard.client(), "production", wish, why(run), root)


def rollback(yard: Desk, run: int, to: str | None = None) -> branch.Move:
    """Of production."""
    return branch.rollback(yard.client(), "production", to, why(run, "errors"))


def files(yard: Desk) -> dict[str, str]:
    """What the branch holds."""
    sha = str(yard.git.branch("deploy"))
    found = {entry.path: yard.git.read(sha, entry.path) for entry in yard.git.tree(sha, recursive=True)}
    return {path: content.decode() for path, content in found.items() if content is not None}


def commits(yard: Desk) -> list[str]:
    """Subjects of the commits of the branch, oldest first."""
    sha = yard.git.branch("deploy")
    return [one.message.splitlines()[0] for one in yard.git.log(sha)][::-1] if sha else []


def moves(yard: Desk) -> list[dict[str, Any]]:
    """Records of moves, oldest first."""
    return sorted(ledger.Ledger(yard.client()).listing().moves(), key=lambda entry: entry["run"])


class TestFiles:
    """What the branch holds."""

    def test_the_first_move_begins_the_branch(self, yard: Desk, root: Path) -> None:
        """Without history; the state, what is rendered from it, main's copies, and a word to whoever looks."""
        sha = stage(yard, 1, 10, root)

        assert sha == yard.git.branch("deploy")
        assert yard.git.commit(sha).parents == ()
        held = files(yard)
        assert set(held) == {
            "README.md",
            "compose.yaml",
            "traefik/traefik.yaml",
            "staging/state.json",
            "staging/traefik.yaml",
            "staging/arms.json",
            "staging/compose.env",
            "staging/kubernetes/kustomization.yaml",
            "staging/kubernetes/routes.yaml",
        }
        assert parse(held["staging/state.json"]) == alone(1, environment="staging")
        assert held["staging/compose.env"] == f"BLUE_IMAGE={arm(1).image}\nCOMPOSE_PROFILES=blue\n"
        servers = yaml.safe_load(held["staging/traefik.yaml"])["http"]["services"]["blue"]["loadBalancer"]["servers"]
        assert servers == [{"url": "http://blue:3000"}]

    def test_both_slots_stand_in_the_environment_of_compose(self) -> None:
        """With the profiles that start them."""
        held = branch.files(plan(alone(1), arm(2), "canary"))

        assert held["production/compose.env"].decode() == (
            f"BLUE_IMAGE={REPOSITORY}@sha256:{1:064x}\nGREEN_IMAGE={REPOSITORY}@sha256:{2:064x}\n"
            "COMPOSE_PROFILES=blue,green\n"
        )

    def test_prometheus_is_told_of_each_arm(self) -> None:
        """In the file that the host's configuration reads, by Compose's names; an empty slot is no fault."""
        held = branch.files(alone(1))["production/arms.json"]
        (scrape, _) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
        mounts = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["prometheus"]["volumes"]

        assert json.loads(held) == [{"targets": ["blue:3000"], "labels": {"slot": "blue"}}]
        assert scrape["file_sd_configs"][0]["files"] == ["/etc/prometheus/environment/arms.json"]
        assert any(mount.startswith("./${ENVIRONMENT:-production}:/etc/prometheus/environment") for mount in mounts)

    def test_copies_follow_main(self, yard: Desk, root: Path) -> None:
        """With the next move: changed, new and removed files; the other environment is not touched."""
        stage(yard, 1, 10, root)
        promote(yard, 11, Wish("canary"), root)
        production = files(yard)["production/state.json"]
        (root / "deploy/compose.yaml").write_text("services: {traefik: {}}\n")
        (root / "deploy/traefik/traefik.yaml").unlink()

        stage(yard, 2, 12, root)

        held = files(yard)
        assert held["compose.yaml"] == "services: {traefik: {}}\n"
        assert "traefik/traefik.yaml" not in held
        assert held["production/state.json"] == production

    def test_a_rollback_changes_the_state_alone(self, yard: Desk, root: Path) -> None:
        """Whatever main has become: whoever goes back wants nothing new."""
        stage(yard, 1, 10, root)
        promote(yard, 11, Wish("all-at-once", "model-v1"), root)
        promote(yard, 12, Wish("all-at-once", "model-v2"), root)
        (root / "deploy/compose.yaml").write_text("services: {traefik: {}}\n")

        rollback(yard, 13)

        assert files(yard)["compose.yaml"] == "services: {}\n"


class TestMoves:
    """What changes the branch, and the record of it."""

    def test_a_promotion_is_recorded_with_who_and_why(self, yard: Desk) -> None:
        """And with the commits before and after."""
        stage(yard, 1, 10)
        first = promote(yard, 11, Wish("blue-green"))
        second = promote(yard, 12, Wish("canary", "model-v2", 5))

        assert second.told() == "production: model-v1 100 % → model-v1 95 %, model-v2 5 %"
        assert commits(yard) == [
            "promotion in staging: model-v1, run 10",
            "promotion in production: model-v1, run 11",
            "promotion in production: model-v2, run 12",
        ]
        entry = moves(yard)[-1]
        assert {**entry, "at": ""} == {
            "version": 1,
            "kind": "promotion",
            "at": "",
            "environment": "production",
            "run": 12,
            "who": "ada",
            "reason": "because",
            "strategy": "canary",
            "deploy_sha": second.sha,
            "before_sha": first.sha,
            "tag": "model-v2",
            "model_digest": arm(2).model,
            "image": arm(2).image,
        }

    def test_who_approved_it_is_recorded(self, yard: Desk) -> None:
        """Beside who asked for it; the reviewer whose word let this run in."""
        run = yard.run(".github/workflows/promote.yml")
        for user, word, places in (
            ("eve", "rejected", ["production"]),
            ("bob", "approved", ["production"]),
            ("eve", "approved", ["staging"]),
        ):
            with yard.server.changing():
                for name in places:
                    environments.make(yard.server, yard.server.repository(yard.name), name, Protection())
                run.approvals.append(Approval(places, user, word, "", run.attempt))
        client = yard.client()
        assert (client.approver(run.id, "production"), client.approver(run.id, "elsewhere")) == ("bob", None)

        reason = Why("ada", "because", run.id, client.approver(run.id, "production"))
        branch.promote(client, "production", Wish("canary", "model-v1"), reason, Path("nowhere"))

        assert {name: moves(yard)[-1][name] for name in ("who", "approved_by")} == {"who": "ada", "approved_by": "bob"}

    def test_by_default_what_answers_in_staging_comes(self, yard: Desk) -> None:
        """Into staging itself the newest release with an image."""
        stage(yard, 2, 10)

        assert promote(yard, 11, Wish("canary")).after.answering == arm(2)
        moved = branch.promote(yard.client(), "staging", Wish("blue-green"), why(12))
        assert moved.told() == "staging: model-v2 100 % → model-v3 100 %, model-v2 warm"

    def test_promoting_what_is_there_changes_nothing_and_says_so(self, yard: Desk) -> None:
        """No commit, no record."""
        stage(yard, 1, 10)
        sha = promote(yard, 11, Wish("canary")).sha

        again = promote(yard, 12, Wish("canary"))

        assert (again.sha, again.changed) == (sha, False)
        assert again.told() == "production: model-v1 100 %: is so already, nothing changes"
        assert [entry["run"] for entry in moves(yard)] == [10, 11]

    def test_a_rollback_goes_back_and_withdraws(self, yard: Desk) -> None:
        """The record says what was taken away, why, and which commit came back."""
        stage(yard, 1, 10)
        first = promote(yard, 11, Wish("canary"))
        promote(yard, 12, Wish("canary", "model-v2"))
        third = promote(yard, 13, Wish("blue-green", "model-v2"))

        back = rollback(yard, 14)

        assert back.told() == "production: model-v2 100 %, model-v1 warm → model-v1 100 %"
        assert back.after.withdrawn == {"model-v2": "errors"}
        entry = moves(yard)[-1]
        kept = ("kind", "tag", "withdrawn", "restored_sha", "before_sha", "deploy_sha", "reason")
        assert {name: entry[name] for name in kept} == {
            "kind": "rollback",
            "tag": "model-v1",
            "withdrawn": "model-v2",
            "restored_sha": first.sha,
            "before_sha": third.sha,
            "deploy_sha": back.sha,
            "reason": "errors",
        }

    def test_a_state_can_be_named_by_its_release_or_its_commit(self, yard: Desk) -> None:
        """Two releases back."""
        stage(yard, 1, 10)
        first = promote(yard, 11, Wish("canary", "model-v1"))
        promote(yard, 12, Wish("blue-green", "model-v2"))
        promote(yard, 13, Wish("blue-green", "model-v3"))

        back = rollback(yard, 14, first.sha[:10])

        assert back.after.answering == arm(1)
        assert set(back.after.withdrawn) == {"model-v3"}

    def test_what_was_withdrawn_comes_back_by_its_name_alone(self, yard: Desk) -> None:
        """By default it is refused, with the reason it was withdrawn for; a second rollback does not bring it back."""
        stage(yard, 1, 10)
        promote(yard, 11, Wish("canary"))
        stage(yard, 2, 12)
        promote(yard, 13, Wish("canary"))
        rollback(yard, 14)

        with pytest.raises(RatchetError) as refused:
            promote(yard, 15, Wish("canary"))
        assert str(refused.value) == (
            "model-v2: was withdrawn: errors\nif it is to come back in spite of that, name it: --release model-v2"
        )
        with pytest.raises(RatchetError, match="nothing ran before model-v1 that is still good; withdrawn: model-v2"):
            rollback(yard, 16)
        with pytest.raises(RatchetError, match="model-v2: was withdrawn from production: errors"):
            rollback(yard, 17, yard.git.log(str(yard.git.branch("deploy")))[1].sha)

        assert promote(yard, 18, Wish("canary", "model-v2")).after.withdrawn == {}

    def test_the_next_release_does_not_undo_a_rollback(self, yard: Desk) -> None:
        """It comes into staging, and production stays where it was put back to."""
        stage(yard, 1, 10)
        promote(yard, 11, Wish("canary"))
        stage(yard, 2, 12)
        promote(yard, 13, Wish("blue-green"))
        back = rollback(yard, 14)

        stage(yard, 3, 15)

        assert branch.read(yard.client(), "production") == back.after
        assert promote(yard, 16, Wish("canary")).after.newcomer == arm(3)

    @pytest.mark.parametrize(
        ("act", "message"),
        [
            (lambda yard: promote(yard, 20, Wish("canary")), "staging: nothing runs there"),
            (
                lambda yard: promote(yard, 20, Wish("canary", "model-v9")),
                "--release model-v9: is not in the ledger; the newest releases there: model-v1, model-v2, model-v3",
            ),
            (lambda yard: promote(yard, 20, Wish("canary", "../x")), "--release ../x: is not in the ledger"),
            (lambda yard: promote(yard, 20, Wish("canary", "model-v4")), "model-v4: was released without an image"),
            (lambda yard: promote(yard, 20, Wish("canary", "model-v1", 100)), "--share 100: is percent, 1 to 99"),
            (lambda yard: rollback(yard, 20), "production: nothing runs there, so there is nothing to go back to"),
        ],
    )
    def test_what_cannot_be_is_refused(self, yard: Desk, act: Callable[[Desk], Any], message: str) -> None:
        """In words; the branch and the ledger stay as they are."""
        released(yard.client(), 4, image=False)

        with pytest.raises(RatchetError) as refused:
            act(yard)

        assert str(refused.value).startswith(message)
        assert yard.git.branch("deploy") is None
        assert moves(yard) == []

    def test_a_state_that_was_tampered_with_is_refused(self, yard: Desk) -> None:
        """Nothing is built upon it."""
        stage(yard, 1, 10)
        yard.commit("deploy", {"staging/state.json": render(alone(2))})

        with pytest.raises(RatchetError, match=r"deploy:staging/state\.json: is of production"):
            stage(yard, 2, 11)


class TestHistory:
    """The states an environment was in."""

    def test_it_is_that_of_the_environment(self, yard: Desk) -> None:
        """Newest first, with the commit and its time; moves of the other environment do not count."""
        sha = stage(yard, 1, 10)
        promote(yard, 11, Wish("canary"))
        later = stage(yard, 2, 12)

        found = list(branch.history(yard.client(), "staging"))

        assert [(moment.sha, moment.state.answering) for moment in found] == [(later, arm(2)), (sha, arm(1))]
        assert all(moment.at.endswith("Z") and moment.at.startswith("20") for moment in found)

    def test_there_is_none_before_the_first_move(self, yard: Desk) -> None:
        """Neither a branch nor a state."""
        assert list(branch.history(yard.client(), "staging")) == []
        assert branch.read(yard.client(), "production") is None


class TestPreview:
    """What `ratchet deploy plan` prints."""

    def test_it_shows_every_file_that_would_change(self, yard: Desk, root: Path) -> None:
        """And changes nothing."""
        stage(yard, 1, 10, root)
        promote(yard, 11, Wish("canary"), root)
        head = yard.git.branch("deploy")
        client = yard.client()

        plan = branch.preview(client, "production", Wish("ab", "model-v2"), root)

        assert plan.told == "production: model-v1 100 % → model-v1 50 %, model-v2 50 %"
        assert (plan.release, plan.seen) == ("model-v2", head)
        assert [line for line in plan.diff.splitlines() if line.startswith("+++")] == [
            "+++ b/production/arms.json",
            "+++ b/production/compose.env",
            "+++ b/production/kubernetes/kustomization.yaml",
            "+++ b/production/kubernetes/routes.yaml",
            "+++ b/production/state.json",
            "+++ b/production/traefik.yaml",
        ]
        assert '-  "share": 0,\n+  "share": 50,\n' in plan.diff
        assert f"+GREEN_IMAGE={arm(2).image}\n" in plan.diff
        assert yard.git.branch("deploy") == head

    def test_it_is_what_the_promotion_then_does(self, yard: Desk, root: Path) -> None:
        """Also where nothing runs yet; a token that reads is enough."""
        stage(yard, 1, 10, root)
        reader = yard.client(yard.server.token("eve", role="read"))

        plan = branch.preview(reader, "production", Wish("canary"), root)
        moved = promote(yard, 11, Wish("canary"), root)

        assert plan.told == moved.told() == "production: nothing → model-v1 100 %"
        assert "+++ b/production/state.json\n" in plan.diff

    def test_what_runs_comes_before_mains_copies(self, yard: Desk, root: Path) -> None:
        """Of a long diff the summary of a job shows the beginning; before there is a branch, too."""
        plan = branch.preview(yard.client(), "production", Wish("canary", "model-v1"), root)

        paths = [line[6:] for line in plan.diff.splitlines() if line.startswith("+++")]
        assert (paths[0], paths[-1]) == ("production/arms.json", "traefik/traefik.yaml")
        assert (plan.release, plan.seen) == ("model-v1", branch.NOTHING)

    def test_nothing_to_change_is_said(self, yard: Desk) -> None:
        """Without a diff."""
        stage(yard, 1, 10)
        promote(yard, 11, Wish("canary"))

        plan = branch.preview(yard.client(), "production", Wish("canary"))

        assert (plan.told, plan.diff) == ("production: model-v1 100 %: is so already, nothing changes", "")


class TestSeen:
    """What was approved is what happens, or nothing does."""

    def test_what_was_planned_happens_whatever_staging_does_meanwhile(self, yard: Desk) -> None:
        """The release was named by the plan, and another one in staging is no reason to look again."""
        stage(yard, 1, 10)
        promote(yard, 11, Wish("canary"))
        stage(yard, 2, 12)
        plan = branch.preview(yard.client(), "production", Wish("canary"))
        stage(yard, 3, 13)

        moved = promote(yard, 14, Wish("canary", plan.release, seen=plan.seen))

        assert moved.told() == plan.told == "production: model-v1 100 % → model-v1 90 %, model-v2 10 %"

    def test_another_state_is_refused(self, yard: Desk) -> None:
        """Nothing ran there when it was planned, or something else did; the branch stays as it is."""
        nothing = branch.preview(yard.client(), "production", Wish("canary", "model-v1"))
        promote(yard, 11, Wish("canary", "model-v1"))
        with pytest.raises(RatchetError, match="has changed since this was planned: nothing → model-v1 100 %"):
            promote(yard, 12, Wish("canary", "model-v1", seen=nothing.seen))
        plan = branch.preview(yard.client(), "production", Wish("canary", "model-v3"))
        moved = promote(yard, 13, Wish("canary", "model-v2"))

        with pytest.raises(RatchetError) as refused:
            promote(yard, 14, Wish("canary", plan.release, seen=plan.seen))

        assert str(refused.value) == (
            "production: has changed since this was planned: model-v1 100 % → model-v1 90 %, model-v2 10 %\n"
            "what was approved is not what would happen; nothing is changed: start a new run"
        )
        assert yard.git.branch("deploy") == moved.sha

    @pytest.mark.parametrize("environment", ["staging", "production"])
    def test_what_was_withdrawn_meanwhile_is_refused(self, yard: Desk, environment: branch.Environment) -> None:
        """In either environment, although it is named: it was named before."""
        stage(yard, 1, 10)
        promote(yard, 11, Wish("canary"))
        stage(yard, 2, 12)
        promote(yard, 13, Wish("canary"))
        plan = branch.preview(yard.client(), "production", Wish("blue-green"))
        branch.rollback(yard.client(), environment, None, why(14, "errors"))

        with pytest.raises(RatchetError) as refused:
            promote(yard, 15, Wish("blue-green", plan.release, seen=plan.seen))

        assert str(refused.value).splitlines()[0] == (
            f"model-v2: was withdrawn from {environment} since this was planned: errors"
        )

    def test_what_had_been_withdrawn_before_comes_back(self, yard: Desk) -> None:
        """Whoever approved it could see that."""
        stage(yard, 1, 10)
        promote(yard, 11, Wish("canary"))
        promote(yard, 12, Wish("canary", "model-v2"))
        rollback(yard, 13)
        plan = branch.preview(yard.client(), "production", Wish("canary", "model-v2"))

        assert promote(yard, 14, Wish("canary", plan.release, seen=plan.seen)).after.newcomer == arm(2)

    def test_a_rerun_of_what_was_done_is_not_refused(self, yard: Desk) -> None:
        """It has changed the state itself."""
        stage(yard, 1, 10)
        plan = branch.preview(yard.client(), "production", Wish("canary"))
        first = promote(yard, 11, Wish("canary", plan.release, seen=plan.seen))

        assert promote(yard, 11, Wish("canary", plan.release, seen=plan.seen)).sha == first.sha


class TestBroken:
    """Runs that meet, end early, or are run again."""

    def test_two_at_once_end_one_after_the_other(self, yard: Desk) -> None:
        """Each is a commit and a record, and neither is lost."""
        stage(yard, 1, 10)
        promote(yard, 11, Wish("canary"))
        failed: list[BaseException] = []

        def one(run: int, number: int) -> None:
            try:
                promote(yard, run, Wish("canary", f"model-v{number}", run))
            except BaseException as error:  # told by the test itself
                failed.append(error)

        threads = [threading.Thread(target=one, args=(20 + number, number)) for number in (2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert failed == []
        assert sorted(commits(yard)[2:]) == [
            "promotion in production: model-v2, run 22",
            "promotion in production: model-v3, run 23",
        ]
        assert [entry["run"] for entry in moves(yard)] == [10, 11, 22, 23]
        last = commits(yard)[-1]
        state = branch.read(yard.client(), "production")
        assert state is not None
        assert f"promotion in production: {state.newcomer.release}, run {20 + int(state.newcomer.release[-1])}" == last

    def test_a_run_that_ended_before_its_record_adds_it(self, yard: Desk) -> None:
        """Run again, it finds its commit, and does not go back once more."""
        stage(yard, 1, 10)
        promote(yard, 11, Wish("canary", "model-v1"))
        promote(yard, 12, Wish("blue-green", "model-v2"))
        third = promote(yard, 13, Wish("blue-green", "model-v3"))
        yard.fails("PATCH", f"/repos/{yard.name}/git/refs/heads/records", 500, times=99)
        with pytest.raises(RatchetError):
            rollback(yard, 14)
        yard.server.faults.clear()
        head = yard.git.branch("deploy")
        assert [entry["run"] for entry in moves(yard)] == [10, 11, 12, 13]

        back = rollback(yard, 14)

        assert back.sha == yard.git.branch("deploy") == head
        entry = moves(yard)[-1]
        assert (entry["run"], entry["tag"], entry["withdrawn"], entry["before_sha"]) == (
            14,
            "model-v2",
            "model-v3",
            third.sha,
        )

    def test_another_run_that_finds_it_done_adds_the_record(self, yard: Desk) -> None:
        """As a dispatched release.yml does."""
        sha = stage(yard, 1, 10)
        yard.fails("PATCH", f"/repos/{yard.name}/git/refs/heads/records", 500, times=99)
        with pytest.raises(RatchetError):
            stage(yard, 2, 11)
        yard.server.faults.clear()

        healed = stage(yard, 2, 12)

        entry = moves(yard)[-1]
        assert (entry["run"], entry["tag"], entry["deploy_sha"], entry["before_sha"]) == (12, "model-v2", healed, sha)
        assert len(commits(yard)) == 2

    def test_a_run_does_not_move_twice(self, yard: Desk) -> None:
        """Run again after others moved, it would have no place in the ledger: it is refused before it moves."""
        stage(yard, 1, 10)
        promote(yard, 11, Wish("canary", "model-v1"))
        promote(yard, 12, Wish("blue-green", "model-v2"))
        back = rollback(yard, 13)

        with pytest.raises(RatchetError, match="run 12: has moved production already, and others did since"):
            promote(yard, 12, Wish("blue-green", "model-v2"))

        assert yard.git.branch("deploy") == back.sha

    def test_a_reason_cannot_pass_for_a_rollback(self, yard: Desk) -> None:
        """Whatever lines it has."""
        stage(yard, 1, 10)
        forged = Why("ada", f"well\n\nRestored: {'0' * 40}", 11)
        yard.fails("PATCH", f"/repos/{yard.name}/git/refs/heads/records", 500, times=99)
        with pytest.raises(RatchetError):
            branch.promote(yard.client(), "production", Wish("canary"), forged)
        yard.server.faults.clear()

        branch.promote(yard.client(), "production", Wish("canary"), forged)

        assert moves(yard)[-1]["kind"] == "promotion"

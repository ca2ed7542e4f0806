"""Main's code, policy and labels judge what a pull request brings as data; whatever is wrong with it is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import evidence_example
from evidence_example import evidence_of, lock_of, params_of, repository_of, told
from forge_example import desk
from judge_example import GOOD, WEAK, Court
from ratchet import bundle, files, judge, ledger, params
from ratchet.errors import RatchetError
from rehearsal.forge import Forge as Server
from rehearsal.forge import Run as ServerRun
from rehearsal.project import PARAMS

pytestmark = pytest.mark.xdist_group("outputs")


@pytest.fixture
def court(forge: Server, two_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Court]:
    """A new repository; the judge stands in an empty folder, so that it reads everything through the API."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    made = desk(forge)
    made.commit("main", repository_of(two_models / "weak", WEAK), "The weak model")
    yield Court(made, two_models, tmp_path)
    forge.faults.clear()


class TestChangedJudges:
    """What of the judge a proposal touches."""

    POLICY = params.parse(PARAMS.read_bytes())

    def changed(self, *paths: str, **values: Any) -> list[str]:
        """Of a proposal that changes these files and parameters."""
        content = yaml.safe_load(PARAMS.read_text())
        for key, value in values.items():
            *sections, last = key.split("__")
            place = content
            for section in sections:
                place = place[section]
            place[last] = value
        base = dict.fromkeys(paths, 1)
        return judge.changed_judges(base, dict.fromkeys(paths, 2), self.POLICY, params.Params.model_validate(content))

    @pytest.mark.parametrize(
        "path",
        [
            "src/ratchet/gate.py",
            "pipelines/train.py",
            "revisions.json",
            ".github/workflows/ci.yml",
            ".dvc/config",
            ".dvcignore",
            "dvc.yaml",
            "src/flights/data/schema.py",
            "src/flights/expectations/slices.py",
            "src/flights/data/source.py",
            "src/flights/expectations/behaviour.py",
            "src/flights/__init__.py",
            "src/flights/model.py",
            "src/flights/model",
            "src/flights/model/.dvcignore",
            "src/flights/model/fast.cpython-311-x86_64-linux-gnu.so",
            "src/flights/model/__pycache__/features.cpython-311.pyc",
            "src/flights/model/__pycache__/more.py",
            "src/flights/card.yaml/more.py",
            "src/ratchet/model/features.py",
        ],
    )
    def test_these_files_judge(self, path: str) -> None:
        """Changed, new or gone."""
        assert self.changed(path) == [path]
        assert judge.changed_judges({}, {path: 1}, self.POLICY, self.POLICY) == [path]
        assert judge.changed_judges({path: 1}, {}, self.POLICY, self.POLICY) == [path]
        assert judge.changed_judges({path: 1}, {path: 1}, self.POLICY, self.POLICY) == []

    @pytest.mark.parametrize(
        "path",
        [
            "README.md",
            "docs/security.md",
            "src/flights/card.yaml",
            "src/flights/model/estimator.py",
            "src/flights/model/features.py",
            "src/flights/model/tools/helper.py",
        ],
    )
    def test_these_do_not(self, path: str) -> None:
        """They are what is proposed."""
        assert self.changed(path) == []

    @pytest.mark.parametrize(
        ("change", "key"),
        [
            ({"gate__delta": 0.0}, "gate.delta"),
            ({"gate__metric": "brier"}, "gate.metric"),
            ({"data__holdout": 2}, "data.holdout"),
            ({"data__checks__nulls": 1.0}, "data.checks.nulls"),
            ({"problem": "coins"}, "problem"),
        ],
    )
    def test_these_parameters_judge(self, change: dict[str, Any], key: str) -> None:
        """The policy, the holdout, the checks, and which problem it is."""
        assert self.changed(**change) == [f"params.yaml: {key}"]

    def test_these_parameters_do_not(self) -> None:
        """More data, and another model."""
        assert self.changed(model={"anything": 1}, train__folds=5) == []
        assert self.changed(data__periods=[f"2013-0{month}" for month in range(1, 8)]) == []

    def test_a_holdout_that_ends_earlier_judges(self) -> None:
        """Whoever is judged does not choose the month."""
        assert self.changed(data__periods=["2013-01", "2013-02", "2013-03"]) == [
            "params.yaml: data.periods (ends earlier)"
        ]

    def test_parameters_that_cannot_be_read_are_a_change(self) -> None:
        """Nobody can say which."""
        assert judge.changed_judges({"dvc.yaml": 1}, {}, self.POLICY, None) == ["dvc.yaml", "params.yaml"]


def test_a_holdout_is_named_by_its_periods_and_their_rows() -> None:
    """In whatever order; another row is another holdout."""
    name = judge.holdout_digest({"2013-03": "a", "2013-04": "b"})

    assert len(name) == 64
    assert judge.holdout_digest({"2013-04": "b", "2013-03": "a"}) == name
    assert judge.holdout_digest({"2013-03": "a"}) != name
    assert judge.holdout_digest({"2013-03": "a", "2013-04": "c"}) != name
    assert judge.holdout_digest({"2013-03": "a", "2013-05": "b"}) != name


class TestUnchanged:
    """Main's lock fits what is proposed."""

    def test_words_change_no_model(self, court: Court) -> None:
        """No evidence is looked at: what the run says does not matter."""
        run = court.propose({"README.md": "# Other words\n"})
        court.upload(run, told(court.scratch / "evidence", "failed", failure={"stage": None, "log": ""}))

        found = court.judge(run)

        assert (found["outcome"], found["lock"], found["judge_changed"]) == ("unchanged", None, [])
        assert (found["verdicts"], found["artifact"], found["model_digest"]) == ([], None, None)
        assert found["head"]["sha"] == run.head_sha
        assert not (court.out / "card.html").exists()

    def test_a_lock_that_lies_is_replaced_by_mains(self, court: Court) -> None:
        """The head's own says something else of a live stage."""
        lie = court.good_lock
        run = court.propose({"dvc.lock": lie})
        court.desk.server.close_run(run, "success")

        found = court.judge(run)

        assert found["outcome"] == "unchanged"
        assert found["lock"] == repository_of(court.outputs / "weak", WEAK)["dvc.lock"]

    def test_a_lock_that_is_gone_is_brought_back(self, court: Court) -> None:
        """Or is no lock at all."""
        run = court.propose({"dvc.lock": "\n"})
        court.desk.server.close_run(run, "success")

        assert court.judge(run)["lock"] is not None

    @pytest.mark.parametrize(
        "more",
        ["  ingest@2013-04:\n    cmd: forged\n", "  export: &x\n    cmd: python make.py\n"],
        ids=["a stage that will be live one day", "a key that stands twice"],
    )
    def test_a_lock_with_something_smuggled_in_is_replaced(self, court: Court, more: str) -> None:
        """The lock digest does not see stages that are not live, and the last of two equal keys is not the first."""
        honest = repository_of(court.outputs / "weak", WEAK)["dvc.lock"]
        text = honest.replace("stages:\n", f"stages:\n{more}")
        run = court.propose({"dvc.lock": text})
        court.desk.server.close_run(run, "success")

        found = court.judge(run)

        assert found["outcome"] == "unchanged"
        assert found["lock"] == honest

    def test_a_judge_that_is_changed_is_named(self, court: Court) -> None:
        """Paths, and keys of the policy."""
        given = params_of(court.outputs / "weak", WEAK)
        given["gate"]["delta"] = 0.5
        run = court.propose({"pipelines/train.py": "pass\n", "params.yaml": yaml.safe_dump(given)})
        court.desk.server.close_run(run, "success")

        found = court.judge(run)

        assert found["outcome"] == "unchanged"
        assert found["judge_changed"] == ["pipelines/train.py", "params.yaml: gate.delta"]
        assert found["params"] == [["gate.delta", 0.001, 0.5]]

    def test_rows_that_are_taken_in_are_counted(self, court: Court) -> None:
        """Beside the file that says so, a line for each period; a file that is none is named all the same."""
        rows = {"before": 620, "after": 621, "added": 1, "removed": 0, "changed": 7}
        entry = {"was": "a" * 32, "now": "b" * 32, "rows": rows}
        run = court.propose({"revisions.json": json.dumps({"2013-01": entry})})
        court.desk.server.close_run(run, "success")

        assert court.judge(run)["judge_changed"] == [
            "revisions.json",
            "revisions.json: 2013-01: 1 rows added, 0 removed, 7 changed; 620 before, 621 after",
        ]


class TestFailed:
    """The run did not get as far as a model."""

    def test_a_stage_that_failed_is_named_with_its_log(self, court: Court) -> None:
        """The reason is one sentence; the log stands beside it."""
        run = court.propose_good()
        failure = {"stage": "train", "log": "Traceback\nKilled"}
        folder = told(court.scratch / "evidence", "failed", head_sha=run.head_sha, failure=failure)
        court.upload(run, folder, "failure")

        found = court.judge(run)

        assert (found["outcome"], found["reason"], found["log"]) == (
            "failed",
            "Stage train failed.",
            "Traceback\nKilled",
        )

    def test_a_run_that_left_nothing_is_told(self, court: Court) -> None:
        """It ended before the upload."""
        run = court.propose_good()
        court.desk.server.close_run(run, "failure")

        found = court.judge(run)

        assert (found["outcome"], found["artifact"]) == ("failed", None)
        assert found["reason"].startswith("The run ended as a failure without leaving any evidence")

    def test_evidence_of_a_run_that_failed_after_it_does_not_count(self, court: Court) -> None:
        """The job ended badly, whatever it has uploaded."""
        run = court.propose_good()
        court.hand_in(run, conclusion="failure")

        found = court.judge(run)

        assert (found["outcome"], found["reason"]) == ("failed", "The run ended as failure.")

    def test_evidence_of_an_older_attempt_does_not_count(self, court: Court) -> None:
        """This attempt has left none."""
        run = court.propose_good()
        court.hand_in(run)
        artifact = court.desk.server.artifact(run, "evidence")
        assert artifact is not None
        with court.desk.server.changing():
            artifact.created_at = "2020-01-01T00:00:00Z"

        assert court.judge(run)["outcome"] == "failed"


class TestRejected:
    """The evidence, the lock or the parameters are not what they must be."""

    def rejected(self, court: Court, run: ServerRun, reason: str) -> None:
        """The judgement says so, in one sentence, and holds nothing of it."""
        found = court.judge(run)
        assert found["outcome"] == "rejected"
        assert reason in found["reason"]
        assert (found["verdicts"], found["lock"], found["model_digest"]) == ([], None, None)

    def test_evidence_about_another_commit(self, court: Court) -> None:
        """A run that hands in what another one made."""
        run = court.propose_good()
        court.hand_in(run, head_sha="a" * 40)
        self.rejected(court, run, "The evidence is about commit aaaaaaaaaaaa, not about this one.")

    def test_a_run_that_says_that_nothing_changed(self, court: Court) -> None:
        """Main's lock says otherwise."""
        run = court.propose_good()
        court.upload(run, told(court.scratch / "evidence", "unchanged", head_sha=run.head_sha))
        self.rejected(court, run, "The run says that nothing changed, but main's dvc.lock does not fit")

    def test_a_lock_that_does_not_fit_the_parameters(self, court: Court) -> None:
        """It was made with others."""
        run = court.propose_good()
        given = params_of(court.outputs / "good", GOOD)
        given["train"]["folds"] = 9
        court.hand_in(run, lock_of(court.outputs / "good", given))
        self.rejected(court, run, "The run's dvc.lock does not fit: export: train is not what params.yaml says")

    def test_a_lock_with_a_stage_that_nobody_knows(self, court: Court) -> None:
        """It would lie in wait on main."""
        run = court.propose_good()
        court.hand_in(run, court.good_lock + "  ingest@2013-09:\n    cmd: forged\n    outs: []\n")
        self.rejected(court, run, "entries of stages that nobody knows: ingest@2013-09")

    def test_a_file_that_is_not_what_its_manifest_names(self, court: Court) -> None:
        """Somebody touched the scores."""
        run = court.propose_good()
        folder = evidence_of(court.outputs / "good", court.good_lock, court.scratch / "evidence", head_sha=run.head_sha)
        (folder / "metrics.json").write_text("{}")
        court.upload(run, folder)
        self.rejected(court, run, "metrics.json is not the file that manifest.json names")

    def test_scores_of_other_rows_than_mains(self, court: Court) -> None:
        """Main's code ingests the month anew, and asks for every key once."""
        run = court.propose_good()
        folder = evidence_of(court.outputs / "good", court.good_lock, court.scratch / "evidence", head_sha=run.head_sha)
        table = files.read_parquet(folder / "scores/challenger.parquet")
        files.write_parquet(folder / "scores/challenger.parquet", table.iloc[1:])
        court.upload(run, evidence_example.summed(folder))
        self.rejected(court, run, "In the evidence, scores")

    def test_parameters_that_are_none(self, court: Court) -> None:
        """A typo in a key; what judges is changed as far as anyone can tell."""
        run = court.propose({"params.yaml": "problm: coins\n"})
        court.hand_in(run)
        found = court.judge(run)
        assert found["outcome"] == "rejected"
        assert "params.yaml" in found["reason"]
        assert found["judge_changed"] == ["params.yaml"]

    def test_a_pipeline_that_cannot_be_read(self, court: Court) -> None:
        """Nothing of it runs."""
        run = court.propose({"dvc.yaml": "stages: {export: {cmd: [}}\n"})
        court.hand_in(run)
        self.rejected(court, run, "dvc.yaml")

    def test_a_value_that_is_very_long_does_not_stop_the_judge(self, court: Court) -> None:
        """A judgement is bounded, and says what is wrong all the same."""
        given = params_of(court.outputs / "weak", WEAK)
        given["model"]["note"] = "x" * 5000
        run = court.propose({"params.yaml": yaml.safe_dump(given)})
        court.desk.server.close_run(run, "failure")

        assert court.judge(run)["outcome"] == "failed"

    def test_github_that_fails_is_no_fault_of_the_proposal(self, court: Court) -> None:
        """The judge fails, so that it is run again; nothing is said about the evidence."""
        run = court.propose_good()
        court.hand_in(run)
        court.desk.fails("GET", r"/artifacts/\d+/zip", 502, times=99)

        with pytest.raises(RatchetError, match="502"):
            judge.judge(court.desk.client(tries=2), run.id, 1, court.out)


class TestJudged:
    """Two models are compared."""

    def test_without_a_release_the_best_baseline_is_the_champion(self, court: Court) -> None:
        """Verdicts for ten looks, the pages, and all that the record needs."""
        run = court.propose_good()
        court.hand_in(run)

        found = court.judge(run)

        assert (found["outcome"], found["champion"], found["reason"]) == ("judged", None, "")
        assert [verdict["look"]["number"] for verdict in found["verdicts"]] == list(range(1, 11))
        assert found["verdicts"][0]["verdict"] == "promote"
        assert found["verdicts"][0]["champion"]["digest"].startswith("baseline:")
        assert found["model_digest"] == bundle.digest(court.outputs / "good" / "bundle")
        artifact = court.desk.server.artifact(run, "evidence")
        assert artifact is not None
        assert found["artifact"] == {"id": artifact.id, "digest": artifact.digest}
        assert found["lock"] == court.good_lock
        assert (found["run"]["id"], found["run"]["attempt"]) == (run.id, 1)
        assert found["head"] == {
            "sha": run.head_sha,
            "repository": court.desk.name,
            "branch": "change",
            "is_fork": False,
        }
        assert ["model.kind", "stump", "hist"] in found["params"]
        assert found["stages"] == [{"name": "export", "seconds": 4.1}]
        assert (court.out / "card.html").is_file()
        assert (court.out / "card.html").is_file()
        record = ledger.verdict(found, 1, ledger.now())
        assert record["lock_blob"] == ledger.blob_name(court.good_lock)

    def test_a_head_with_the_lock_needs_no_commit(self, court: Court) -> None:
        """The author brought the very lock."""
        run = court.propose_good(**{"dvc.lock": court.good_lock})
        court.hand_in(run)

        found = court.judge(run)

        assert (found["outcome"], found["lock"]) == ("judged", None)

    def test_the_released_champion_is_scored_here(self, court: Court) -> None:
        """By its own code, on the rows that main ingests; what was judged before counts as looks."""
        court.release("weak")
        run = court.propose_good()
        court.hand_in(run, champion=None)
        first = court.judge(run)
        assert first["champion"] == {
            "tag": "model-v1",
            "digest": bundle.digest(court.outputs / "weak" / "bundle"),
        }
        assert first["verdicts"][0]["verdict"] == "promote"
        assert first["sides"]["champion"]["bundle_bytes"] > 0

        other = {**first, "model_digest": "9" * 64, "pull_request": 99}
        ledger.Ledger(court.desk.client()).append(ledger.verdict(other, 1, ledger.now()))
        second = court.judge(run)

        assert (second["first_look"], second["verdicts"][0]["look"]["number"]) == (2, 2)
        assert second["holdout"] == first["holdout"]

    @pytest.mark.parametrize(("released", "outcome"), [("weak", "unchanged"), ("good", "judged")])
    def test_mains_own_model_is_judged_again_when_no_release_holds_it(
        self, court: Court, released: str, outcome: str
    ) -> None:
        """On a branch of ours that asks for it: beside the champion, although main's lock is that of the proposal."""
        run = self.again(court, released, "ada")

        found = court.judge(run)

        assert found["outcome"] == outcome
        assert found["lock"] is None
        assert (found["champion"] is None) == (outcome == "unchanged")

    def test_a_forks_branch_of_that_name_is_like_any_other(self, court: Court) -> None:
        """It changes nothing, so nothing is judged, and its own evidence is not looked at."""
        assert court.judge(self.again(court, "good", "bob"))["outcome"] == "unchanged"

    def again(self, court: Court, released: str, owner: str) -> ServerRun:
        """A run for a branch that changes nothing and calls itself `rejudge-…`, with main's model as its evidence."""
        court.release(released)
        name = court.desk.server.fork(court.desk.name, owner).full_name if owner != "ada" else court.desk.name
        sha = court.desk.commit("rejudge-0123456789ab", {}, name=name)
        prefix = "" if owner == "ada" else f"{owner}:"
        court.desk.client().create_pull("Once more", f"{prefix}rejudge-0123456789ab", "main")
        run = court.desk.run(head_sha=sha, head_branch="rejudge-0123456789ab", head_repository=name)
        given = params_of(court.outputs / "weak", WEAK)
        folder = evidence_of(
            court.outputs / "weak",
            lock_of(court.outputs / "weak", given),
            court.scratch / "evidence",
            head_sha=sha,
            model_digest=bundle.digest(court.outputs / "weak" / "bundle"),
        )
        court.upload(run, folder)
        return run

    def test_a_model_that_comes_out_the_same_is_not_judged_again(self, court: Court) -> None:
        """The pipeline ran, and made main's model: no look is spent."""
        given = params_of(court.outputs / "weak", WEAK)
        given["train"]["folds"] = 4
        run = court.propose({"params.yaml": yaml.safe_dump(given, sort_keys=False)})
        folder = court.scratch / "evidence"
        evidence_of(court.outputs / "weak", lock_of(court.outputs / "weak", given), folder, head_sha=run.head_sha)
        court.upload(run, folder)

        found = court.judge(run)

        assert (found["outcome"], found["verdicts"]) == ("same model", [])
        assert found["lock"] == lock_of(court.outputs / "weak", given)
        assert found["params"] == [["train.folds", 3, 4]]


class TestWhichRun:
    """A run belongs to a pull request, or to nobody."""

    def test_a_commit_that_is_no_head_any_more_is_not_judged(self, court: Court) -> None:
        """The newer one is."""
        run = court.propose({"README.md": "one\n"})
        court.desk.commit("change", {"README.md": "two\n"})
        court.desk.server.close_run(run, "success")

        assert judge.judge(court.desk.client(), run.id, 1, court.out) is None
        assert not court.out.exists()

    def test_a_head_that_only_got_the_lock_is_judged_again(self, court: Court) -> None:
        """The judged commit with its lock on top: running the verdict again must heal it, not shut it."""
        run = court.propose({"README.md": "one\n"})
        court.desk.commit("change", {"dvc.lock": court.good_lock})
        court.desk.server.close_run(run, "success")

        assert court.judge(run)["head"]["sha"] == run.head_sha

    @pytest.mark.parametrize("conclusion", ["cancelled", "timed_out"])
    def test_a_run_that_was_stopped_says_nothing_about_the_proposal(self, court: Court, conclusion: str) -> None:
        """There is nothing to judge."""
        run = court.propose({"README.md": "one\n"})
        court.desk.server.close_run(run, conclusion)

        assert judge.judge(court.desk.client(), run.id, 1, court.out) is None

    def test_a_run_of_another_workflow_is_refused(self, court: Court) -> None:
        """Names can be taken, paths cannot."""
        run = court.desk.run(".github/workflows/evil.yml")

        with pytest.raises(RatchetError, match=r"is attempt 1 of .github/workflows/evil.yml, not 1 of"):
            judge.judge(court.desk.client(), run.id, 1, court.out)

    def test_another_attempt_is_refused(self, court: Court) -> None:
        """Its evidence is not that of this one."""
        run = court.propose({"README.md": "one\n"})

        with pytest.raises(RatchetError, match="is attempt 1 of"):
            judge.judge(court.desk.client(), run.id, 2, court.out)

    def test_a_proposal_to_another_branch_is_not_judged(self, court: Court) -> None:
        """The policy is main's; a branch of one's own would bring a milder one, for the same commit."""
        court.desk.commit("mild", {"README.md": "mild\n"})
        sha = court.desk.commit("change", {"README.md": "one\n"})
        court.desk.client().create_pull("Try it", "change", "mild")
        run = court.desk.run(head_sha=sha, head_branch="change")
        court.desk.server.close_run(run, "success")

        assert judge.judge(court.desk.client(), run.id, 1, court.out) is None

    def test_a_fork_is_known_as_one(self, court: Court) -> None:
        """By its repository; its files are read as data like any other's."""
        run = court.propose({"README.md": "one\n"}, owner="bob")
        court.desk.server.close_run(run, "success")

        found = court.judge(run)

        assert found["head"]["is_fork"] is True
        assert found["outcome"] == "unchanged"

    def test_a_token_that_reads_is_enough(self, court: Court) -> None:
        """Nothing is written anywhere."""
        run = court.propose({"README.md": "one\n"})
        court.desk.server.close_run(run, "success")
        job = court.desk.job(actions="read", contents="read", pull_requests="read")

        assert judge.judge(job, run.id, 1, court.out) is not None
        assert court.desk.git.branch("records") is None

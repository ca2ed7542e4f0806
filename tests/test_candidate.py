"""What main's dvc.lock names: the first model that beats its baselines, then the judged bytes of a merge, no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from evidence_example import evidence_of, lock_of, params_of, repository_of
from forge_example import desk
from outputs_example import COINS
from ratchet import bundle, data, files, ledger, lock, release
from ratchet.errors import RatchetError
from ratchet.release import candidate as candidates
from ratchet.release import holdout
from ratchet.release.refusal import Refused
from rehearsal.forge import Forge as Server
from release_example import COPY, MODELS, Yard, git
from toy_coins.data import source

HEAD = {"repository": "ada/flights", "branch": "change", "is_fork": False}

pytestmark = pytest.mark.xdist_group("outputs")


@pytest.fixture
def yard(forge: Server, two_models: Path, tmp_path: Path) -> Iterator[Yard]:
    """A repository without a release."""
    yield Yard(desk(forge), two_models, tmp_path)
    forge.faults.clear()


@pytest.fixture
def merged(yard: Yard) -> Yard:
    """The weak model is released; main has the lock of the good one, whose verdict is to be told."""
    yard.main("weak")
    yard.released("weak")
    yard.main("good")
    return yard


def refused(yard: Yard) -> dict[str, str]:
    """What the refusal of a candidate says."""
    with pytest.raises(Refused) as caught:
        yard.candidate()
    assert not yard.folder.exists()
    caught.value.refusal.write(yard.scratch / "said")
    return dict(files.read_json(yard.scratch / "said" / "refusal.json"))


class TestFirst:
    """A repository without a release."""

    def test_its_model_is_made_here(self, yard: Yard) -> None:
        """By DVC; the lock that it made goes along, because main has none."""
        good = yard.outputs / "good"
        stage = f"    cmd: python make.py {good}\n    deps: [make.py]\n    outs: [data, model, bundle, evaluation]\n"
        given = repository_of(good, MODELS["good"]) | {
            "make.py": COPY,
            "dvc.yaml": f"stages:\n  export:\n{stage}",
            ".dvc/config": "[core]\n    analytics = false\n    autostage = false\n",
            ".dvc/.gitignore": "/cache\n/tmp\n",
        }
        del given["dvc.lock"]
        yard.desk.commit("main", given)
        yard.checkout()

        found = yard.candidate()

        assert (found.next, found.tag, found.model_digest) == ("ship", "model-v1", yard.digest("good"))
        assert (found.pull_request, found.verdict, found.artifact) == (None, None, None)
        assert found.lock_digest == lock.digest_of(yard.root)
        assert found.sha == yard.desk.git.branch("main")
        assert (yard.folder / "dvc.lock").read_bytes() == (yard.root / "dvc.lock").read_bytes()
        assert sorted(path.name for path in yard.folder.iterdir()) == [
            *("bundle", "candidate.json", "card.md", "dataset.json", "dvc.lock"),
            *("evaluation.json", "smoke.jsonl", "training.json"),
        ]
        assert bundle.load(yard.folder / "bundle").digest == yard.digest("good")
        assert candidates.Candidate.read(yard.folder) == found

    def test_a_stage_that_fails_is_told(self, yard: Yard) -> None:
        """DVC's own output says why."""
        yard.main("good", **{".dvc/config": "", "make.py": "raise SystemExit(1)\n"})

        with pytest.raises(RatchetError, match="dvc repro fails on main"):
            yard.candidate()


class TestNothing:
    """There is nothing to release."""

    def test_mains_lock_is_the_released_one(self, yard: Yard) -> None:
        """Words were merged."""
        yard.main("weak")
        yard.released("weak")
        yard.main("weak", **{"README.md": "# Words\n"})

        found = yard.candidate()

        assert (found.next, found.tag) == ("nothing", "model-v1")
        assert found.sentence == "main's lock is that of model-v1: nothing to release"
        assert [path.name for path in yard.folder.iterdir()] == ["candidate.json"]

    def test_the_model_came_out_the_same(self, yard: Yard) -> None:
        """Another lock for the same bundle."""
        yard.main("weak")
        yard.released("weak")
        given = params_of(yard.outputs / "weak", MODELS["weak"])
        given["train"]["folds"] = 4
        yard.desk.commit("main", {"dvc.lock": lock_of(yard.outputs / "weak", given)})
        yard.checkout()

        assert yard.candidate().sentence == "the model is that of model-v1: nothing to release"

    def test_a_pull_request_that_lacks_the_newest_release_is_something_to_finish(self, yard: Yard) -> None:
        """Its verdict is about an older champion; a fork's and Dependabot's are not ours to push to."""
        for branch, owner in (("trees", "ada"), ("dependabot/uv/numpy", "ada"), ("theirs", "bob")):
            yard.desk.pull(branch, owner)
        yard.main("weak")
        yard.released("weak")

        found = yard.candidate()

        assert found.next == "finish"
        assert found.sentence.endswith("nothing to release; pull request 1 is to be refreshed")


class TestMerge:
    """A merge brought a judged lock to main."""

    def test_the_judged_bytes_are_found(self, merged: Yard) -> None:
        """Bundle and figures of the artifact, where they come from, and the record by which they may ship."""
        verdict = merged.judged("good")

        found = merged.candidate()

        assert (found.next, found.tag, found.model_digest) == ("ship", "model-v2", merged.digest("good"))
        assert (found.pull_request, found.verdict) == (12, ledger.path_of(verdict))
        assert (found.artifact, found.sentence) == (verdict["artifact"], "Promote: as it was found.")
        assert found.sha == merged.desk.git.branch("main")
        assert found.committed == int(git(merged.root, "show", "--no-patch", "--format=%ct", "HEAD"))
        good = merged.outputs / "good"
        for path in (good / "bundle").iterdir():
            assert (merged.folder / "bundle" / path.name).read_bytes() == path.read_bytes()
        for name, place in zip(release.FACTS, ("data", "evaluation", "model"), strict=True):
            assert (merged.folder / name).read_bytes() == (good / place / name).read_bytes()
        assert files.read_json(merged.folder / "verdict.json") == verdict
        assert "### Model details" in (merged.folder / "card.md").read_text()
        assert files.read_json(merged.folder / "candidate.json")["ships"] is True

    def test_a_hold_that_was_accepted_is_found(self, merged: Yard) -> None:
        """By the very verdict that was accepted."""
        verdict = merged.judged("good", "safe")
        assert refused(merged)["found"] == "hold in pull request 12"
        copied = ("head_sha", "model_digest", "lock_digest", "holdout")
        ledger.Ledger(merged.client).append(
            ledger.record(
                "acceptance",
                ledger.now(),
                pull_request=12,
                run=901,
                who="grace",
                reason="simpler",
                hold="safe",
                verdict=ledger.path_of(verdict),
                **{name: verdict[name] for name in copied},
            )
        )

        assert merged.candidate().ships

    def test_the_rows_for_the_smoke_test_are_those_that_were_judged(self, merged: Yard) -> None:
        """Ingested by main's code, as JSON carries them, with the judged score of each."""
        merged.judged("good")

        merged.candidate()

        lines = [json.loads(line) for line in (merged.folder / "smoke.jsonl").read_text().splitlines()]
        opened = bundle.load(merged.folder / "bundle")
        assert 100 <= len(lines) <= holdout.MOST
        assert {tuple(line["row"]) for line in lines} == {tuple(opened.schema["properties"])}
        assert (
            max(abs(opened.score_row(line["row"]) - line["score"]) for line in lines) < 1e-10
        )  # judged to 10 decimals

    @pytest.mark.parametrize("said", ["block", "cannot tell"])
    def test_a_verdict_that_let_nothing_pass_ships_nothing(self, merged: Yard, said: str) -> None:
        """Somebody merged it all the same."""
        merged.judged("good", said)

        told = refused(merged)

        assert told["cause"] == "main's dvc.lock was never judged to pass"
        assert told["remedy"].startswith("bring the model through a pull request")

    def test_a_lock_that_was_never_judged_ships_nothing(self, merged: Yard) -> None:
        """It was pushed to main; the refusal names it."""
        told = refused(merged)

        assert told["expected"] == f"a verdict that lets the lock {lock.digest_of(merged.root)[:12]}… pass"
        assert (told["found"], told["where"]) == ("none about it", "branch records")

    def test_a_stale_lock_ships_nothing(self, merged: Yard) -> None:
        """Of a conflict somebody kept their own lock, which was judged, and the other's parameters."""
        merged.judged("good")
        text = (merged.root / "params.yaml").read_text()
        merged.desk.commit("main", {"params.yaml": text.replace("2013-01", "2013-04")})
        merged.checkout()

        told = refused(merged)

        assert told["cause"] == "main's dvc.lock is not about what main holds"
        assert "is not what params.yaml says" in told["found"]
        assert (told["where"], told["remedy"][:16]) == ("dvc.lock", "run `dvc repro` ")

    def test_a_forks_own_verdict_ships_nothing(self, merged: Yard) -> None:
        """Its scores are its own: the adopted run's verdict counts."""
        merged.judged("good", head={"sha": "5eed" * 10, "repository": "bob/flights", "branch": "x", "is_fork": True})

        assert refused(merged)["found"] == "none about it"

    @pytest.mark.parametrize("how", ["expired", "deleted"])
    def test_an_artifact_that_is_gone_is_judged_again(self, merged: Yard, how: str) -> None:
        """After 90 days, or with its run; nothing is handed on but that."""
        verdict = merged.judged("good")
        lose(merged, verdict, how)

        found = merged.candidate()

        assert (found.next, found.pull_request, found.model_digest) == ("rejudge", 12, None)
        assert [path.name for path in merged.folder.iterdir()] == ["candidate.json"]

    def test_of_two_verdicts_the_one_whose_artifact_is_there_ships(self, merged: Yard) -> None:
        """The same lock was judged twice, and the newer artifact is gone."""
        older = merged.judged("good")
        lose(merged, merged.judged("good"), "deleted")

        assert merged.candidate().artifact == older["artifact"]

    def test_an_artifact_with_another_digest_is_refused(self, merged: Yard) -> None:
        """The record says which bytes were judged."""
        verdict = merged.judged("good")
        with merged.desk.server.changing() as state:
            for artifact in state.artifacts:
                if artifact.id == verdict["artifact"]["id"]:
                    artifact.digest = f"sha256:{'0' * 64}"

        told = refused(merged)

        assert told["cause"] == "the artifact is not the one that was judged"
        assert (told["expected"], told["found"]) == (verdict["artifact"]["digest"], f"sha256:{'0' * 64}")
        assert told["where"] == f"artifact {verdict['artifact']['id']} of run {verdict['run']}, pull request 12"

    def test_bytes_that_were_swapped_under_the_same_digest_are_refused(self, merged: Yard) -> None:
        """What is downloaded is hashed again."""
        verdict = merged.judged("good")
        artifact = next(a for a in merged.desk.server.state.artifacts if a.id == verdict["artifact"]["id"])
        with Path(artifact.path).open("ab") as file:
            file.write(b"more")

        told = refused(merged)

        assert told["expected"] == verdict["artifact"]["digest"]
        assert told["found"] == f"sha256:{files.sha256(Path(artifact.path))}"

    def test_an_artifact_that_holds_another_model_is_refused(self, merged: Yard) -> None:
        """The record names the model; its artifact holds the weak one."""
        merged.judged("weak", model_digest=merged.digest("good"))

        told = refused(merged)

        assert told["cause"] == "the model is not the one that was judged"
        assert (told["expected"], told["found"]) == (merged.digest("good"), merged.digest("weak"))

    def test_a_forged_artifact_of_the_same_name_is_not_looked_at(self, merged: Yard) -> None:
        """Another run uploads `evidence` with the weak model: the record names run and number."""
        verdict = merged.judged("good")
        run = merged.desk.run()
        given = params_of(merged.outputs / "weak", MODELS["weak"])
        forged = evidence_of(
            merged.outputs / "weak", lock_of(merged.outputs / "weak", given), merged.scratch / "forged"
        )
        merged.desk.server.store_artifact(run, "evidence", forged)

        found = merged.candidate()

        assert (found.model_digest, found.artifact) == (merged.digest("good"), verdict["artifact"])

    def test_code_that_the_repository_has_not_is_refused(self, merged: Yard) -> None:
        """The judged bundle holds it all the same; it would be imported beside a right to write packages."""
        merged.main("good", **{"src/ratchet/rows.py": "RESERVED = ()\n", "src/toy_coins/model/features.py": ""})
        verdict = merged.judged("good", head={**HEAD, "sha": str(merged.desk.git.branch("main"))})

        told = refused(merged)

        assert told["cause"] == "the bundle holds code that is not in the repository"
        assert told["expected"] == "what main or the judged commit has under src/"
        assert told["found"] == "ratchet/rows.py, and 1 more"
        assert told["where"] == f"artifact {verdict['artifact']['id']} of run {verdict['run']}, pull request 12"

    def test_code_that_main_has_changed_since_is_that_of_the_judged_commit(self, merged: Yard) -> None:
        """No stage reads it, so that nothing is judged again."""
        head = str(merged.desk.git.branch("main"))
        merged.main("good", **{"src/ratchet/rows.py": "RESERVED = ()\n"})
        merged.judged("good", head={**HEAD, "sha": head})

        assert merged.candidate().ships

    def test_a_figure_that_main_has_otherwise_is_refused(self, merged: Yard) -> None:
        """Main's dvc.lock says which dataset.json the stages read; the artifact holds another one."""
        content = yaml.safe_load((merged.root / "dvc.lock").read_text())
        content["stages"]["export"]["deps"] = [{"path": "data/dataset.json", "hash": "md5", "md5": "0" * 32}]
        merged.desk.commit("main", {"dvc.lock": yaml.safe_dump(content, sort_keys=False)})
        merged.checkout()
        merged.judged("good")

        told = refused(merged)

        assert told["cause"] == "the lock is not the one that was judged"

    def test_a_revised_source_is_refused(self, merged: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
        """Main's code no longer finds the rows on which the model was judged."""
        merged.judged("good")
        fetch = source.fetch
        monkeypatch.setattr(source, "fetch", lambda period: fetch(period).iloc[1:])

        told = refused(merged)

        assert told["cause"] == "the source of the data was revised"
        assert told["where"] == "period 2013-03"

    def test_an_older_lock_that_comes_back_ships_again(self, merged: Yard) -> None:
        """The newest release decides what serves: a merged way back must not be called released already."""
        merged.judged("good")
        merged.release()
        merged.main("weak")
        merged.judged("weak")

        assert merged.candidate().tag == "model-v3"


def lose(yard: Yard, verdict: dict[str, Any], how: str) -> None:
    """The artifact of a verdict expires, or goes with its run."""
    number = verdict["artifact"]["id"]
    with yard.desk.server.changing() as state:
        for artifact in state.artifacts:
            artifact.expired = artifact.expired or artifact.id == number
        if how == "deleted":
            state.artifacts = [artifact for artifact in state.artifacts if artifact.id != number]


class TestRows:
    """Rows for the smoke test."""

    def test_two_hundred_are_spread_over_the_holdout(self, two_models: Path) -> None:
        """From its first to its last day, in order of their key."""
        rows = data.load(
            files.read_json(two_models / "good/data/dataset.json"), "test", two_models / "good" / data.PERIODS
        )
        scores = files.read_parquet(two_models / "good/evaluation/scores.parquet")
        schema = bundle.load(two_models / "good/bundle").schema

        lines = holdout.lines(COINS, rows, scores, schema).splitlines()

        assert len(lines) == -(-len(scores) // -(-len(scores) // holdout.MOST))
        assert len(set(lines)) > 100

    def test_a_whole_number_that_may_be_missing_stays_whole(self, two_models: Path) -> None:
        """Pandas holds such a column as floats, which a strict service refuses."""
        rows = data.load(
            files.read_json(two_models / "good/data/dataset.json"), "test", two_models / "good" / data.PERIODS
        )
        scores = files.read_parquet(two_models / "good/evaluation/scores.parquet")
        schema = json.loads(json.dumps(bundle.load(two_models / "good/bundle").schema))
        name = next(n for n, rule in schema["properties"].items() if rule["type"] in ("number", ["number", "null"]))
        rows[name] = 3.0
        rows.loc[rows.index[0], name] = float("nan")
        schema["properties"][name]["type"] = ["integer", "null"]

        values = [json.loads(line)["row"][name] for line in holdout.lines(COINS, rows, scores, schema).splitlines()]

        assert {json.dumps(value) for value in values} <= {"3", "null"}
        assert "3" in {json.dumps(value) for value in values}

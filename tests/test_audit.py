"""The audit finds every link of a whole chain, names the one that is broken, and says what is gone with time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import audit_example
from audit_example import IMAGES, SENTENCE, Shop
from forge_example import server
from ratchet import audit, files, release
from ratchet.audit import Facts, Link
from ratchet.audit.facts import since
from ratchet.cli import cli
from ratchet.deploy.branch import Wish
from ratchet.errors import RatchetError

pytestmark = pytest.mark.xdist_group("audit")

CHAIN = [
    *("image", "record", "release", "files", "model", "smoke test", "commit", "pull request", "review", "verdict"),
    *("artifact", "lock", "data", "parameters", "code", "production", "staging"),
]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that its tests only read."""
    outputs = audit_example.models(tmp_path_factory.mktemp("outputs"))
    with server(tmp_path_factory.mktemp("forge")) as running:
        yield audit_example.shop(running, outputs, tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def facts(read: Shop) -> Facts:
    """What there is to know of the second release."""
    return audit.gather(read.client, "model-v2")


@pytest.fixture
def shop(read: Shop, tmp_path: Path) -> Iterator[Shop]:
    """A shop of one's own."""
    with audit_example.copied(read, tmp_path) as made:
        yield made


def links(found: Facts) -> dict[str, Link]:
    return {link.name: link for link in audit.examine(found)}


def broken(found: Facts) -> dict[str, str]:
    """The links that do not hold, and why."""
    return {link.name: link.sentence for link in audit.examine(found) if link.outcome == "broken"}


def edited(content: bytes, old: str, new: str) -> bytes:
    """The same with another text, which is there once."""
    assert content.count(old.encode()) == 1
    return content.replace(old.encode(), new.encode())


class TestChain:
    """What is told of a release whose every hash is right."""

    def test_a_whole_chain_is_complete(self, read: Shop, facts: Facts) -> None:
        """Image, release, who judged, who merged, on what data, from what code, and where it runs."""
        found = audit.examine(facts)

        assert [(link.name, link.outcome) for link in found] == [(name, "ok") for name in CHAIN]
        assert audit.complete(found)
        said = {link.name: link.sentence for link in found}
        assert said["image"] == (
            f"{IMAGES['model-v2']}, by record only: model-v2's names it, and nothing else ran as that"
        )
        assert said["files"] == "5 files, each with the SHA-256 that the record names"
        assert said["model"].startswith(read.digest("model-v2"))
        assert said["pull request"] == "1, 'A better model' by ada, merged by ada"
        assert said["review"] == "approved by bob"
        assert said["verdict"] == f"look 3, against model-v1: {SENTENCE}"
        assert said["lock"].startswith(read.record("model-v2")["lock_digest"])
        assert said["data"].startswith("trained on 2013-01 to 2013-02, tested on 2013-03; SHA-256 of the rows: 2013-01")
        assert said["parameters"] == "model, train of params.yaml are those of dvc.lock and bundle"
        assert said["production"].startswith("challenger with 10 % since 2")
        assert audit.told(found)[-1] == "the chain is complete"

    def test_the_first_release_says_that_nobody_judged_it(self, read: Shop) -> None:
        """It had to beat its baselines; there is no verdict, and that is no fault."""
        found = links(audit.gather(read.client, "model-v1"))

        assert audit.complete(list(found.values()))
        assert found["pull request"].sentence.startswith("none: the first release of the repository")
        assert {"review", "verdict", "artifact"}.isdisjoint(found)

    def test_a_release_that_was_taken_back_tells_its_whole_story(self, shop: Shop) -> None:
        """Challenger, champion, and gone: each with its times; the chain stays complete."""
        shop.deploy("production", Wish("all-at-once", "model-v2"), 21)
        shop.rollback(22, "log loss rises")

        found = links(audit.gather(shop.client, IMAGES["model-v2"]))

        spells = found["production"].sentence.split("; ")
        assert [spell[: spell.index(" 2")] for spell in spells] == ["challenger with 10 %", "champion"]
        assert " to " in spells[-1]
        assert audit.complete(list(found.values()))

    def test_who_let_it_in_is_told(self, facts: Facts) -> None:
        """Of each environment, where somebody was asked."""
        said: dict[str, Any] = {"production": {"approved_by": "bob"}, "staging": {}}
        moves = [{**move, **said[move["environment"]]} for move in facts.moves]

        found = {link.name: link.sentence for link in audit.examine(replace(facts, moves=moves))}

        assert found["production"].endswith("; approved by bob")
        assert "approved" not in found["staging"]

    def test_a_hold_is_told_with_who_accepted_it(self, facts: Facts) -> None:
        """And is broken when nobody has."""
        assert facts.judgement
        assert facts.judgement.record
        held = {**facts.judgement.record, "verdict": "hold", "hold": "safe"}
        accepted = {"who": "ada", "at": "2026-11-24T13:07:00Z", "reason": "Simpler."}
        assert facts.files
        kept = replace(facts.files, documents={**facts.files.documents, "verdict.json": json.dumps(held).encode()})
        passed = replace(facts, files=kept, judgement=replace(facts.judgement, record=held, acceptances=[accepted]))
        alone = replace(passed, judgement=replace(facts.judgement, record=held))

        assert links(passed)["acceptance"].sentence == "by ada on 2026-11-24 13:07 UTC: Simpler."
        assert broken(passed) == {}
        assert broken(alone) == {"verdict": f"hold, and nobody has accepted it: {SENTENCE}"}


class TestDigest:
    """What names a release."""

    @pytest.mark.parametrize(
        "name",
        [
            lambda shop: "model-v2",
            lambda shop: IMAGES["model-v2"],
            lambda shop: "sha256:22222222",
            lambda shop: "2" * 12,
            lambda shop: shop.digest("model-v2"),
            lambda shop: shop.digest("model-v2")[:8].upper(),
            lambda shop: shop.record("model-v2")["lock_digest"][:10],
        ],
    )
    def test_image_model_lock_and_tag_name_it(self, read: Shop, name: Callable[[Shop], str]) -> None:
        """Whole, or by the first eight digits."""
        listing = read.listing

        assert audit.find(listing.releases(), listing.moves(), name(read))["tag"] == "model-v2"

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ("3" * 64, "is of no release in the ledger"),
            ("2222222", "is no digest of at least 8 digits, and no tag of a release\nthe releases are model-v1"),
            ("model-v9", "is no digest of at least 8 digits"),
            ("", "is no digest of at least 8 digits"),
        ],
    )
    def test_what_names_nothing_is_said(self, read: Shop, wanted: str, said: str) -> None:
        """With the releases there are."""
        with pytest.raises(RatchetError) as told:
            audit.find(read.listing.releases(), read.listing.moves(), wanted)

        assert said in str(told.value)

    def test_a_digest_of_two_releases_is_not_guessed(self, read: Shop) -> None:
        """A model may be released again."""
        entry = read.record("model-v2")
        again = {**entry, "tag": "model-v3", "image": f"ghcr.io/ada/coins@sha256:{'4' * 64}"}

        with pytest.raises(RatchetError, match="is of model-v2 and model-v3\nname one of them"):
            audit.find([entry, again], [], entry["model_digest"])

    def test_an_image_that_ran_without_a_release_is_told(self, read: Shop) -> None:
        """The ledger knows where it ran, and nothing of where it came from."""
        moves = [{"tag": "model-v7", "image": f"ghcr.io/eve/coins@sha256:{'7' * 64}"}]

        with pytest.raises(RatchetError, match="ran as model-v7, and the ledger has no such release"):
            audit.find([read.record("model-v1")], moves, "7" * 12)


class TestTampered:
    """One thing is not as it was; the audit names it, and nothing else."""

    def test_an_exchanged_asset(self, shop: Shop) -> None:
        """Its SHA-256 is not the one in the record, whatever GitHub says of it."""
        _exchange(shop, "model-v2", "dataset.json", lambda path: path.write_text("{}"))

        found = broken(audit.gather(shop.client, "model-v2"))

        assert sorted(found) == ["data", "files"]
        assert found["files"].startswith("dataset.json has the SHA-256 44136fa355b3, and the record names ")
        assert found["data"] == "dataset.json of the release is not the one that dvc.lock names"

    def test_another_model_in_the_release(self, shop: Shop) -> None:
        """The bundle of the first release, put into the second."""
        _exchange(shop, "model-v2", "bundle.zip", lambda path: release.pack(shop.outputs / "stump/bundle", path))

        found = broken(audit.gather(shop.client, "model-v2"))

        assert set(found) == {"files", "model", "lock", "parameters"}
        assert found["model"].startswith(f"the bundle is model {shop.digest('model-v1')[:12]}, and the record names")

    def test_a_file_in_the_bundle(self, facts: Facts) -> None:
        """The manifest is right, and names another content."""
        assert facts.files
        model = {**facts.files.model, "schema.json": b"{}"}

        found = broken(replace(facts, files=replace(facts.files, model=model)))

        assert found["model"] == "schema.json in the bundle is not the file that the manifest names"
        assert set(found) == {"model", "lock"}

    def test_a_moved_tag(self, shop: Shop) -> None:
        """The tag leads to another commit than the one that was released."""
        first = shop.record("model-v1")["sha"]
        shop.desk.git.update_ref("refs/tags/model-v2", first)

        found = broken(audit.gather(shop.client, "model-v2"))

        assert set(found) == {"release"}
        assert found["release"].startswith(f"the tag model-v2 is at {first[:12]}, and was made at ")

    def test_a_deleted_release(self, shop: Shop) -> None:
        """Its bytes are gone, and so is what hangs on them."""
        with shop.desk.server.changing() as state:
            state.releases = [one for one in state.releases if one.repository != shop.desk.name]

        found = broken(audit.gather(shop.client, "model-v2"))

        assert found["release"] == "GitHub has no release model-v2"
        assert {"release", "files", "model", "data"} <= set(found)

    @pytest.mark.parametrize(
        ("path", "change", "link", "said"),
        [
            ("params.yaml", ("seed: 0", "seed: 1"), "parameters", "export: train is not what params.yaml says"),
            (
                "src/toy_coins/model/estimator.py",
                ("import", "import "),
                "code",
                "export: src/toy_coins is not the one that it read",
            ),
            ("dvc.yaml", ("export.py", "other.py"), "code", "export: its command is not the one in dvc.yaml"),
        ],
    )
    def test_another_tree(self, facts: Facts, path: str, change: tuple[str, str], link: str, said: str) -> None:
        """The commit's own files do not fit its lock: a parameter, the code, the pipeline."""
        assert facts.tree
        content = facts.tree[path].replace(change[0].encode(), change[1].encode(), 1)
        assert content != facts.tree[path]

        found = broken(replace(facts, tree={**facts.tree, path: content}))

        assert list(found) == [link]
        assert found[link].startswith(said)

    def test_another_lock(self, facts: Facts) -> None:
        """The lock digest is computed again."""
        assert facts.tree
        content = edited(facts.tree["dvc.lock"], "cmd: python export.py", "cmd: python other.py")

        found = broken(replace(facts, tree={**facts.tree, "dvc.lock": content}))

        assert set(found) == {"lock", "code"}
        assert found["lock"].endswith(f"and the record names {facts.record['lock_digest'][:12]}")

    @pytest.mark.parametrize(
        "content", [b"\xff", b"stages: [", b"stages: {export: {outs: [1]}}", b"stages: {export: 1}"]
    )
    def test_a_lock_that_cannot_be_read(self, facts: Facts, content: bytes) -> None:
        """Is one broken link, and no crash."""
        assert set(broken(replace(facts, tree={**(facts.tree or {}), "dvc.lock": content}))) == {"lock"}

    def test_a_commit_that_is_gone_or_elsewhere(self, facts: Facts) -> None:
        """Nothing of what it held can be checked, and a branch of its own is not main."""
        gone = broken(replace(facts, tree=None, is_on_main=False))
        aside = broken(replace(facts, is_on_main=False))

        assert gone["commit"].endswith("is not in the repository")
        assert gone["lock"] == "the commit has no dvc.lock; data, parameters and code hang on it"
        assert list(aside) == ["commit"]

    def test_a_pull_request_that_was_not_merged(self, facts: Facts) -> None:
        """Nor one that GitHub does not have, nor none at all for a later release."""
        assert facts.proposal
        apart = broken(replace(facts, proposal=replace(facts.proposal, is_merged_in=False)))
        none = broken(replace(facts, record={**facts.record, "pull_request": None, "verdict": None}, judgement=None))

        assert apart == {"pull request": "1 is not merged into the commit of the release"}
        assert broken(replace(facts, proposal=None)) == {"pull request": "GitHub has no pull request 1"}
        assert none["pull request"] == "none, and model-v2 is not the first release"

    def test_a_verdict_that_is_missing_or_about_something_else(self, facts: Facts) -> None:
        """The record's path alone proves nothing."""
        assert facts.judgement
        assert facts.judgement.record
        other = {**facts.judgement.record, "model_digest": "0" * 64}

        lost = broken(replace(facts, judgement=replace(facts.judgement, record=None)))
        strange = broken(replace(facts, judgement=replace(facts.judgement, record=other)))

        assert lost == {"verdict": f"the ledger has no {facts.record['verdict']}"}
        assert strange == {"verdict": f"{facts.record['verdict']} is about another model digest"}

    def test_an_image_that_the_record_does_not_name(self, facts: Facts) -> None:
        """Something ran by the name of the release."""
        strange = f"ghcr.io/eve/coins@sha256:{'e' * 64}"
        moves = [*facts.moves, {**facts.moves[-1], "tag": "model-v2", "image": strange}]

        assert broken(replace(facts, moves=moves))["image"] == (
            f"{strange} ran as model-v2, whose record names {IMAGES['model-v2']}"
        )

    def test_a_move_without_a_record(self, facts: Facts) -> None:
        """Somebody has put it there past the workflows; and a record of a commit that never was."""
        unseen = [move for move in facts.moves if (move["environment"], move["tag"]) != ("production", "model-v2")]
        ghost = {**facts.moves[-1], "deploy_sha": "f" * 40, "run": 99, "environment": "production", "tag": "model-v2"}

        silent, invented = broken(replace(facts, moves=unseen)), broken(replace(facts, moves=[*facts.moves, ghost]))

        assert silent["production"].startswith("no record says who moved it with commit ")
        assert invented["production"] == (
            "promotions/production-99.json names commit fffffff, which the branch deploy has not"
        )

    def test_no_older_state_is_read_than_the_release(self, facts: Facts) -> None:
        """Each is a request. Staging comes before the record, and is read all the same."""
        newest = facts.moments["staging"][0]
        staged = newest._replace(at="2026-01-02T00:00:00Z")
        empty = replace(newest.state, slots={"blue": newest.state.arms["blue"], "green": None}, champion="blue")
        before = staged._replace(at="2026-01-01T00:00:00Z", state=empty)
        asked = iter([newest, staged, before, before])

        kept = since(asked, {"tag": "model-v2", "at": "2026-01-03T00:00:00Z"})

        assert [moment.at for moment in kept] == [newest.at, staged.at]
        assert len(list(asked)) == 1


class TestArtifact:
    """What GitHub keeps for a while only."""

    @pytest.mark.parametrize("name", ["image", "model"])
    def test_a_smoke_test_of_something_else_is_broken(self, facts: Facts, name: str) -> None:
        """That the image holds the judged model is known because it was asked."""
        assert facts.files
        said = {**json.loads(facts.files.documents["smoke.json"]), name: "another"}
        documents = {**facts.files.documents, "smoke.json": json.dumps(said).encode()}

        found = broken(replace(facts, files=replace(facts.files, documents=documents)))

        assert found == {"smoke test": f"smoke.json is about another {name}: another"}

    def test_an_expired_artifact_is_gone_and_not_broken(self, shop: Shop) -> None:
        """Deleted is as gone as expired; the release has the bytes."""
        (artifact,) = [one for one in shop.desk.server.state.artifacts if one.repository == shop.desk.name]
        with shop.desk.server.changing():
            artifact.expired = True
        expired = audit.examine(audit.gather(shop.client, "model-v2"))
        with shop.desk.server.changing() as state:
            state.artifacts.remove(artifact)
        deleted = audit.examine(audit.gather(shop.client, "model-v2"))

        for found in (expired, deleted):
            assert [link.name for link in found if link.outcome == "gone"] == ["artifact"]
            assert audit.complete(found)
        assert audit.told(deleted)[-1] == "the chain is complete; 1 gone with time"

    def test_an_artifact_with_other_bytes_is_broken(self, facts: Facts) -> None:
        """By its digest, by the model in it, and by the number that the release names."""
        assert facts.judgement
        assert facts.judgement.artifact
        swapped = replace(facts.judgement.artifact, digest=f"sha256:{'0' * 64}")
        named = {**facts.record, "artifact": {"id": 1, "digest": f"sha256:{'0' * 64}"}}

        changed = broken(replace(facts, judgement=replace(facts.judgement, artifact=swapped, model=None)))
        other = broken(replace(facts, judgement=replace(facts.judgement, model="0" * 64)))

        assert f"is sha256:{'0' * 64} now, and was" in changed["artifact"]
        assert other["artifact"].endswith("holds model 000000000000")
        assert "the release names 1" in broken(replace(facts, record=named))["artifact"]


def test_code_that_the_bundle_runs_may_be_that_of_the_judged_commit(facts: Facts) -> None:
    """Main may have gone on since where the pipeline does not look; code that is in neither is told."""
    assert facts.judgement
    tree: dict[str, bytes] = {**(facts.tree or {}), "src/ratchet/errors.py": b"# later\n"}

    later = replace(facts, tree=tree, judgement=replace(facts.judgement, tree=facts.tree or {}))

    assert broken(later) == {}
    assert broken(replace(facts, tree=tree)) == {"code": "src/ratchet/errors.py is not what the bundle runs"}


def test_the_verb_prints_the_chain_and_ends_by_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 for a whole chain, 1 for a broken one."""
    variables: Mapping[str, str] = {
        "GITHUB_REPOSITORY": shop.desk.name,
        "GITHUB_API_URL": shop.desk.server.api,
        "GITHUB_SERVER_URL": shop.desk.server.url,
        "GITHUB_TOKEN": shop.desk.server.token("eve", role="read"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert _ends(["audit", shop.digest("model-v2")[:8]]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "the chain is complete"
    _exchange(shop, "model-v2", "release.json", lambda path: path.write_text('{"tag": "model-v1"}'))
    assert _ends(["audit", "model-v2"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line[:21].strip() for line in lines if line.startswith("BROKEN")] == ["BROKEN  record", "BROKEN  files"]
    assert lines[-1] == "2 of 17 links are broken"


def _ends(arguments: list[str]) -> Any:
    with pytest.raises(SystemExit) as ended:
        cli(arguments, prog_name="ratchet")
    return ended.value.code


def _exchange(shop: Shop, tag: str, name: str, write: Callable[[Path], object]) -> None:
    """Somebody with write access puts another file in the place of an asset."""
    with shop.desk.server.changing() as state:
        (found,) = [one for one in state.releases if (one.repository, one.tag) == (shop.desk.name, tag)]
        (asset,) = [one for one in found.assets if one.name == name]
        path = Path(asset.path)
        shutil.copy(path, path.with_suffix(".old"))
        write(path)
        asset.size = path.stat().st_size
        asset.digest = f"sha256:{files.sha256(path)}"

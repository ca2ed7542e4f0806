"""What becomes a release: the first model that beats its baselines, then the judged bytes of a merge, and no others."""

from __future__ import annotations

import stat
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import report_example
from evidence_example import evidence_of, lock_of, params_of, repository_of
from forge_example import Desk, desk, server
from outputs_example import build
from ratchet import bundle, ledger, lock, release
from ratchet.errors import RatchetError
from ratchet.forge import Forge
from rehearsal.forge import Forge as Server

pytestmark = pytest.mark.xdist_group("outputs")

RUN = 700
MODELS = {"weak": "stump", "good": "hist"}
WORDS = {"promote": None, "block": None, "safe": "safe", "cannot tell": "cannot tell"}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weak and a good model, tested on the same month."""
    root = tmp_path_factory.mktemp("outputs")
    build(root / "weak", ["2013-02", "2013-03"], MODELS["weak"])
    build(root / "good", ["2013-01", "2013-02", "2013-03"], MODELS["good"])
    return root


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A local forge."""
    with server(tmp_path_factory.mktemp("forge")) as running:
        yield running


@dataclass
class Yard:
    """A repository, and a checkout of its main where releases are made."""

    desk: Desk
    outputs: Path
    scratch: Path

    @property
    def client(self) -> Forge:
        """With the rights of the owner."""
        return self.desk.client(tries=2)

    @property
    def root(self) -> Path:
        """The checkout."""
        return self.scratch / "root"

    def main(self, name: str, **more: str) -> None:
        """Main holds the lock of one of the models, and is checked out."""
        self.desk.commit("main", {**repository_of(self.outputs / name, MODELS[name]), **more})
        self.checkout()

    def checkout(self) -> None:
        """As release.yml does."""
        if self.root.exists():
            git(self.root, "pull", "--quiet", "--ff-only")
        else:
            git(self.scratch, "clone", "--quiet", f"{self.desk.server.url}/{self.desk.name}.git", str(self.root))

    def released(self, name: str) -> None:
        """A model is released and recorded as model-v1, with the lock that main has now."""
        archive = self.scratch / "first" / "bundle.zip"
        archive.parent.mkdir()
        release.pack(self.outputs / name / "bundle", archive)
        sha = str(self.desk.git.branch("main"))
        self.client.create_release("model-v1", sha, "Model 1", "", [archive])
        ledger.Ledger(self.client).append(
            ledger.record(
                "release",
                ledger.now(),
                tag="model-v1",
                sha=sha,
                run=1,
                model_digest=self.digest(name),
                lock_digest=lock.digest_of(self.root),
                pull_request=None,
                verdict=None,
            )
        )

    def judged(self, name: str, said: str = "promote", **more: Any) -> dict[str, Any]:
        """A run has left a model as its evidence, and the ledger has a verdict about it, as about main's lock."""
        run = self.desk.run()
        given = params_of(self.outputs / name, MODELS[name])
        folder = self.scratch / f"evidence-{run.id}"
        artifact = self.desk.server.store_artifact(
            run, "evidence", evidence_of(self.outputs / name, lock_of(self.outputs / name, given), folder)
        )
        self.desk.server.close_run(run, "success")
        word = said if WORDS[said] is None else "hold"
        judgement = report_example.judgement(
            {
                **report_example.verdict(),
                "verdict": word,
                "hold": WORDS[said],
                "sentence": f"{said.capitalize()}: as it was found.",
            },
            run={"id": run.id, "attempt": 1, "url": ""},
            head={"sha": run.head_sha, "repository": self.desk.name, "branch": "change", "is_fork": False},
            artifact={"id": artifact.id, "digest": artifact.digest},
            model_digest=self.digest(name),
            lock_digest=lock.digest_of(self.root),
        )
        return ledger.Ledger(self.client).append(ledger.verdict({**judgement, **more}, 3, ledger.now()))

    def digest(self, name: str) -> str:
        """The model digest of one of the models."""
        return bundle.digest(self.outputs / name / "bundle")

    def release(self) -> str:
        """What release.yml does."""
        return release.release(self.client, RUN, self.root)

    def records(self) -> list[dict[str, Any]]:
        """The releases in the ledger, oldest first."""
        return ledger.Ledger(self.client).listing().releases()

    def tags(self) -> list[str]:
        """The releases that are published, oldest first."""
        return [found.tag for found in self.desk.server.releases(self.desk.name) if not found.draft]


def git(folder: Path, *arguments: str) -> str:
    """Run git."""
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def yard(forge: Server, outputs: Path, tmp_path: Path) -> Iterator[Yard]:
    """A repository without a release."""
    yield Yard(desk(forge), outputs, tmp_path)
    forge.faults.clear()


@pytest.fixture
def merged(yard: Yard) -> Yard:
    """The weak model is released; main has the lock of the good one, whose verdict is to be told."""
    yard.main("weak")
    yard.released("weak")
    yard.main("good")
    return yard


COPY = """import shutil, sys
for name in ("data", "model", "bundle", "evaluation"):
    shutil.copytree(f"{sys.argv[1]}/{name}", name, dirs_exist_ok=True)
"""


def test_the_first_model_is_made_here_and_released_with_its_lock(yard: Yard) -> None:
    """Trained by DVC, better than its baselines, its lock committed; a second run finds nothing to do."""
    good = yard.outputs / "good"
    outs = "data, model, bundle, evaluation"
    pipeline = f"stages:\n  export:\n    cmd: python make.py {good}\n    deps: [make.py]\n    outs: [{outs}]\n"
    files = repository_of(good, MODELS["good"]) | {
        "make.py": COPY,
        "dvc.yaml": pipeline,
        ".dvc/config": "[core]\n    analytics = false\n    autostage = false\n",
        ".dvc/.gitignore": "/cache\n/tmp\n",
    }
    del files["dvc.lock"]
    yard.desk.commit("main", files)
    yard.checkout()
    before = yard.desk.git.branch("main")

    said = yard.release()

    assert said.startswith("released model-v1: ")
    main = str(yard.desk.git.branch("main"))
    assert yard.desk.git.commit(main).parents == (before,)
    assert yard.desk.git.read(main, "dvc.lock") == (yard.root / "dvc.lock").read_bytes()
    (found,) = yard.desk.server.releases(yard.desk.name)
    assert [asset.name for asset in found.assets] == [
        "bundle.zip",
        "dataset.json",
        "evaluation.json",
        "training.json",
    ]
    assert yard.digest("good") in found.body
    (record,) = yard.records()
    assert (record["tag"], record["model_digest"], record["run"]) == ("model-v1", yard.digest("good"), RUN)
    assert (record["pull_request"], record["verdict"]) == (None, None)
    assert record["lock_digest"] == lock.digest_of(yard.root)

    git(yard.root, "checkout", "--quiet", "--", ".")
    (yard.root / "dvc.lock").unlink()
    yard.checkout()
    assert yard.release() == "main's lock is that of model-v1: nothing to release"
    assert yard.tags() == ["model-v1"]
    assert record["sha"] == main


def test_a_first_model_whose_stage_fails_is_not_released(yard: Yard) -> None:
    """DVC's own output says why."""
    yard.main("good", **{".dvc/config": "", "make.py": "raise SystemExit(1)\n"})

    with pytest.raises(RatchetError, match="dvc repro fails on main"):
        yard.release()

    assert (yard.tags(), yard.records()) == ([], [])


class TestNothing:
    """There is nothing to release."""

    def test_mains_lock_is_the_released_one(self, yard: Yard) -> None:
        """Words were merged."""
        yard.main("weak")
        yard.released("weak")
        yard.main("weak", **{"README.md": "# Words\n"})

        assert yard.release() == "main's lock is that of model-v1: nothing to release"

    def test_the_model_came_out_the_same(self, yard: Yard) -> None:
        """Another lock for the same bundle."""
        yard.main("weak")
        yard.released("weak")
        given = params_of(yard.outputs / "weak", MODELS["weak"])
        given["train"]["folds"] = 4
        yard.desk.commit("main", {"dvc.lock": lock_of(yard.outputs / "weak", given)})
        yard.checkout()

        assert yard.release() == "the model is that of model-v1: nothing to release"
        assert len(yard.records()) == 1

    def test_a_second_time_changes_nothing(self, merged: Yard) -> None:
        """The same run, or another one."""
        merged.judged("good")
        merged.release()

        assert merged.release() == "main's lock is that of model-v2: nothing to release"
        assert (merged.tags(), len(merged.records())) == (["model-v1", "model-v2"], 2)


class TestMerge:
    """A merge brought a judged lock to main."""

    def test_the_judged_bytes_are_released(self, merged: Yard, tmp_path: Path) -> None:
        """Bundle and figures of the artifact; the record names the verdict."""
        verdict = merged.judged("good")

        said = merged.release()

        assert said == "released model-v2: Promote: as it was found."
        record = merged.records()[-1]
        assert (record["tag"], record["sha"]) == ("model-v2", merged.desk.git.branch("main"))
        assert (record["model_digest"], record["pull_request"]) == (merged.digest("good"), 12)
        assert record["verdict"] == ledger.path_of(verdict)
        champion = release.fetch(merged.client, tmp_path / "champion", release.FACTS)
        assert champion is not None
        assert (champion.tag, bundle.digest(champion.folder)) == ("model-v2", merged.digest("good"))
        assert sorted(path.name for path in (tmp_path / "champion").iterdir()) == ["bundle", *release.FACTS]
        (published,) = (found for found in merged.client.releases() if found.tag == "model-v2")
        assert "Judged in #12." in published.body

    def test_a_hold_that_was_accepted_is_released(self, merged: Yard) -> None:
        """By the very verdict that was accepted."""
        verdict = merged.judged("good", "safe")
        with pytest.raises(RatchetError, match="no verdict in the ledger let it pass"):
            merged.release()
        ledger.Ledger(merged.client).append(
            ledger.record(
                "acceptance",
                ledger.now(),
                pull_request=12,
                head_sha=verdict["head_sha"],
                run=901,
                who="grace",
                reason="simpler",
                model_digest=verdict["model_digest"],
                lock_digest=verdict["lock_digest"],
                holdout=verdict["holdout"],
                hold="safe",
                verdict=ledger.path_of(verdict),
            )
        )

        assert merged.release().startswith("released model-v2")

    @pytest.mark.parametrize("said", ["block", "cannot tell"])
    def test_a_verdict_that_let_nothing_pass_releases_nothing(self, merged: Yard, said: str) -> None:
        """Somebody merged it all the same."""
        merged.judged("good", said)

        with pytest.raises(RatchetError, match="bring the model through a pull request"):
            merged.release()

        assert merged.tags() == ["model-v1"]

    def test_a_lock_that_was_never_judged_releases_nothing(self, merged: Yard) -> None:
        """It was pushed to main."""
        with pytest.raises(RatchetError, match=r"main's lock [0-9a-f]{12}: no verdict in the ledger"):
            merged.release()

    def test_a_forks_own_verdict_releases_nothing(self, merged: Yard) -> None:
        """Its scores are its own: the adopted run's verdict counts, and its artifact is released."""
        head = {"sha": "5eed" * 10, "repository": "bob/flights", "branch": "change", "is_fork": True}
        merged.judged("good", head=head)

        with pytest.raises(RatchetError, match="no verdict in the ledger let it pass"):
            merged.release()

    def test_an_artifact_that_is_gone_is_told(self, merged: Yard) -> None:
        """After 90 days, or deleted."""
        verdict = merged.judged("good")
        with merged.desk.server.changing() as state:
            for artifact in state.artifacts:
                artifact.expired = artifact.id == verdict["artifact"]["id"]
        with pytest.raises(RatchetError, match="pull request 12: its artifact is gone"):
            merged.release()

        with merged.desk.server.changing() as state:
            state.artifacts = [one for one in state.artifacts if one.id != verdict["artifact"]["id"]]
        with pytest.raises(RatchetError, match="pull request 12: its artifact is gone"):
            merged.release()

    def test_an_artifact_with_another_digest_is_refused(self, merged: Yard) -> None:
        """The record says which bytes were judged."""
        verdict = merged.judged("good")
        with merged.desk.server.changing() as state:
            for artifact in state.artifacts:
                if artifact.id == verdict["artifact"]["id"]:
                    artifact.digest = f"sha256:{'0' * 64}"

        with pytest.raises(RatchetError, match="is not the one that was judged; nothing is released"):
            merged.release()

    def test_bytes_that_were_swapped_under_the_same_digest_are_refused(self, merged: Yard) -> None:
        """The download is checked against the digest."""
        verdict = merged.judged("good")
        artifact = next(a for a in merged.desk.server.state.artifacts if a.id == verdict["artifact"]["id"])
        with Path(artifact.path).open("ab") as file:
            file.write(b"more")

        with pytest.raises(RatchetError, match=r"(?s)has the digest sha256:.*it is not used"):
            merged.release()

    def test_an_artifact_that_holds_another_model_is_refused(self, merged: Yard) -> None:
        """The record names the model; its artifact holds the weak one."""
        merged.judged("weak", model_digest=merged.digest("good"))

        with pytest.raises(RatchetError, match="holds another model than the one that was judged"):
            merged.release()

        assert merged.tags() == ["model-v1"]

    def test_an_older_lock_that_comes_back_is_released_again(self, merged: Yard) -> None:
        """The newest release decides what serves: a merged way back must not be called released already."""
        merged.judged("good")
        merged.release()
        merged.main("weak")
        merged.judged("weak")

        assert merged.release().startswith("released model-v3")


class TestCrash:
    """What a run has left half done, the next one finishes."""

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_a_draft_is_finished(self, merged: Yard, method: str) -> None:
        """Its files, or its publication, were missing; there is one release in the end."""
        merged.judged("good")
        merged.desk.fails(method, r"/releases(/\d+)?(/assets)?$", 502, times=99, skip=int(method == "POST"))
        with pytest.raises(RatchetError, match="502"):
            merged.release()
        assert merged.tags() == ["model-v1"]
        merged.desk.server.faults.clear()

        assert merged.release().startswith("released model-v2")

        assert [found.tag for found in merged.client.releases()] == ["model-v2", "model-v1"]
        assert [record["tag"] for record in merged.records()] == ["model-v1", "model-v2"]

    def test_a_release_without_a_record_gets_one(self, merged: Yard) -> None:
        """It was published, and then the run died."""
        verdict = merged.judged("good")
        merged.desk.fails("POST", r"/git/trees", 502, times=99)
        with pytest.raises(RatchetError, match="502"):
            merged.release()
        assert (merged.tags(), len(merged.records())) == (["model-v1", "model-v2"], 1)
        merged.desk.server.faults.clear()

        merged.release()

        record = merged.records()[-1]
        assert (record["tag"], record["sha"]) == ("model-v2", merged.desk.git.branch("main"))
        assert (record["model_digest"], record["lock_digest"]) == (merged.digest("good"), verdict["lock_digest"])
        assert (record["pull_request"], record["verdict"]) == (12, ledger.path_of(verdict))
        assert merged.tags() == ["model-v1", "model-v2"]

    def test_an_answer_that_is_lost_after_the_publication_is_no_error(self, merged: Yard) -> None:
        """The connection is cut when it is done."""
        merged.judged("good")
        merged.desk.fails("PATCH", r"/releases/\d+$", "cut")

        assert merged.release().startswith("released model-v2")
        assert merged.tags() == ["model-v1", "model-v2"]


class TestFetch:
    """The champion that is to be beaten."""

    def test_there_is_none_before_the_first_release(self, yard: Yard, tmp_path: Path) -> None:
        """And nothing is made."""
        assert release.fetch(yard.client, tmp_path / "champion") is None
        assert not (tmp_path / "champion").exists()

    def test_a_fact_that_the_release_lacks_is_left_out(self, merged: Yard, tmp_path: Path) -> None:
        """model-v1 came with its bundle alone."""
        champion = release.fetch(merged.client, tmp_path / "champion", release.FACTS)

        assert champion is not None
        assert champion.folder == tmp_path / "champion" / "bundle"
        assert [path.name for path in (tmp_path / "champion").iterdir()] == ["bundle"]

    def test_a_release_without_a_bundle_is_told(self, yard: Yard, tmp_path: Path) -> None:
        """With what to do."""
        yard.main("weak")
        yard.client.create_release("model-v1", str(yard.desk.git.branch("main")), "Model 1", "", [])

        with pytest.raises(RatchetError, match=r"release model-v1: has no bundle.zip"):
            release.fetch(yard.client, tmp_path / "champion")

    def test_a_release_of_something_else_is_no_champion(self, merged: Yard, tmp_path: Path) -> None:
        """People release code, too: the tags of models begin with model-v."""
        merged.client.create_release("v0.1.0", str(merged.desk.git.branch("main")), "The code", "", [])

        champion = release.fetch(merged.client, tmp_path / "champion")

        assert champion is not None
        assert champion.tag == "model-v1"

    def test_a_bundle_that_was_tampered_with_is_refused(self, yard: Yard, tmp_path: Path) -> None:
        """Its own manifest says what is in it."""
        yard.main("weak")
        folder = tmp_path / "bundle"
        folder.mkdir()
        for path in (yard.outputs / "weak" / "bundle").iterdir():
            (folder / path.name).write_bytes(path.read_bytes() + b" " * (path.name == "schema.json"))
        release.pack(folder, tmp_path / "bundle.zip")
        sha = str(yard.desk.git.branch("main"))
        yard.client.create_release("model-v1", sha, "Model 1", "", [tmp_path / "bundle.zip"])

        with pytest.raises(RatchetError, match=r"schema.json: is not the file its manifest names"):
            release.fetch(yard.client, tmp_path / "champion")


def zipped(path: Path, *members: tuple[str, bytes], **options: Any) -> Path:
    """A zip file with these members, whatever their names."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, body in members:
            archive.writestr(zipfile.ZipInfo(name), body, options.get("compression", zipfile.ZIP_STORED))
    return path


def encrypted(path: Path) -> Path:
    """A member that says it needs a password."""
    content = bytearray(zipped(path, ("a", b"secret")).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))
    return path


def torn(path: Path) -> Path:
    """A member whose compressed bytes are none."""
    content = bytearray(zipped(path, ("a", b"x" * 1000), compression=zipfile.ZIP_DEFLATED).read_bytes())
    content[31] = 0xFF
    content[32] = 0xFF
    path.write_bytes(bytes(content))
    return path


def unknown_method(path: Path) -> Path:
    """A member that is compressed in a way nobody knows."""
    content = bytearray(zipped(path, ("a", b"x")).read_bytes())
    content[8] = content[content.index(b"PK\x01\x02") + 10] = 99
    path.write_bytes(bytes(content))
    return path


class TestZip:
    """`pack` and `unpack`."""

    def test_equal_files_give_equal_bytes(self, tmp_path: Path) -> None:
        """Whatever the clock and the order of the folder; and come out as they went in."""
        for name, order in (("one", "ab"), ("two", "ba")):
            (tmp_path / name).mkdir()
            for letter in order:
                (tmp_path / name / letter).write_bytes(letter.encode() * 100)
            release.pack(tmp_path / name, tmp_path / f"{name}.zip")

        release.unpack(tmp_path / "one.zip", tmp_path / "out")

        assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
            "a": b"a" * 100,
            "b": b"b" * 100,
        }

    @pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/b", "folder/", "..", "."])
    def test_a_name_that_leads_elsewhere_is_refused(self, tmp_path: Path, name: str) -> None:
        """Nothing is left behind."""
        archive = zipped(tmp_path / "evil.zip", ("fine", b"1"), (name, b"2"))

        with pytest.raises(RatchetError, match=r"evil.zip: holds .*, which is no plain file name"):
            release.unpack(archive, tmp_path / "in" / "out")

        assert not (tmp_path / "in" / "out").exists()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.zip", "in"]

    def test_a_link_comes_out_as_a_file(self, tmp_path: Path) -> None:
        """It points nowhere."""
        with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
            entry = zipfile.ZipInfo("link")
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, "/etc/passwd")

        release.unpack(tmp_path / "link.zip", tmp_path / "out")

        assert not (tmp_path / "out" / "link").is_symlink()
        assert (tmp_path / "out" / "link").read_text() == "/etc/passwd"

    def test_more_than_a_bundle_may_hold_is_refused(self, tmp_path: Path) -> None:
        """Before anything is unpacked."""
        body = bytes(50_000_001)
        archive = zipped(tmp_path / "bomb.zip", *((name, body) for name in "abcd"), compression=zipfile.ZIP_DEFLATED)

        with pytest.raises(RatchetError, match=r"bomb.zip: holds more than 200 MB"):
            release.unpack(archive, tmp_path / "out")

    @pytest.mark.parametrize("make", [encrypted, torn, unknown_method], ids=lambda made: made.__name__)
    def test_a_member_that_cannot_be_read_is_told(self, tmp_path: Path, make: Callable[[Path], Path]) -> None:
        """No traceback, and nothing is left behind."""
        with pytest.raises(RatchetError, match=r"bad.zip: cannot be unpacked: "):
            release.unpack(make(tmp_path / "bad.zip"), tmp_path / "out")

        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"], ids=["empty", "text", "half"])
    def test_what_is_no_zip_is_told(self, tmp_path: Path, content: bytes) -> None:
        """By its name."""
        (tmp_path / "none.zip").write_bytes(content)

        with pytest.raises(RatchetError, match=r"none.zip: cannot be unpacked: "):
            release.unpack(tmp_path / "none.zip", tmp_path / "out")

"""What a release writes: on GitHub, in staging, in the ledger, for open pull requests; half of it is finished later."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from forge_example import desk
from ratchet import bundle, files, ledger, lock, release
from ratchet.cli import cli
from ratchet.deploy import branch
from ratchet.errors import RatchetError
from ratchet.release import refusal
from ratchet.release.publish import Built
from rehearsal.forge import Event
from rehearsal.forge import Forge as Server
from release_example import DEED, Yard

pytestmark = pytest.mark.xdist_group("outputs")

IMAGE = f"ghcr.io/ada/flights@sha256:{'1' * 64}"
WORKFLOW = "name: {0}\non:\n  workflow_dispatch:\njobs: {{}}\n"
RIGHTS = {"actions": "write", "contents": "write", "pull_requests": "write", "statuses": "read"}
WORKFLOWS = {f".github/workflows/{name}.yml": WORKFLOW.format(name) for name in ("report", "ci")}


@pytest.fixture
def yard(forge: Server, two_models: Path, tmp_path: Path) -> Iterator[Yard]:
    """A repository without a release."""
    made = desk(forge)
    made.commit("main", WORKFLOWS, "Workflows")
    forge.repository(made.name).settings.actions_may_open_pulls = True
    yield Yard(made, two_models, tmp_path)
    forge.faults.clear()


@pytest.fixture
def merged(yard: Yard) -> Yard:
    """The weak model is released; main has the lock of the good one, whose verdict is to be told."""
    yard.main("weak")
    yard.released("weak")
    yard.main("good")
    return yard


@pytest.fixture
def built(tmp_path: Path) -> Built:
    """What the job `image` leaves."""
    folder = tmp_path / "built"
    folder.mkdir()
    files.write_json(folder / "smoke.json", {"rows": 200, "largest_difference": 0.0})
    files.write_json(folder / "sbom.spdx.json", {"spdxVersion": "SPDX-2.3"})
    return Built(IMAGE, "coins:0123456789abcdef", folder)


def states(yard: Yard, environment: str = "staging") -> Any:
    """What runs in an environment, as JSON."""
    return json.loads(yard.desk.git.read(str(yard.desk.git.branch("deploy")), f"{environment}/state.json") or b"null")


class TestPublish:
    """A judged model ships."""

    def test_release_staging_and_record(self, merged: Yard, built: Built, tmp_path: Path) -> None:
        """The release holds the judged bytes and says where they come from; staging runs its image; it is recorded."""
        verdict = merged.judged("good")

        said = merged.release(built)

        assert said[0] == "released model-v2: Promote: as it was found."
        (published,) = (found for found in merged.client.releases() if found.tag == "model-v2")
        assert sorted(asset.name for asset in published.assets) == [
            *("bundle.zip", "card.md", "dataset.json", "evaluation.json", "release.json", "sbom.spdx.json"),
            *("smoke.json", "training.json", "verdict.json"),
        ]
        assert f"Judged in #12. Image `{IMAGE}`." in published.body
        champion = release.fetch(merged.client, tmp_path / "champion", release.FACTS)
        assert champion is not None
        assert (champion.tag, bundle.digest(champion.folder)) == ("model-v2", merged.digest("good"))
        record = merged.records()[-1]
        assert (record["tag"], record["sha"]) == ("model-v2", merged.desk.git.branch("main"))
        assert (record["model_digest"], record["pull_request"]) == (merged.digest("good"), 12)
        assert (record["verdict"], record["artifact"]) == (ledger.path_of(verdict), verdict["artifact"])
        assert (record["image"], record["bento"]) == (IMAGE, "coins:0123456789abcdef")
        assert record["assets"]["smoke.json"] == files.sha256(tmp_path / "built" / "smoke.json")
        assert record["assets"].keys() == {asset.name for asset in published.assets}
        state = states(merged)
        assert state["slots"]["blue"] == {"release": "model-v2", "model": merged.digest("good"), "image": IMAGE}
        (move,) = ledger.Ledger(merged.client).listing().moves("staging")
        assert (move["tag"], move["who"], move["run"]) == ("model-v2", "ada", DEED.run)

    def test_without_an_image_nothing_runs(self, merged: Yard) -> None:
        """The model is the champion that proposals must beat; the branch `deploy` is not even made."""
        merged.judged("good")

        said = merged.release()

        assert "model-v2 has no image, so nothing runs" in said
        assert merged.desk.git.branch("deploy") is None
        assert merged.records()[-1]["image"] is None

    def test_a_first_release_brings_its_lock_to_main(self, merged: Yard) -> None:
        """One commit on top of the candidate's, which is the one that is released; a second attempt makes no other."""
        merged.judged("good")
        found = merged.candidate()
        text = b"schema: '2.0'\nstages: {}\n"
        (merged.folder / "dvc.lock").write_bytes(text)
        merged.desk.fails("POST", r"/releases$", 502, times=99)
        with pytest.raises(RatchetError, match="502"):
            merged.publish()
        merged.desk.server.faults.clear()

        merged.publish()

        main = str(merged.desk.git.branch("main"))
        assert merged.desk.git.commit(main).parents == (found.sha,)
        assert merged.desk.git.read(main, "dvc.lock") == text
        assert merged.records()[-1]["sha"] == main

    def test_a_commit_whose_workflows_are_not_mains_any_more_is_refused(self, merged: Yard, built: Built) -> None:
        """GitHub lets no workflow make a release there: a new run ships, and the refusal says how to start one."""
        merged.judged("good")
        merged.candidate()
        merged.desk.commit("main", {".github/workflows/ci.yml": "name: newer\n"})
        merged.job = merged.desk.job(**RIGHTS)

        with pytest.raises(refusal.Refused, match=r"ci.yml.*\npress Actions → release → Run workflow") as caught:
            merged.publish(built)

        assert caught.value.refusal.cause == "main has changed a workflow meanwhile"
        assert [found.tag for found in merged.desk.server.releases(merged.desk.name)] == ["model-v1"]
        merged.checkout()
        assert merged.release(built)[0] == "released model-v2: Promote: as it was found."

    def test_a_second_time_changes_nothing(self, merged: Yard, built: Built) -> None:
        """The same run in another attempt, or another one."""
        merged.judged("good")
        merged.release(built)
        before = everything(merged)

        merged.publish(built)
        assert merged.release(built) == ["main's lock is that of model-v2: nothing to release"]

        assert everything(merged) == before

    def test_a_bundle_that_was_changed_on_the_way_is_refused(self, merged: Yard) -> None:
        """Between the jobs of the run."""
        merged.judged("good")
        merged.candidate()
        with (merged.folder / "bundle" / "schema.json").open("ab") as file:
            file.write(b" ")

        with pytest.raises(RatchetError, match="is not the bundle of the model"):
            merged.publish()

        assert merged.tags() == ["model-v1"]

    def test_a_tag_that_another_model_took_is_refused(self, merged: Yard) -> None:
        """Two runs at once: the later is told to start again."""
        merged.judged("good")
        merged.candidate()
        other = merged.scratch / "release.json"
        files.write_json(other, {"version": 1, "tag": "model-v2", "model_digest": "0" * 64, "image": None})
        merged.client.create_release("model-v2", str(merged.desk.git.branch("main")), "Model 2", "", [other])
        book = ledger.Ledger(merged.client)
        names = ("kind", "version", "at", "tag")
        book.append(
            {
                **{k: v for k, v in merged.records()[0].items() if k not in names},
                "version": 1,
                "kind": "release",
                "at": ledger.now(),
                "tag": "model-v2",
            }
        )

        with pytest.raises(RatchetError, match="release model-v2: holds another model"):
            merged.publish()


def everything(yard: Yard) -> tuple[Any, ...]:
    """Where every branch is, and what is released."""
    branches = {name: yard.desk.git.branch(name) for name in ("main", "records", "deploy")}
    return branches, [(found.tag, found.body, found.assets) for found in yard.client.releases()]


class TestCrash:
    """What a run has left half done, the next one finishes."""

    @pytest.mark.parametrize(
        ("method", "path", "skip"),
        [
            ("POST", r"/releases$", 0),
            ("POST", r"/releases/\d+/assets", 0),
            ("POST", r"/releases/\d+/assets", 3),
            ("PATCH", r"/releases/\d+$", 0),
            ("POST", r"/git/trees", 0),
            ("POST", r"/git/commits", 0),
            ("POST", r"/git/refs", 0),
            ("POST", r"/git/trees", 1),
            ("PATCH", r"/git/refs/", 0),
            ("POST", r"/git/trees", 2),
            ("PATCH", r"/git/refs/", 1),
        ],
    )
    def test_it_ends_as_if_nothing_had_happened(
        self, merged: Yard, built: Built, method: str, path: str, skip: int
    ) -> None:
        """Whichever write fails for good: one release, one move, one record, whatever a first run has left."""
        merged.judged("good")
        merged.desk.fails(method, path, 502, times=99, skip=skip)
        with pytest.raises(RatchetError, match="502"):
            merged.release(built)
        merged.desk.server.faults.clear()

        merged.release(built)

        assert merged.tags() == ["model-v1", "model-v2"]
        assert [found.draft for found in merged.client.releases()] == [False, False]
        assert [record["tag"] for record in merged.records()] == ["model-v1", "model-v2"]
        assert merged.records()[-1]["image"] == IMAGE
        assert states(merged)["slots"]["blue"]["release"] == "model-v2"
        assert [move["tag"] for move in ledger.Ledger(merged.client).listing().moves("staging")] == ["model-v2"]
        assert merged.candidate().next == "nothing"

    def test_an_older_release_is_finished_before_a_newer_one_ships(self, merged: Yard, built: Built) -> None:
        """Its run died after the publication, and main has moved on since."""
        merged.judged("good")
        merged.desk.fails("POST", r"/git/trees", 502, times=99)
        with pytest.raises(RatchetError, match="502"):
            merged.release(built)
        merged.desk.server.faults.clear()
        merged.main("weak")
        merged.judged("weak")

        merged.release(built)

        assert [record["tag"] for record in merged.records()] == ["model-v1", "model-v2", "model-v3"]
        assert states(merged)["slots"][states(merged)["champion"]]["release"] == "model-v3"

    def test_a_published_release_needs_no_new_image(self, merged: Yard, built: Built) -> None:
        """What is half done is finished from what is published: the image is the one that it names."""
        merged.judged("good")
        merged.desk.fails("POST", r"/git/trees", 502, times=99)
        with pytest.raises(RatchetError, match="502"):
            merged.release(built)
        merged.desk.server.faults.clear()

        found = merged.candidate()
        said = merged.publish()

        assert (found.next, found.tag) == ("finish", "model-v2")
        assert said[-1] == "model-v2 is recorded"
        assert merged.records()[-1]["image"] == IMAGE

    def test_an_answer_that_is_lost_after_the_publication_is_no_error(self, merged: Yard) -> None:
        """The connection is cut when it is done."""
        merged.judged("good")
        merged.desk.fails("PATCH", r"/releases/\d+$", "cut")

        assert merged.release()[0].startswith("released model-v2")
        assert merged.tags() == ["model-v1", "model-v2"]


class TestStaging:
    """Where a release first runs."""

    def test_a_release_that_was_taken_away_does_not_come_back(self, merged: Yard, built: Built) -> None:
        """Somebody rolled it back between its publication and its record."""
        merged.judged("good")
        merged.desk.fails("PATCH", r"/git/refs/", 502, times=99, skip=1)
        with pytest.raises(RatchetError, match="502"):
            merged.release(built)
        merged.desk.server.faults.clear()
        withdraw(merged, "model-v2")
        before = merged.desk.git.branch("deploy")

        merged.release(built)

        assert merged.desk.git.branch("deploy") == before
        assert merged.records()[-1]["tag"] == "model-v2"


def withdraw(yard: Yard, tag: str) -> None:
    """Staging runs another release instead, and says that this one was taken away."""
    from dataclasses import replace

    from ratchet.deploy.state import Arm, State

    def change(state: State | None) -> State:
        assert state is not None
        arm = Arm("model-v1", "0" * 64, IMAGE)
        return replace(state, slots={"blue": arm, "green": None}, champion="blue", withdrawn={tag: "it was wrong"})

    branch.move(yard.client, "staging", change, branch.Why("grace", "it was wrong", 911), yard.root)


class TestRefresh:
    """Open pull requests after a release."""

    def test_those_of_this_repository_get_main_and_are_judged_again(self, merged: Yard, forge: Server) -> None:
        """Once; a fork's is left to its owner."""
        ours, theirs = merged.desk.pull("trees"), merged.desk.pull("leaves", "bob")
        merged.main("good", **{"README.md": "# Main has moved\n"})
        merged.judged("good")
        told: list[Event] = []
        forge.listen(told.append)

        said = merged.release()

        main = str(merged.desk.git.branch("main"))
        assert f"pull request {ours.number} now has main's {main[:8]}, and is judged again" in said
        assert merged.client.compare(main, merged.client.pull(ours.number).head_sha).merge_base == main
        assert merged.client.compare(main, merged.client.pull(theirs.number).head_sha).merge_base != main
        assert sorted(event.payload["workflow"] for event in told if event.name == "workflow_dispatch") == [
            ".github/workflows/ci.yml",
            ".github/workflows/report.yml",
        ]
        assert merged.candidate().next == "nothing"

    def test_one_in_conflict_is_told_and_stops_nothing(self, merged: Yard) -> None:
        """Only a person can say what is meant."""
        merged.desk.pull("clash")
        merged.desk.commit("main", {"params.yaml": "rate: main\n"})
        merged.main("good")
        merged.desk.commit("clash", {"README.md": "# One\n"})
        merged.main("good", **{"README.md": "# Two\n"})
        merged.judged("good")

        said = merged.release()

        assert "pull request 1 is not refreshed: both sides change README.md" in said[-1]
        assert merged.records()[-1]["tag"] == "model-v2"


class TestRejudge:
    """The judged bytes are gone before they were released."""

    def lost(self, yard: Yard) -> None:
        """Main's model was judged, and its artifact is not there any more."""
        verdict = yard.judged("good")
        with yard.desk.server.changing() as state:
            state.artifacts = [one for one in state.artifacts if one.id != verdict["artifact"]["id"]]

    def test_a_pull_request_without_a_change_is_opened_once(self, merged: Yard) -> None:
        """On a branch of main named after the lock; the second run finds it."""
        self.lost(merged)

        first, second = merged.release(), merged.release()

        name = f"rejudge-{lock.digest_of(merged.root)[:12]}"
        (pull,) = merged.client.open_pulls()
        assert (pull.head_branch, pull.base_branch) == (name, "main")
        assert first == second
        assert first[0].endswith(f"it is judged again, in pull request {pull.number}")
        main = str(merged.desk.git.branch("main"))
        assert merged.desk.git.commit(pull.head_sha).parents == (main,)
        assert merged.client.commit(pull.head_sha).files == ()
        assert "#12" in pull.body
        assert merged.tags() == ["model-v1"]

    def test_it_begins_at_a_commit_that_has_mains_workflows(self, merged: Yard) -> None:
        """GitHub lets no workflow make a branch at another."""
        self.lost(merged)
        merged.candidate()
        merged.desk.commit("main", {".github/workflows/ci.yml": "name: newer\n"})
        merged.job = merged.desk.job(**RIGHTS)

        with pytest.raises(refusal.Refused, match="main has changed a workflow meanwhile"):
            merged.publish()

        assert merged.desk.git.branch(f"rejudge-{lock.digest_of(merged.root)[:12]}") is None

    @pytest.mark.parametrize(
        ("method", "path"), [("POST", "/git/commits"), ("POST", "/pulls"), ("POST", "/dispatches")]
    )
    def test_half_of_it_is_finished(self, merged: Yard, method: str, path: str) -> None:
        """A branch without its commit, a commit without its pull request, a pull request that nobody judges."""
        self.lost(merged)
        merged.desk.fails(method, f"{path}$", 502, times=99)
        with pytest.raises(RatchetError, match="502"):
            merged.release()
        merged.desk.server.faults.clear()

        dispatched: list[Event] = []
        merged.desk.server.listen(dispatched.append)

        merged.release()

        (pull,) = merged.client.open_pulls()
        asked = [one.payload for one in dispatched if one.name == "workflow_dispatch"]
        assert {(one["workflow"].rpartition("/")[2], one["ref"]) for one in asked} == {
            ("report.yml", f"refs/heads/{pull.head_branch}"),
            ("ci.yml", f"refs/heads/{pull.head_branch}"),
        }

    def test_it_follows_main(self, merged: Yard) -> None:
        """Words were merged meanwhile: it has them too, or it could not be merged."""
        self.lost(merged)
        merged.release()
        merged.main("good", **{"README.md": "# Words\n"})

        merged.release()

        (pull,) = merged.client.open_pulls()
        assert merged.client.compare("main", pull.head_sha).merge_base == merged.desk.git.branch("main")


class TestRefusal:
    """Why nothing ships, as an issue."""

    def refuse(self, yard: Yard, **results: str) -> str:
        """What the job `refuse` does."""
        return refusal.refuse(yard.client, yard.folder, results, "https://forge.test/run/7")

    def titles(self, yard: Yard) -> list[str]:
        """Of the issues that are open."""
        return [issue.title for issue in yard.client.open_issues(refusal.MARKER)]

    def test_what_differs_is_said_once_and_closed_when_it_works(self, merged: Yard) -> None:
        """Expected, found, where, and what to do; a second failure says it in the same issue."""
        with pytest.raises(refusal.Refused) as caught:
            merged.candidate()
        caught.value.refusal.write(merged.folder)
        results = {"candidate": "failure", "image": "skipped", "publish": "skipped"}

        self.refuse(merged, **results)
        self.refuse(merged, **results)

        (issue,) = merged.client.open_issues(refusal.MARKER)
        assert issue.title == "Nothing was released: main's dvc.lock was never judged to pass"
        assert "| found | none about it |" in issue.body
        assert "https://forge.test/run/7" in issue.body
        merged.judged("good")
        merged.release()
        said = self.refuse(merged, candidate="success", image="success", publish="success")
        assert said == f"closed issue {issue.number}"
        assert self.titles(merged) == []

    def test_a_workflow_that_main_has_changed_is_an_issue_with_the_words_to_press(
        self, merged: Yard, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The job `publish` leaves what differs to the job `refuse`."""
        merged.judged("good")
        merged.candidate()
        merged.desk.commit("main", {".github/workflows/ci.yml": "name: newer\n"})
        job = merged.desk.job(**RIGHTS)
        for name, value in {
            "GITHUB_REPOSITORY": job.repository,
            "GITHUB_TOKEN": job.token,
            "GITHUB_API_URL": merged.desk.server.api,
            "GITHUB_SERVER_URL": job.server_url,
            "GITHUB_ACTOR": "ada",
            "GITHUB_RUN_ID": "700",
        }.items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(cli, ["release", str(merged.folder)])
        assert isinstance(done.exception, refusal.Refused)

        self.refuse(merged, candidate="success", publish="failure")

        (issue,) = merged.client.open_issues(refusal.MARKER)
        assert issue.title == "Nothing was released: main has changed a workflow meanwhile"
        assert "press Actions → release → Run workflow: it begins at main's newest commit" in issue.body

    def test_each_cause_has_an_issue_of_its_own(self, merged: Yard) -> None:
        """The image could not be made; then the publication failed."""
        self.refuse(merged, candidate="success", image="failure", publish="skipped")
        self.refuse(merged, candidate="success", image="success", publish="failure")

        assert self.titles(merged) == [
            "Nothing was released: the job image failed",
            "Nothing was released: the job publish failed",
        ]

    def test_a_cancelled_run_says_nothing(self, merged: Yard) -> None:
        """It knows nothing; what was said before stays."""
        self.refuse(merged, candidate="success", image="failure", publish="skipped")

        self.refuse(merged, candidate="success", image="cancelled", publish="skipped")

        assert self.titles(merged) == ["Nothing was released: the job image failed"]


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

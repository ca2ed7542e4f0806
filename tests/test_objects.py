"""Commits, trees and files come over git as data, whatever somebody has put into them, and few fetches bring them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from forge_example import Desk, desk
from ratchet.errors import RatchetError
from ratchet.forge import ApiError, NotFound, objects
from rehearsal.forge import Forge as Server
from rehearsal.forge.git import Person

MISSING = "0123456789" * 4
FETCH = r"/git-upload-pack$"


@pytest.fixture
def place(forge: Server) -> Iterator[Desk]:
    """A new repository; whatever was to fail does so no more afterwards."""
    yield desk(forge)
    forge.faults.clear()


def planted(place: Desk, *lines: bytes) -> str:
    """A commit whose tree has exactly these lines, as `git mktree` reads them, on the branch `planted`."""
    tree = place.git.run("mktree", "-z", "--missing", stdin=b"\0".join([*lines, b""])).decode().strip()
    sha = place.git.write_commit(tree, [], "Plant", Person("Eve", "eve@example.org"))
    place.git.run("update-ref", "refs/heads/planted", sha)
    return sha


def blob(place: Desk, content: bytes) -> bytes:
    """The hash of a file that the repository has."""
    return place.git.write_blob(content).encode()


def test_a_tree_lists_files_and_they_have_their_bytes(place: Desk) -> None:
    """Modes and hashes without directories; bytes and sizes by the hashes."""
    sha = place.commit("main", {"src/flights/model.py": "trees = 2\n", "empty": ""})
    client = place.client()

    found = client.tree(sha)

    assert sorted(found) == ["README.md", "empty", "src/flights/model.py"]
    entry = found["src/flights/model.py"]
    assert (entry.mode, entry.type, entry.is_file) == ("100644", "blob", True)
    wanted = {entry.sha: b"trees = 2\n", found["empty"].sha: b""}
    assert client.objects.files(wanted, 1000) == wanted
    assert client.objects.sizes([entry.sha]) == {entry.sha: 10}
    assert client.objects.content(sha, 1000, "src/") == {"src/flights/model.py": b"trees = 2\n"}
    assert client.file(sha, "README.md") == b"# Flights\n"
    assert client.file(sha, "src") is None


def test_refs_are_looked_up_each_time(place: Desk) -> None:
    """A branch moves; a tag is the commit that it is about; what is not there is None."""
    client = place.client()
    first = client.branch("main")
    second = place.commit("main", {"a": "b\n"})
    place.git.run("-c", "user.name=Ada", "-c", "user.email=a@example.org", "tag", "-a", "-m", "One", "model-v1", second)

    assert (first, client.branch("main")) == (place.git.commit(second).parents[0], second)
    assert client.objects.ref("tags/model-v1") == second
    assert client.branch("none") is None
    assert client.branch("ain") is None


def test_a_commit_tells_what_it_changes(place: Desk) -> None:
    """Paths against its first parent, of a renamed file both; of a first commit all."""
    parent = place.git.branch("main") or ""
    place.commit("side", {"side": "x\n"})
    sha = place.commit("main", {"dvc.lock": "schema: '2.0'\n"}, "Lock\n\nIn two parts.\n")
    tree = place.git.commit(place.commit("other", {"moved": "# Flights\n"})).tree
    merge = place.git.write_commit(tree, [sha, place.git.branch("side") or ""], "Merge", Person("A", "a@example.org"))
    place.git.run("update-ref", "refs/heads/merge", merge)
    client = place.client()

    found = client.commit(sha)

    assert (found.sha, found.parents, found.files) == (sha, (parent,), ("dvc.lock",))
    assert found.message == "Lock\n\nIn two parts.\n"
    assert found.tree == place.git.commit(sha).tree
    assert client.commit(parent).files == ("README.md",)
    assert client.commit(parent).parents == ()
    assert client.commit(merge).parents == (sha, place.git.branch("side"))
    assert client.commit(merge).files == ("moved",)


def test_what_is_asked_for_together_comes_at_once(place: Desk) -> None:
    """Sixty files in one fetch, and none of what is here already."""
    sha = place.commit("main", {f"records/{index}": f"{index}\n" for index in range(60)})
    client = place.client()
    found = client.tree(sha)
    place.fails("POST", FETCH, 403, times=99, skip=1)

    content = client.objects.files([entry.sha for entry in found.values()], 10_000)

    assert sorted(content.values())[1] == b"0\n"
    assert client.tree(sha) is found
    assert client.objects.content(sha, 10_000, "records/7") == {"records/7": b"7\n"}


def test_two_trees_come_in_one_fetch(place: Desk) -> None:
    """Of main and of a proposal."""
    base, head = place.git.branch("main") or "", place.commit("faster", {"a": "b\n"})
    client = place.client()
    client.branch("main")
    place.fails("POST", FETCH, 403, times=99, skip=1)

    client.objects.bring([base, head])

    assert [sorted(client.tree(sha)) for sha in (base, head)] == [["README.md"], ["README.md", "a"]]


def test_links_submodules_and_strange_paths_are_data(place: Desk) -> None:
    """Nothing is followed, nothing is written, and no two paths become one."""
    link, text = blob(place, b"/etc/passwd"), blob(place, b"text\n")
    sha = planted(
        place,
        b"120000 blob " + link + b"\tlink",
        b"160000 commit " + MISSING.encode() + b"\tsubmodule",
        b"100644 blob " + text + b"\tline\nbreak \xff",
        b"100755 blob " + text + b"\t-rf",
        b"100644 blob " + text + b"\t\xc3\xa9t\xc3\xa9",
    )
    client = place.client()

    found = client.tree(sha)

    assert {path: (entry.mode, entry.is_file) for path, entry in found.items()} == {
        "link": ("120000", False),
        "submodule": ("160000", False),
        "line\nbreak \\xff": ("100644", True),
        "-rf": ("100755", True),
        "été": ("100644", True),
    }
    assert client.file(sha, "link") is None
    assert set(client.objects.content(sha, 1000).values()) == {b"text\n"}
    assert len(client.commit(sha).files) == 5


def test_a_tree_of_a_few_bytes_that_names_a_million_files_is_refused(place: Desk) -> None:
    """Each directory holds the one below it a hundred times."""
    entry = b"100644 blob " + blob(place, b"x")
    for _ in range(3):
        lines = b"".join(entry + b"\t%050d\0" % index for index in range(100))
        tree = place.git.run("mktree", "-z", stdin=lines).strip()
        entry = b"040000 tree " + tree
    sha = planted(place, entry + b"\ttop")

    with pytest.raises(
        RatchetError, match=r"a commit has more files than are ever needed\nkeep data out of git"
    ) as told:
        place.client().tree(sha)

    assert not isinstance(told.value, ApiError)  # it is the proposal's fault


def test_files_beyond_the_limit_are_not_read(place: Desk) -> None:
    """Those of a pull request are as large as its author likes."""
    sha = place.commit("main", {"dvc.lock": "x" * 1001})
    client = place.client()

    with pytest.raises(RatchetError, match=r"1001 bytes were to be read where at most 1000 are expected"):
        client.file(sha, "dvc.lock", limit=1000)


def test_a_fetch_brings_no_more_than_it_may(place: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut, and what had come is removed; the next one is not harmed by it."""
    large = blob(place, os.urandom(300_000)).decode()
    small = blob(place, b"small\n").decode()
    planted(place, b"100644 blob " + large.encode() + b"\ta", b"100644 blob " + small.encode() + b"\tb")
    client = place.client()
    monkeypatch.setattr(objects, "PACK", 100_000)

    with pytest.raises(RatchetError, match=r"git fetch of .*: is larger than 0 MB\nkeep data out of git") as told:
        client.objects.sizes([large])

    assert not isinstance(told.value, ApiError)
    assert client.objects.files([small], 10) == {small: b"small\n"}


def test_what_is_not_there_is_told(place: Desk) -> None:
    """A commit or a file that nobody has."""
    for read in (lambda c: c.tree(MISSING), lambda c: c.objects.files([MISSING], 1000)):
        with pytest.raises(NotFound, match=rf"there is no such commit or file: .*{MISSING}"):
            read(place.client())


def test_a_server_that_stumbles_is_asked_again(place: Desk) -> None:
    """With the waits of any other call; when it does not recover, that is told."""
    place.fails("GET", r"/info/refs", 502, times=2)
    place.fails("GET", r"/info/refs", "cut")
    client = place.client()

    assert client.branch("main") == place.git.branch("main")
    assert place.waits == [0.5, 1.0, 2.0]

    place.fails("GET", r"/info/refs", 503, times=99)
    with pytest.raises(
        ApiError, match=r"^git ls-remote of ada/.*: GitHub's git fails: .*503.* after 5 tries\nrun it ag"
    ):
        client.branch("main")


@pytest.mark.parametrize("is_known", [False, True])
def test_a_token_that_may_not_read_is_told_at_once(place: Desk, *, is_known: bool) -> None:
    """Also where the repository is private, and the job has no right to its contents."""
    with place.server.changing():
        place.server.repository(place.name).private = True
    client = place.job(statuses="write") if is_known else place.client("wrong")

    with pytest.raises(ApiError, match=r"the token is wrong, or the job needs `contents: read`"):
        client.branch("main")

    assert place.waits == []


def test_nobodys_settings_count(place: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither those of the machine's user, nor what a caller has told another git; and the token is no argument."""
    (tmp_path / ".gitconfig").write_text('[url "http://127.0.0.1:9/"]\n\tinsteadOf = http://\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    seen: list[list[str]] = []
    run = subprocess.run

    def watched(arguments: list[str], **options: object) -> object:
        seen.append(arguments)
        return run(arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("ratchet.forge.git.subprocess.run", watched)
    client = place.client()

    assert sorted(client.tree(client.branch("main") or "")) == ["README.md"]
    assert not any(client.token in argument for arguments in seen for argument in arguments)

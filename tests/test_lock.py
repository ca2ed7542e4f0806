"""The lock digest says what was made from what, and nothing of how the file came about."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ratchet import lock
from ratchet.errors import RatchetError

PIPELINE = """
stages:
  ingest:
    foreach: ${periods}
    do:
      cmd: mkdir -p data/${item} && cp source data/${item}/rows
      deps:
        - source
      outs:
        - data/${item}/rows
  train:
    cmd: cat source > model
    deps:
      - source
    params:
      - rate
    outs:
      - model
  tell:
    cmd: cat model > /dev/null
    deps:
      - model
"""


def dvc(root: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "--quiet"], cwd=root, check=True)


def set_params(root: Path, periods: str, rate: str = "0.1") -> None:
    (root / "params.yaml").write_text(f"periods: [{periods}]\nrate: {rate}\n", encoding="utf-8")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC repository that has run two periods, a training and a stage without outputs."""
    root = tmp_path_factory.mktemp("template")
    dvc(root, "init", "--no-scm")
    (root / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    (root / "source").write_text("rows\n", encoding="utf-8")
    set_params(root, "2013-01, 2013-02")
    dvc(root, "repro")
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """A copy of the repository, to change."""
    return shutil.copytree(template, tmp_path / "project")


def test_live_stages_are_those_of_the_pipeline_with_its_parameters_now(root: Path) -> None:
    """Every period of a foreach is a stage; one taken out of the parameters is none, though the lock keeps it."""
    before = lock.live_stages(root)
    set_params(root, "2013-02")

    after = lock.live_stages(root)

    assert before == ("ingest@2013-01", "ingest@2013-02", "train")
    assert after == ("ingest@2013-02", "train")
    assert set(lock.read(root / "dvc.lock")) == {*before, "tell"}


def test_the_order_of_first_runs_does_not_change_the_digest(root: Path) -> None:
    """A lock built backwards, stage by stage, is the same lock, though its text is not."""
    path = root / "dvc.lock"
    text, expected = path.read_text(encoding="utf-8"), lock.digest_of(root)
    path.unlink()
    for stage in ("train", "ingest@2013-02", "ingest@2013-01"):
        dvc(root, "repro", "--single-item", stage)

    assert path.read_text(encoding="utf-8") != text
    assert lock.digest_of(root) == expected


def test_a_removed_period_leaves_nothing_in_the_digest(root: Path) -> None:
    """Adding a period changes the digest, removing it brings back the one before."""
    expected = lock.digest_of(root)

    set_params(root, "2013-01, 2013-02, 2013-03")
    dvc(root, "repro")
    added = lock.digest_of(root)
    set_params(root, "2013-01, 2013-02")
    dvc(root, "repro")

    assert added != expected
    assert "ingest@2013-03" in lock.read(root / "dvc.lock")
    assert lock.digest_of(root) == expected


def test_comments_sizes_and_hash_names_do_not_change_the_digest(root: Path) -> None:
    """What DVC's version or a person's hand adds to the text is not content."""
    path = root / "dvc.lock"
    expected = lock.digest_of(root)
    text = path.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if "hash: md5" not in line and "size:" not in line]

    path.write_text("\n".join(["# by hand", *kept, ""]), encoding="utf-8")

    assert lock.digest_of(root) == expected


@pytest.mark.parametrize("change", ["output", "parameter", "command"])
def test_content_changes_the_digest(root: Path, change: str) -> None:
    """Another output, another parameter or another command is another lock."""
    before = lock.digest_of(root)

    if change == "output":
        (root / "source").write_text("other rows\n", encoding="utf-8")
    elif change == "parameter":
        set_params(root, "2013-01, 2013-02", rate="0.2")
    else:
        pipeline = (root / "dvc.yaml").read_text(encoding="utf-8").replace("cat source > model", "cp source model")
        (root / "dvc.yaml").write_text(pipeline, encoding="utf-8")
    dvc(root, "repro")

    assert lock.digest_of(root) != before


def test_the_digest_is_a_literal_function_of_the_canonical_form() -> None:
    """Fixed for ever: the SHA-256 of `{"a":{"cmd":"x","deps":[],"outs":[],"params":{}},"b":null}`."""
    digest = lock.digest({"a": {"cmd": "x"}, "gone": {"cmd": "y"}}, ["b", "a"])

    assert digest == "e5c5d588ac2ede71599124f3864d7d31e465081cb4cbcf3167cbf8c7337c2f6b"


def test_a_locked_hash_is_found_by_stage_and_output(root: Path) -> None:
    """The hash of an output that the lock knows, None for any other, and None without a lock."""
    path = root / "dvc.lock"

    assert lock.locked_md5(path, "train", "model") == "fb66bb90028a8fe8179acd70a7ad3593"
    assert lock.locked_md5(path, "train", "other") is None
    assert lock.locked_md5(path, "ingest@2014-01", "model") is None
    assert lock.locked_md5(root / "absent.lock", "train", "model") is None


def test_a_forgotten_stage_is_the_only_difference(root: Path) -> None:
    """The text loses the lines of that stage and no other; DVC runs it again and the lock is whole."""
    path = root / "dvc.lock"
    digest, before = lock.digest_of(root), path.read_text(encoding="utf-8").splitlines()

    lock.forget(path, "ingest@2013-02")

    after = path.read_text(encoding="utf-8").splitlines()
    start = before.index("  ingest@2013-02:")
    assert after == before[:start] + before[start + len(before) - len(after) :]
    assert "ingest@2013-02" not in lock.read(path)
    assert lock.digest_of(root) != digest
    dvc(root, "repro")
    assert lock.digest_of(root) == digest


def test_an_unknown_stage_cannot_be_forgotten(root: Path) -> None:
    """The error names the stages there are, and the file stays as it was."""
    path = root / "dvc.lock"
    before = path.read_bytes()

    with pytest.raises(
        RatchetError, match=r"has no stage 'ingest@2014-01'; it has ingest@2013-01, ingest@2013-02, tell, train"
    ):
        lock.forget(path, "ingest@2014-01")

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [("stages: {a: [", "is not valid YAML"), ("[1, 2]", "is not a lock file"), ("stages: [a]", "is not a lock file")],
)
def test_a_broken_lock_is_named(tmp_path: Path, text: str, said: str) -> None:
    """Broken YAML, or YAML that is no lock, is an error with a remedy."""
    path = tmp_path / "dvc.lock"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(RatchetError, match=said) as caught:
        lock.read(path)

    assert str(caught.value).startswith(str(path))
    assert "git checkout -- dvc.lock" in str(caught.value)


def test_stages_without_outputs_do_not_count(root: Path) -> None:
    """The digest is the same before and after a stage that makes nothing has run."""
    after = lock.digest_of(root)

    lock.forget(root / "dvc.lock", "tell")

    assert lock.digest_of(root) == after


def test_a_broken_pipeline_is_named(root: Path) -> None:
    """A dvc.yaml that DVC cannot read is an error of ours, not a traceback of its."""
    (root / "dvc.yaml").write_text("stages: [", encoding="utf-8")

    with pytest.raises(RatchetError, match=r"DVC cannot read the pipeline: .*dvc\.yaml"):
        lock.live_stages(root)


def test_a_folder_without_pipeline_is_named(tmp_path: Path) -> None:
    """Without a dvc.yaml there are no live stages to ask for."""
    with pytest.raises(RatchetError, match=r"has no dvc\.yaml"):
        lock.live_stages(tmp_path)


def test_a_copy_without_dvc_and_git_has_the_same_digest(root: Path) -> None:
    """Three text files are enough to know the digest."""
    expected = lock.digest_of(root)

    shutil.rmtree(root / ".dvc")

    assert lock.digest_of(root) == expected

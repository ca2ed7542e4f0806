"""The lock digest says what was made from what, and nothing of how the file came about."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratchet import lock
from ratchet.errors import RatchetError
from rehearsal.project import PARAMS, ROOT

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

    assert lock.out_md5(lock.read(path), "train", "model") == "fb66bb90028a8fe8179acd70a7ad3593"
    assert lock.out_md5(lock.read(path), "train", "other") is None
    assert lock.out_md5(lock.read(path), "ingest@2014-01", "model") is None
    assert lock.out_md5(lock.read(root / "absent.lock"), "train", "model") is None


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


# --- a lock against a tree -------------------------------------------------------------------------------------------

LARGER = """
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
    cmd: mkdir -p model && cp source model/weights && cp source model/notes
    deps:
      - lib/code
      - lib/code/a.py
      - data
    params:
      - rate
      - rules
      - rules.least
      - small
    outs:
      - model
  tell:
    cmd:
      - cat model/weights
      - cat source
    deps:
      - model
      - model/weights
"""
LARGER_PARAMS = """
periods: [2013-01, 2013-02]
rate: 0.10
small: 0.00001
rules: {least: 1, names: ["no", "on", 1.0e+3], deep: {empty: null, is_so: true}}
"""
CODE = {
    "lib/code/a.py": "a",
    "lib/code/a/z.py": "z",
    "lib/code/a-b.py": "b",
    "lib/code/\N{LATIN SMALL LETTER E WITH ACUTE}t\N{LATIN SMALL LETTER E WITH ACUTE}.txt": "summer",
    "lib/.dvcignore": "*.tmp\n!kept.tmp\n",
    "lib/code/sub/lost.tmp": "lost",
    "lib/code/sub/kept.tmp": "kept",
    "lib/code/sub/__pycache__/x.pyc": "compiled",
    "lib/code/.gitignore": "nothing",
    ".dvcignore": "__pycache__\n# a comment\n/elsewhere\n",
    "source": "rows\n",
    "README.md": "read me",
}


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline with directories as dependencies and outputs, ignored files and all kinds of values, run by DVC."""
    root = tmp_path_factory.mktemp("larger")
    dvc(root, "init", "--no-scm")
    for name, text in {**CODE, "dvc.yaml": LARGER, "params.yaml": LARGER_PARAMS}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    dvc(root, "repro")
    return root


class Tree:
    """What a judge has of a proposal: its files as bytes, its lock, and outputs that came along."""

    def __init__(self, root: Path) -> None:
        """The tree in a folder, without what its pipeline made there."""
        names = [*CODE, "dvc.yaml", "params.yaml"]
        self.files = {name: (root / name).read_bytes() for name in names}
        self.known: dict[str, bytes] = {}
        self.stages: dict[str, Any] = copy.deepcopy(dict(lock.read(root / "dvc.lock")))

    @property
    def faults(self) -> list[str]:
        """Where the lock does not fit."""
        live = lock.live_of(self.files["dvc.yaml"], self.files["params.yaml"])
        return lock.faults(self.stages, live, (self.files | self.known).get, self.files)


@pytest.fixture
def tree(larger: Path) -> Tree:
    """An honest proposal, to change."""
    return Tree(larger)


def test_definitions_are_those_of_the_two_files(larger: Path) -> None:
    """Commands, paths and the values of parameters, with the parameters put in; stages without outputs, too."""
    live = lock.live_of((larger / "dvc.yaml").read_bytes(), (larger / "params.yaml").read_bytes())

    assert sorted(live) == ["ingest@2013-01", "ingest@2013-02", "tell", "train"]
    assert live["ingest@2013-01"].cmd == "mkdir -p data/2013-01 && cp source data/2013-01/rows"
    assert live["ingest@2013-01"].outs == {"data/2013-01/rows"}
    assert live["train"].deps == {"lib/code", "lib/code/a.py", "data"}
    assert live["train"].params["params.yaml"]["rules.least"] == 1
    assert live["tell"].cmd == ["cat model/weights", "cat source"]
    assert live["tell"].outs == frozenset()


def test_what_dvc_locked_fits_its_tree(tree: Tree) -> None:
    """Files, directories with ignored files in them, directories of outputs, values: as DVC hashes and writes them."""
    assert tree.faults == []


def test_a_file_that_dvc_ignores_changes_nothing(tree: Tree) -> None:
    """Compiled code, and what a .dvcignore in the directory leaves out."""
    tree.files["lib/code/sub/__pycache__/y.pyc"] = b"more"
    tree.files["lib/code/sub/lost.tmp"] = b"other"

    assert tree.faults == []


LIES: dict[str, tuple[Callable[[Tree], Any], str]] = {
    "another file": (lambda t: t.files.update(source=b"other"), "ingest@2013-01: source is not the one that it read"),
    "another file in a directory": (
        lambda t: t.files.update({"lib/code/a/z.py": b"other"}),
        "train: lib/code is not the one that it read",
    ),
    "a new file in a directory": (
        lambda t: t.files.update({"lib/code/new.py": b""}),
        "train: lib/code is not the one that it read",
    ),
    "a file that is no longer ignored": (
        lambda t: t.files.update({"lib/.dvcignore": b""}),
        "train: lib/code is not the one that it read",
    ),
    "a file that is gone": (
        lambda t: t.files.pop("source"),
        "ingest@2013-01: source is neither in the tree nor made by a stage",
    ),
    "another value": (
        lambda t: t.files.update({"params.yaml": LARGER_PARAMS.replace("rate: 0.10", "rate: 0.2").encode()}),
        "train: rate is not what params.yaml says",
    ),
    "another small value": (
        lambda t: t.files.update({"params.yaml": LARGER_PARAMS.replace("0.00001", "0.00002").encode()}),
        "train: small is not what params.yaml says",
    ),
    "true instead of 1": (
        lambda t: t.stages["train"]["params"]["params.yaml"].update({"rules.least": True}),
        "train: rules.least is not what params.yaml says",
    ),
    "a value that is not locked": (
        lambda t: t.stages["train"]["params"]["params.yaml"].pop("rate"),
        "train: rate is not what params.yaml says",
    ),
    "a value too many": (
        lambda t: t.stages["train"]["params"]["params.yaml"].update(more=1),
        "train: more is not what params.yaml says",
    ),
    "another command": (
        lambda t: t.stages["train"].update(cmd="cp better model"),
        "train: its command is not the one in dvc.yaml",
    ),
    "another pipeline": (
        lambda t: t.files.update({"dvc.yaml": LARGER.replace("cp source model/notes", "cp lib model/notes").encode()}),
        "train: its command is not the one in dvc.yaml",
    ),
    "a stage that did not run": (lambda t: t.stages.pop("train"), "train: is not in dvc.lock"),
    "a dependency left out": (lambda t: t.stages["train"]["deps"].pop(), "train: its deps are not those in dvc.yaml"),
    "a dependency twice": (
        lambda t: t.stages["train"]["deps"].append(t.stages["train"]["deps"][0]),
        "train: its deps are not those in dvc.yaml",
    ),
    "an output left out": (
        lambda t: t.stages["ingest@2013-01"]["outs"].pop(),
        "ingest@2013-01: its outs are not those in dvc.yaml",
    ),
    "an output that nobody read": (
        lambda t: t.stages["train"]["outs"][0].update(md5="0" * 32 + ".dir"),
        "tell: model is not the one that it read",
    ),
    "an output in a directory that nobody read": (
        lambda t: t.stages["ingest@2013-02"]["outs"][0].update(md5="0" * 32),
        "train: data is not the one that it read",
    ),
    "a period more": (
        lambda t: t.files.update({"params.yaml": LARGER_PARAMS.replace("2013-02]", "2013-02, 2013-03]").encode()}),
        "ingest@2013-03: is not in dvc.lock",
    ),
    "a period less": (
        lambda t: t.files.update({"params.yaml": LARGER_PARAMS.replace(", 2013-02]", "]").encode()}),
        "train: data is not the one that it read",
    ),
    "an output that is committed": (
        lambda t: t.files.update({"model/weights": b"rows\n"}),
        "model/weights is committed, but the pipeline makes it",
    ),
    "an output that came along": (
        lambda t: t.known.update({"data/2013-01/rows": b"other"}),
        "ingest@2013-01: data/2013-01/rows is not the one that it made",
    ),
    "a part of an output that came along": (
        lambda t: t.known.update({"model/weights": b"other"}),
        "tell: model/weights is not the one that it read",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_each_lie_of_a_lock_is_found(tree: Tree, lie: str) -> None:
    """Named by stage, with what is not as it should be."""
    change, said = LIES[lie]
    change(tree)

    assert said in tree.faults


def test_outputs_that_came_along_and_fit_are_no_fault(tree: Tree) -> None:
    """The very bytes that the stages made."""
    tree.known = {"data/2013-01/rows": b"rows\n", "model/weights": b"rows\n"}

    assert tree.faults == []


def test_an_entry_that_the_base_does_not_have_is_a_stranger(tree: Tree) -> None:
    """A period that was removed stays in a lock; one that was put there for later does not pass."""
    base = {"ingest@2012-12": {"cmd": "x"}, "ingest@2012-11": {"cmd": "x"}}
    stages = tree.stages | {"ingest@2012-12": {"cmd": "x"}, "ingest@2012-11": {"cmd": "y"}, "ingest@2013-09": {}}
    live = lock.live_of(tree.files["dvc.yaml"], tree.files["params.yaml"])

    assert lock.strangers(stages, live, base) == ["ingest@2012-11", "ingest@2013-09"]


def test_the_hash_of_a_directory_is_that_of_dvc(larger: Path) -> None:
    """As the lock of a real run has it."""
    hashes = {name: lock.md5((larger / "model" / name).read_bytes()) for name in ("notes", "weights")}

    assert lock.directory_md5(hashes) == lock.out_md5(lock.read(larger / "dvc.lock"), "train", "model")


def test_a_lock_that_dvc_wrote_stays_as_it_is(larger: Path) -> None:
    """Byte for byte."""
    text = (larger / "dvc.lock").read_text(encoding="utf-8")

    assert lock.as_dvc_writes(text) == text


def test_values_are_read_and_written_as_dvc_does() -> None:
    """By YAML 1.2, where `on` and 12:30 are texts and 1e-5 is a number; comments go."""
    values = "{rate: 0o17, small: 1e-5, when: 12:30}"
    text = f"# by hand\nschema: '2.0'\nstages: {{a: {{cmd: on, params: {{params.yaml: {values}}}}}}}\n"

    written = lock.as_dvc_writes(text)

    assert lock.parse(written)["a"] == {
        "cmd": "on",
        "params": {"params.yaml": {"rate": 15, "small": 1e-5, "when": "12:30"}},
    }
    assert "#" not in written
    assert lock.as_dvc_writes(written) == written


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("stages: [", "is not valid YAML"),
        ("stages: {a: {cmd: !!python/object:os.system x}}", "has a tag of YAML in line 1"),
        ("[" * 2000, "is nested too deeply"),
        ("a: &a [*a]", "too large when its aliases are written out"),
        ("vars: [/etc/passwd]\nstages: {a: {cmd: x}}", "`vars` is not supported here"),
        ("stages: {a: {cmd: x, vars: [other.yaml]}}", "`vars` is not supported here"),
        ("stages: {a: {foreach: [1], do: {cmd: x, wdir: /}}}", "`wdir` is not supported here"),
        ("stages: {a: {cmd: x, params: [/etc/passwd: [a]]}}", "only params.yaml may hold them"),
        ("stages: {a: {cmd: x, what: y}}", "DVC cannot read the pipeline"),
        ("stages: {a: {cmd: '${absent}'}}", "DVC cannot read the pipeline"),
        ("stages: {a: {cmd: x, params: [absent]}}", "absent"),
        ("[1]", "DVC cannot read the pipeline"),
    ],
)
def test_a_pipeline_that_cannot_be_read_is_named(pipeline: str, said: str) -> None:
    """One sentence about dvc.yaml, and nothing about where it was read; no file but the two is ever opened."""
    if said == "absent":  # DVC notices when it runs; the lock of such a stage cannot fit
        live = lock.live_of(pipeline.encode(), b"rate: 1")
        assert lock.faults({"a": {"cmd": "x", "params": {"params.yaml": {"absent": 1}}}}, live, {}.get, []) == [
            "a: absent is not what params.yaml says"
        ]
        return
    with pytest.raises(RatchetError, match=said) as caught:
        lock.live_of(pipeline.encode(), b"rate: 1")

    assert str(caught.value).startswith("dvc.yaml: ")
    assert "ratchet-" not in str(caught.value)


def test_anchors_are_welcome_in_a_pipeline() -> None:
    """What is written once may be used twice."""
    pipeline = b"x: &deps [source]\nstages: {a: {cmd: x, deps: [source]}}"

    with pytest.raises(RatchetError, match="DVC cannot read"):  # DVC knows no key x, but the anchor is no trouble
        lock.live_of(pipeline, b"")
    assert lock.live_of(b"stages: {a: {cmd: x, deps: &d [s]}, b: {cmd: y, deps: *d}}", b"")["b"].deps == {"s"}


def test_a_pipeline_depends_on_the_folders_of_the_problem_that_params_name() -> None:
    """The template's dvc.yaml, read as data: by the name in params.yaml, each stage on what it needs and on no more."""
    params = PARAMS.read_text().replace("problem: flights", "problem: mine")

    live = lock.live_of((ROOT / "dvc.yaml").read_bytes(), params.encode())

    assert {
        name: {dep.removeprefix("src/mine/") for dep in found.deps if dep.startswith("src/mine")}
        for name, found in live.items()
        if not name.startswith("ingest")
    } == {
        "pin": set(),
        "assemble": {"data"},
        "train": {"data", "model"},
        "export": {"data", "model"},
        "evaluate": {"data", "model", "expectations"},
        "card": {"card.yaml"},
        "track": set(),
    }
    assert {dep for found in live.values() for dep in found.deps if dep.startswith("src/flights")} == set()

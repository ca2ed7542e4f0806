"""The code in a bundle, held against the files of commits: whatever would be unpacked into an image counts."""

from __future__ import annotations

import io
import zipfile

import pytest

from ratchet.release.code import members, strays

TREE = {"src/coins/model/estimator.py": b"MODEL = 1\n", "src/ratchet/rows.py": b"ROWS = 1\n", "model.py": b"x = 1\n"}


def wheel(*files: tuple[str, bytes]) -> bytes:
    """A wheel with these files, a name more than once if it is given so, and what is for installers."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in (*files, ("coins_runtime-1.dist-info/METADATA", b"Name: coins-runtime\n")):
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def found(*files: tuple[str, bytes]) -> list[str]:
    """The strays of a bundle with these files in its wheel."""
    return strays({"manifest.json": b"{}", "coins.whl": wheel(*files)}, [{}, TREE])


def test_what_a_commit_has_is_no_stray() -> None:
    """In any of the trees; what only installers read is not looked at."""
    assert found(("coins/model/estimator.py", b"MODEL = 1\n"), ("ratchet/rows.py", b"ROWS = 1\n")) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("coins/model/estimator.py", b"MODEL = 2\n"),
        ("coins/model/estimator.py", b"MODEL = 1\n# more"),
        ("coins/more.py", b""),
        ("model.py", b"x = 1\n"),
        ("sitecustomize.py", b"import os\n"),
        ("coins/a.dist-info/model.py", b"MODEL = 1\n"),
        ("coins//model.py", b"MODEL = 1\n"),
    ],
)
def test_anything_else_is_one(name: str, content: bytes) -> None:
    """Other content, another name, another place; only the top of a wheel has a folder for installers."""
    assert found(("ratchet/rows.py", b"ROWS = 1\n"), (name, content)) == [name]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_files_with_one_name_both_count() -> None:
    """Whichever an unpacker would take."""
    good, bad = ("coins/model/estimator.py", b"MODEL = 1\n"), ("coins/model/estimator.py", b"MODEL = 2\n")

    assert found(good, bad) == found(bad, good) == ["coins/model/estimator.py"]


def test_a_wheel_that_cannot_be_read_is_one() -> None:
    """Cut off, or no archive at all."""
    whole = wheel(("coins/model/estimator.py", b"MODEL = 1\n"))

    assert strays({"a.whl": whole[:-30], "b.whl": b"no zip", "c.whl": whole}, [TREE]) == ["a.whl", "b.whl"]


def test_what_is_compared_is_what_is_unpacked() -> None:
    """An image gets these members and no others."""
    with zipfile.ZipFile(io.BytesIO(wheel(("coins/a.dist-info/b.py", b""), ("/etc/x.py", b"")))) as opened:
        assert [one.filename for one in members(opened)] == ["coins/a.dist-info/b.py", "/etc/x.py"]

"""Files: whole or not at all, the same bytes for the same values, and damage that is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ratchet import files
from ratchet.errors import RatchetError

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import pandas as pd
import numpy as np
from ratchet import files
from ratchet.errors import told_to_the_user

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails, as on a full disk, instead of the process
target = Path(sys.argv[1])
frame = pd.DataFrame({"x": np.random.default_rng(0).random(10_000)})
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
with told_to_the_user():
    WRITE
"""


def run_out_of_space(write: str, target: Path) -> subprocess.CompletedProcess[str]:
    """Run one line that writes `target` where no file may be larger than 4 KiB."""
    program = FULL_DISK.replace("WRITE", write)
    return subprocess.run(
        [sys.executable, "-c", program, str(target)], capture_output=True, text=True, check=False, timeout=60
    )


def frame() -> pd.DataFrame:
    """A column of each kind, with gaps."""
    return pd.DataFrame(
        {
            "number": [1.5, np.nan, -0.0],
            "count": pd.array([1, pd.NA, 3], dtype="Int64"),
            "text": pd.array(["a", None, "ü"], dtype="str"),
        }
    )


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden names too."""
    return sorted(path.name for path in folder.iterdir())


class TestWriting:
    """One file."""

    def test_a_file_is_replaced_and_its_folder_made(self, tmp_path: Path) -> None:
        """Missing parents are made; nothing but the file stays; anyone may read it."""
        path = tmp_path / "a" / "b.txt"

        files.write_text(path, "old\n")
        files.write_text(path, "für\n")

        assert path.read_bytes() == b"f\xc3\xbcr\n"
        assert names(path.parent) == ["b.txt"]
        assert path.stat().st_mode & 0o777 == 0o644

    def test_json_is_sorted_indented_and_ends_its_line(self, tmp_path: Path) -> None:
        """The order in which a mapping was filled leaves no trace; text stays readable."""
        files.write_json(tmp_path / "a.json", {"b": 1, "a": ["ü"]})
        files.write_json(tmp_path / "b.json", {"a": ["ü"], "b": 1})

        assert (tmp_path / "a.json").read_text() == '{\n  "a": [\n    "ü"\n  ],\n  "b": 1\n}\n'
        assert files.sha256(tmp_path / "a.json") == files.sha256(tmp_path / "b.json")

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
    def test_json_refuses_what_json_has_not(self, value: float, tmp_path: Path) -> None:
        """NaN and infinity are an error of the caller, and the file stays as it was."""
        path = tmp_path / "a.json"
        files.write_json(path, {"x": 1})

        with pytest.raises(ValueError, match="not JSON compliant"):
            files.write_json(path, {"x": value})

        assert files.read_json(path) == {"x": 1}
        assert names(tmp_path) == ["a.json"]

    def test_equal_frames_give_equal_bytes(self, tmp_path: Path) -> None:
        """Made anew, reordered and put back, or read back: the same file."""
        files.write_parquet(tmp_path / "first", frame())
        files.write_parquet(tmp_path / "second", frame().iloc[::-1].iloc[::-1])
        files.write_parquet(tmp_path / "third", files.read_parquet(tmp_path / "first"))

        assert len({files.sha256(tmp_path / name) for name in ("first", "second", "third")}) == 1

    def test_the_index_of_a_frame_is_left_out(self, tmp_path: Path) -> None:
        """Which rows of a larger frame these were is no content."""
        files.write_parquet(tmp_path / "first", frame())
        files.write_parquet(tmp_path / "second", frame().set_index(pd.Index([7, 8, 9])))

        assert files.sha256(tmp_path / "first") == files.sha256(tmp_path / "second")

    def test_a_frame_comes_back_as_it_was(self, tmp_path: Path) -> None:
        """Values, gaps and types."""
        files.write_parquet(tmp_path / "a.parquet", frame())

        pd.testing.assert_frame_equal(files.read_parquet(tmp_path / "a.parquet"), frame())

    def test_a_copy_has_the_same_bytes(self, tmp_path: Path) -> None:
        """And a copy of nothing leaves nothing behind."""
        (tmp_path / "source").write_bytes(b"\x00\x01")

        files.copy(tmp_path / "source", tmp_path / "target")
        with pytest.raises(FileNotFoundError):
            files.copy(tmp_path / "nothing", tmp_path / "target")

        assert (tmp_path / "target").read_bytes() == b"\x00\x01"
        assert names(tmp_path) == ["source", "target"]

    def test_the_digest_is_that_of_the_bytes(self, tmp_path: Path) -> None:
        """SHA-256 of `abc`, from FIPS 180-2."""
        (tmp_path / "abc").write_bytes(b"abc")

        assert files.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    @pytest.mark.parametrize("write", ["files.write_text(target, 'x' * 10_000)", "files.write_parquet(target, frame)"])
    def test_a_full_disk_leaves_the_old_file(self, write: str, tmp_path: Path) -> None:
        """The person reads what failed and that nothing was lost; no temporary name stays."""
        target = tmp_path / "target"
        target.write_text("old")

        done = run_out_of_space(write, target)

        assert done.returncode == 2
        assert "File too large" in done.stderr
        assert "what was there before is unchanged" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert target.read_text() == "old"
        assert names(tmp_path) == ["target"]


class TestDirectory:
    """A folder, whole or not at all."""

    def test_a_folder_is_replaced_whole(self, tmp_path: Path) -> None:
        """What was in the old one and is not in the new one is gone."""
        target = tmp_path / "a" / "folder"
        with files.directory(target) as new:
            (new / "old").touch()

        with files.directory(target) as new:
            (new / "new").touch()
            assert names(target) == ["old"]

        assert names(target) == ["new"]
        assert names(target.parent) == ["folder"]

    def test_an_error_inside_leaves_the_old_folder(self, tmp_path: Path) -> None:
        """The old content, untouched, and no temporary name beside it."""
        target = tmp_path / "folder"
        with files.directory(target) as new:
            (new / "file").write_text("old")

        with pytest.raises(FileNotFoundError), files.directory(target) as new:
            files.copy(tmp_path / "nothing", new / "file")

        assert (target / "file").read_text() == "old"
        assert names(target) == ["file"]
        assert names(tmp_path) == ["folder"]

    def test_an_error_inside_makes_no_folder(self, tmp_path: Path) -> None:
        """Where there was none, there is none."""
        with pytest.raises(KeyError), files.directory(tmp_path / "folder"):
            raise KeyError

        assert names(tmp_path) == []

    def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(self, tmp_path: Path) -> None:
        """The old folder comes back when the last rename fails; here the new one is gone by then."""
        target = tmp_path / "folder"
        with files.directory(target) as new:
            (new / "file").write_text("old")

        with pytest.raises(FileNotFoundError), files.directory(target) as new:
            new.rmdir()

        assert (target / "file").read_text() == "old"
        assert names(tmp_path) == ["folder"]

    def test_a_folder_takes_the_place_of_a_file(self, tmp_path: Path) -> None:
        """Whatever was there before."""
        (tmp_path / "folder").write_text("a file")

        with files.directory(tmp_path / "folder") as new:
            (new / "file").touch()

        assert names(tmp_path / "folder") == ["file"]
        assert names(tmp_path) == ["folder"]

    def test_a_full_disk_leaves_the_old_folder(self, tmp_path: Path) -> None:
        """One file that does not fit, and the whole folder stays as it was."""
        target = tmp_path / "folder"
        with files.directory(target) as new:
            (new / "file").write_text("old")
        write = "with files.directory(target) as new: (new / 'a').touch(); files.write_parquet(new / 'b', frame)"

        done = run_out_of_space(write, target)

        assert done.returncode == 2
        assert "what was there before is unchanged" in done.stderr
        assert names(target) == ["file"]
        assert (target / "file").read_text() == "old"
        assert names(tmp_path) == ["folder"]


class TestReading:
    """What cannot be read says which file, and why."""

    @pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b"\xff"])
    def test_damaged_json_is_told(self, content: bytes, tmp_path: Path) -> None:
        """Empty, truncated, Python's notation, no text."""
        (tmp_path / "a.json").write_bytes(content)

        with pytest.raises(RatchetError, match=r"a\.json: is not valid JSON: "):
            files.read_json(tmp_path / "a.json")

    def test_missing_json_is_told(self, tmp_path: Path) -> None:
        """With the system's own word for it."""
        with pytest.raises(RatchetError, match=r"a\.json: cannot be read: No such file or directory"):
            files.read_json(tmp_path / "a.json")

    @pytest.mark.parametrize("kept", [0, 4, 100, -1])
    def test_truncated_parquet_is_told(self, kept: int, tmp_path: Path) -> None:
        """However much of the file is left."""
        path = tmp_path / "a.parquet"
        files.write_parquet(path, frame())
        path.write_bytes(path.read_bytes()[:kept])

        with pytest.raises(RatchetError, match=r"a\.parquet: is not a readable Parquet file: ") as caught:
            files.read_parquet(path)

        assert "\n" not in str(caught.value)

    def test_parquet_with_damage_inside_is_told(self, tmp_path: Path) -> None:
        """The end of the file is whole, and says where pages lie that are not."""
        path = tmp_path / "a.parquet"
        files.write_parquet(path, pd.DataFrame({"x": np.random.default_rng(0).random(1000)}))
        content = bytearray(path.read_bytes())
        content[4:400] = bytes(396)
        path.write_bytes(content)

        with pytest.raises(RatchetError, match=r"a\.parquet: is not a readable Parquet file: "):
            files.read_parquet(path)

    def test_missing_parquet_says_what_makes_it(self, tmp_path: Path) -> None:
        """Data files are not in git: DVC makes or fetches them."""
        with pytest.raises(RatchetError, match=r"a\.parquet: does not exist; `dvc repro` makes it, `dvc pull` fetches"):
            files.read_parquet(tmp_path / "a.parquet")


class TestReadRows:
    """Tables that people have."""

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("rows.csv", "metal,force\ngold,1.5\niron,\n"),
            ("rows.jsonl", '{"metal": "gold", "force": 1.5}\n{"metal": "iron", "force": null}\n'),
            ("rows.ndjson", '{"metal": "gold", "force": 1.5}\n{"metal": "iron"}\n'),
        ],
    )
    def test_text_kinds_give_the_same_rows(self, name: str, content: str, tmp_path: Path) -> None:
        """CSV and JSON lines, with a gap."""
        (tmp_path / name).write_text(content)

        found = files.read_rows(tmp_path / name)

        assert list(found.columns) == ["metal", "force"]
        assert found["metal"].tolist() == ["gold", "iron"]
        assert found["force"].fillna(-1).tolist() == [1.5, -1.0]

    def test_json_lines_keep_text_as_it_stands(self, tmp_path: Path) -> None:
        """What looks like a date or a number in quotes is text, as it is for the service."""
        (tmp_path / "rows.jsonl").write_text('{"date": "2013-04-01", "modified": "2013-04-01", "number": "007"}\n')

        assert files.read_rows(tmp_path / "rows.jsonl").to_dict("records") == [
            {"date": "2013-04-01", "modified": "2013-04-01", "number": "007"}
        ]

    def test_csv_text_is_text_where_the_schema_says_so(self, tmp_path: Path) -> None:
        """Digits in a text column stay as they are written; a file without the column is none the worse."""
        (tmp_path / "rows.csv").write_text("code,count\n007,007\n,\n")

        found = files.read_rows(tmp_path / "rows.csv", ["code", "absent"])

        assert found["code"].tolist()[0] == "007"
        assert found["code"].isna().tolist() == [False, True]
        assert found["count"].tolist()[0] == 7

    @pytest.mark.parametrize("kind", ["csv", "jsonl"])
    def test_numbers_are_read_to_the_last_bit(self, kind: str, tmp_path: Path) -> None:
        """A model may split right there."""
        values = [*np.random.default_rng(0).uniform(0, 10, 1000), *np.random.default_rng(1).random(1000).round(2)]
        line = "%r" if kind == "csv" else '{"x": %r}'
        text = "\n".join(line % float(value) for value in values)
        (tmp_path / f"rows.{kind}").write_text(text if kind == "jsonl" else f"x\n{text}\n")

        assert files.read_rows(tmp_path / f"rows.{kind}")["x"].tolist() == values

    def test_parquet_is_read_as_it_is(self, tmp_path: Path) -> None:
        """The same as `read_parquet`."""
        files.write_parquet(tmp_path / "rows.parquet", frame())

        pd.testing.assert_frame_equal(files.read_rows(tmp_path / "rows.parquet"), frame())

    @pytest.mark.parametrize("name", ["rows.xlsx", "rows", "rows.csv.bak"])
    def test_other_kinds_are_refused(self, name: str, tmp_path: Path) -> None:
        """The kinds that are known are listed."""
        (tmp_path / name).touch()

        with pytest.raises(RatchetError, match=r"is of no known kind; name a \.parquet, \.csv or \.jsonl file"):
            files.read_rows(tmp_path / name)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("rows.csv", b""),
            ("rows.csv", b'a,b\n"unclosed'),
            ("rows.csv", b"a,b\n1,2\n1,2,3\n"),
            ("rows.csv", b"a\n\xff\n"),
            ("rows.jsonl", b'{"a": 1}\n{"a":'),
            ("rows.parquet", b"PAR1"),
        ],
    )
    def test_damaged_rows_are_told(self, name: str, content: bytes, tmp_path: Path) -> None:
        """On one line that begins with the file."""
        (tmp_path / name).write_bytes(content)

        with pytest.raises(RatchetError, match=rf"{name}: (cannot be read|is not a readable)") as caught:
            files.read_rows(tmp_path / name)

        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
    def test_missing_rows_are_told(self, name: str, tmp_path: Path) -> None:
        """Whatever their kind."""
        with pytest.raises(RatchetError, match=rf"{name}: (cannot be read|does not exist)"):
            files.read_rows(tmp_path / name)

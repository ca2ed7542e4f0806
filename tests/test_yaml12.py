"""YAML of the project: read as DVC reads it, refused where YAML 1.1 reads it otherwise, bounded whatever comes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import parse_yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ratchet import params, yaml12
from ratchet.errors import RatchetError

PARAMS = b"""# what a person wrote
model: # of trees
  rate:   0.1   # slow
  max_iter: 150 # enough

  leaves: [1,  2]
"""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("010", "010 is 8 to YAML 1.1 and 10 to YAML 1.2 (DVC's): write 10, or quote it"),
        ("-010", "-010 is -8 to YAML 1.1 and -10 to YAML 1.2 (DVC's): write -10, or quote it"),
        ("08", '08 is "08" to YAML 1.1 and 8 to YAML 1.2 (DVC\'s): write 8, or quote it'),
        ("0o10", '0o10 is "0o10" to YAML 1.1 and 8 to YAML 1.2 (DVC\'s): write 8, or quote it'),
        ("2:30", "2:30 is 150 to YAML 1.1 and '2:30' to YAML 1.2 (DVC's): write 150, or quote it"),
        ("1:30.5", "1:30.5 is 90.5 to YAML 1.1 and '1:30.5' to YAML 1.2 (DVC's): write 90.5, or quote it"),
        ("yes", "yes is true to YAML 1.1 and 'yes' to YAML 1.2 (DVC's): write true, or quote it"),
        ("No", "No is false to YAML 1.1 and 'No' to YAML 1.2 (DVC's): write false, or quote it"),
        ("off", "off is false to YAML 1.1 and 'off' to YAML 1.2 (DVC's): write false, or quote it"),
        ("1e3", '1e3 is "1e3" to YAML 1.1 and 1000.0 to YAML 1.2 (DVC\'s): write 1000.0, or quote it'),
        ("1e-05", '1e-05 is "1e-05" to YAML 1.1 and 1.0e-05 to YAML 1.2 (DVC\'s): write 1.0e-05, or quote it'),
        ("1.5e3", '1.5e3 is "1.5e3" to YAML 1.1 and 1500.0 to YAML 1.2 (DVC\'s): write 1500.0, or quote it'),
        ("+.5", '+.5 is "+.5" to YAML 1.1 and 0.5 to YAML 1.2 (DVC\'s): write 0.5, or quote it'),
    ],
)
@pytest.mark.parametrize("place", ["a: 1\nb: {}\n", "a: 1\nb: [1, {}]\n", "a: 1\n{}: 1\n", "a: 1\n&x {}: *x\n"])
def test_a_value_with_two_readings_is_refused_with_its_line_and_both(written: str, said: str, place: str) -> None:
    """As a value, in a list, and as a key; the message says what to write instead."""
    with pytest.raises(RatchetError) as caught:
        yaml12.read(place.format(written).encode(), "params.yaml")

    assert str(caught.value) == f"params.yaml line 2: {said}"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0x1F", 31),
        ("0b11", 3),
        ("1_000", 1000),
        (".5", 0.5),
        ("+1", 1),
        ("00", 0),
        ("1.0e-05", 1e-05),
        ("~", None),
        ("", None),
        ("TRUE", True),
        ("y", "y"),
        ("2013-01", "2013-01"),  # a month
        ("2013-Q1", "2013-Q1"),
        ('"010"', "010"),
        ("'no'", "no"),
        ('"2013-01-01"', "2013-01-01"),
        ("|\n  010\n", "010\n"),
    ],
)
def test_a_value_with_one_reading_is_what_dvc_reads(written: str, value: object) -> None:
    """Also one in quotes, whatever is in them."""
    text = f"a: {written}\n"
    assert yaml12.read(text.encode(), "params.yaml") == {"a": value} == parse_yaml(text, "params.yaml")


@pytest.mark.parametrize("written", ["2013-01-01", "2013-01-01 10:00:00", "2013-01-01T10:00:00Z"])
def test_a_date_is_refused(written: str) -> None:
    """It would be a date in params.yaml, and a text wherever JSON carries it."""
    with pytest.raises(RatchetError, match=rf"^p line 2: {written} is a date to YAML: quote it$"):
        yaml12.read(f"a:\n- {written}\n".encode(), "p")


@pytest.mark.parametrize("written", [".inf", "-.inf", ".nan", "1.0e+999"])
def test_what_is_no_finite_number_is_refused(written: str) -> None:
    """No record could hold it, and `.nan` would be another value than itself."""
    with pytest.raises(RatchetError, match=rf"^p line 2: {re.escape(written)} is no finite number: write one$"):
        yaml12.read(f"a:\n- {written}\n".encode(), "p")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 'duplicate key "a"'),
        ("a: 1\n---\nb: 2\n", "but found another document"),
        ("%YAML 1.1\n---\na: 010\n", "has a directive of YAML"),
        ("%TAG ! tag:x,2000:\n---\na: 1\n", "has a directive of YAML"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", "has a tag of YAML in line 2"),
        ("a: !!binary aGk=\n", "has a tag of YAML in line 1"),
        ("a: ! 010\n", "has a tag of YAML in line 1"),
        ("a:\n\t- 1\n", "line 2, column 1"),
        ("a: =\n", "tag:yaml.org,2002:value"),
        ("a: <<\n", "tag:yaml.org,2002:merge"),
        ("a: 2013-02-30\n", "day"),
        ("a: -_\n", "invalid literal"),
        (f"a: {'9' * 5000}\n", "integer string conversion"),
        ("a: *nobody\n", "undefined alias"),
        ("a: \0\n", "control characters"),
        ("&a [*a]\n", "nested too deeply"),
        ("[" * 1000 + "]" * 1000, "nested too deeply"),
        ("- " * 100_000 + "a", "nested too deeply"),
        ("{a: " * 5000, "nested too deeply"),
        (
            "a: &a [1, 1]\n"
            + "".join(f"{c}: &{c} [{f'*{b}, ' * 9}]\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True)),
            "too large when its aliases are written out",
        ),
        ("a: 1\n" + "# more\n" * 200_000, "at most 1000000 are read"),
    ],
)
@pytest.mark.parametrize("reads", [yaml12.read, yaml12.read_as_dvc])
def test_what_is_no_plain_yaml_is_one_error(content: str, said: str, reads: Any) -> None:
    """Never a crash, never a value of a strange kind, and never a message longer than a few lines."""
    with pytest.raises(RatchetError) as caught:
        reads(content.encode(), "params.yaml")

    assert str(caught.value).startswith("params.yaml: ")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("content", [b"\xff\xfea\x00", b"a: \xe4\n"])
def test_bytes_that_are_no_utf_8_are_an_error(content: bytes) -> None:
    """Another encoding is not guessed at."""
    with pytest.raises(RatchetError, match=r"params\.yaml: is not valid YAML: 'utf-8' codec can't decode"):
        yaml12.read(content, "params.yaml")


def test_a_byte_order_mark_and_merges_are_read() -> None:
    """Editors write the one, people the other."""
    assert yaml12.read(b"\xef\xbb\xbfa: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}\n", "p") == {
        "a": {"b": 1, "c": 2},
        "d": {"b": 1, "c": 3},
    }


def test_what_a_program_wrote_is_read_as_dvc_reads_it() -> None:
    """A lock of DVC holds `1e-05` and `no`, without quotes."""
    assert yaml12.read_as_dvc(b"a: 1e-05\nb: no\nc: 010\nd: 12:30\n", "dvc.lock") == {
        "a": 1e-05,
        "b": "no",
        "c": 10,
        "d": "12:30",
    }


SCALARS = st.one_of(
    st.from_regex(r"[-+.0-9_xobeE:]{1,8}", fullmatch=True),
    st.sampled_from(
        ["yes", "NO", "On", "off", "y", "True", "null", "~", "=", "<<", ".inf", "-.INF", ".nan", "2013-01"]
    ),
    st.from_regex(r"20\d\d-\d\d?(-\d\d?)?", fullmatch=True),
    st.text("ab0\u00e4\u2028\t#:,[]{}&*!|>'\"%@` -?", max_size=8),
)
TEXTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]"),
        st.lists(st.tuples(SCALARS, inner), max_size=3).map(
            lambda found: "{" + ", ".join(f"{key}: {value}" for key, value in found) + "}"
        ),
    ),
    max_leaves=8,
)


def same(left: Any, right: Any) -> bool:
    return repr(left) == repr(right)


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3), st.booleans())
@example(["010", "1e3"], True)
def test_whatever_is_accepted_is_the_same_to_dvc_and_to_yaml_1_1(found: list[str], block: bool) -> None:
    """DVC's own reader, and PyYAML's: two that are not ours; what is read for a program is at least what DVC reads."""
    text = "".join(f"k{number}: {value}\n" for number, value in enumerate(found)) if block else f"[{', '.join(found)}]"
    try:
        value = yaml12.read(text.encode(), "p")
    except RatchetError:
        try:
            value = yaml12.read_as_dvc(text.encode(), "p")
        except RatchetError:
            return
        assert same(value or {}, parse_yaml(text, "p"))
        return
    assert same(value or {}, parse_yaml(text, "p"))
    assert same(value, yaml.load(text, yaml.CSafeLoader))


PLAIN = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=12),
        SCALARS,
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(PLAIN)
@example("1e3")
@example("no")
@example("0\x850")
@example(1e-05)
def test_a_line_that_is_written_is_read_back_by_both(value: Any) -> None:
    """A text that would be a number to one of the two is put in quotes."""
    line = yaml12.write_line(value)

    assert "\n" not in line
    assert same(yaml12.read(f"a: {line}\n".encode(), "p"), {"a": value})


@settings(max_examples=100, deadline=None)
@given(value=PLAIN)
def test_an_edited_file_is_the_old_one_with_the_new_value(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As DVC reads it; every other line stays, its comments and the ends of lines, too."""
    path = tmp_path_factory.mktemp("edited") / "params.yaml"
    before = PARAMS.replace(b"\n", b"\r\n")
    path.write_bytes(before)

    params.edit(path, {"model.max_iter": value})

    after = path.read_bytes()
    expected = parse_yaml(before.decode(), "params.yaml")
    expected["model"]["max_iter"] = value
    assert same(parse_yaml(after.decode(), "params.yaml"), expected)
    assert [line for line in after.split(b"\r\n") if b"max_iter" not in line] == [
        line for line in before.split(b"\r\n") if b"max_iter" not in line
    ]

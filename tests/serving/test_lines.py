"""A line of the prediction log: what came as JSON goes in as it came, and what is private never does."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.serving import lines

ANSWER = b'{"id":"a","score":0.25,"decision":true}'
NOON = 1_372_939_200.25  # 2013-07-04 12:00:00.25 UTC
NAMES = ("origin", "flight", "tailnum", "Kürzel", 'a"b', "score", ",", ":1,")

WRITTEN = [(",", ":"), (", ", ": "), (" ,\n", " : ")]  # between values, and between name and value

texts = st.text(max_size=8) | st.sampled_from(['"', ",", ":", "\\", "tailnum", '"tailnum":', "\u2028", "}"])
values = texts | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.none()
rows = st.lists(st.tuples(st.sampled_from(NAMES), values), unique_by=lambda pair: pair[0]).map(dict)


def line(inputs: lines.Inputs, private: tuple[str, ...] = ("tailnum",), at: float = NOON) -> bytes:
    return lines.encoder(private, b"")(ANSWER, at, inputs, 0.0005)


class TestAsItCame:
    """The bytes of a request."""

    def test_a_body_is_part_of_its_line_as_it_came(self) -> None:
        """With its own spaces and figures, in the place of the row."""
        assert line(b'{"origin": "EWR", "hour": 1.50}') == (
            b'{"id":"a","score":0.25,"decision":true,"at":"2013-07-04T12:00:00.250000Z","seconds":0.0005,'
            b'"inputs":{"origin": "EWR", "hour": 1.50}}\n'
        )

    @pytest.mark.parametrize("at", [0.0, NOON, NOON + 0.001, 1_372_939_199.999999, 1_372_939_200.000001])
    def test_the_time_is_the_one_that_was_given(self, at: float) -> None:
        """To a microsecond, over the end of a second, a minute and an hour."""
        found = datetime.fromisoformat(json.loads(line(b"{}", at=at))["at"])

        assert found.timestamp() == pytest.approx(at, abs=1e-6, rel=0)

    @pytest.mark.parametrize("blank", ["\n", "\r", "\r\n", "\n  "])
    def test_a_body_of_many_lines_becomes_one(self, blank: str) -> None:
        """A line of the log ends where it ends, for readers that break at a carriage return too."""
        found = line(f'{{{blank}"origin":{blank}"EWR"}}{blank}'.encode())

        assert len(found.splitlines()) == 1
        assert json.loads(found)["inputs"] == {"origin": "EWR"}


class TestPrivate:
    """What the schema marks private."""

    @pytest.mark.parametrize(
        "body",
        [
            '{"tailnum":"N1","origin":"EWR"}',
            '{"origin":"EWR","tailnum":"N1"}',
            '{"origin":"EWR","tailnum":null}',
            '{"tailnum":null,"origin":"EWR"}',
            '{"tailnum":-1.5e3 , "origin":"EWR"}',
            '{ "tailnum" : "N1" , "origin" : "EWR" }',
            '{"tailnum": "N1", "origin": "EWR"}',
            '{"tailnum":"N,1","origin":"EWR"}',
            '{"tailnum":"N,1,","origin":"EWR"}',
            '{"tailnum":"","origin":"EWR"}',
            '{"tailnum":"}","origin":"EWR"}',
            '{"tailnum":"N\\"1,","origin":"EWR"}',
            '{"tailn\\u0075m":"N1","origin":"EWR"}',
            '{"tailnum"\n:"N1","origin":"EWR"}',
            '{"origin":"EWR"}',
        ],
    )
    def test_a_private_column_is_left_out_however_it_is_written(self, body: str) -> None:
        """First, last, spaced, escaped, with commas and quotes in it."""
        assert json.loads(line(body.encode()))["inputs"] == {"origin": "EWR"}

    def test_a_text_that_says_the_name_stays(self) -> None:
        """Only names are names."""
        assert json.loads(line(b'{"origin":"tailnum","tailnum":"N1","dest":"a"}'))["inputs"] == {
            "origin": "tailnum",
            "dest": "a",
        }

    @pytest.mark.parametrize(
        ("name", "body"),
        [
            (",", '{"origin":"x",":y":"a,b",",":"secret","hour":1}'),
            (" , ", '{"origin":"x" , ":y":"a,b"," , ":"secret","hour":1}'),
            (":", '{"origin":":y,","a":"b",":":"secret","hour":1}'),
            (":1,", '{"origin":1,":y":"a,b",":1,":"secret","hour":1}'),
        ],
    )
    def test_a_name_of_what_stands_between_texts_is_found_where_it_is_one(self, name: str, body: str) -> None:
        """The end of one text and the beginning of the next are no quotes around it."""
        whole = json.loads(body)

        assert json.loads(line(body.encode(), (name,)))["inputs"] == {key: whole[key] for key in whole if key != name}

    def test_columns_do_not_share_hashes(self) -> None:
        """The same value in two columns cannot be told to be the same, nor under two salts."""
        hashes = {lines.hashed("a", "x", b"1"), lines.hashed("b", "x", b"1"), lines.hashed("a", "x", b"2")}

        assert len(hashes) == 3
        assert lines.hashed("a", "x", b"1") in hashes

    @given(
        rows,
        st.sets(st.sampled_from(NAMES)),
        st.booleans(),
        st.sampled_from(WRITTEN),
    )
    def test_whatever_is_asked_the_line_holds_it_without_what_is_private(
        self, row: dict[str, Any], private: set[str], ascii_only: bool, separators: tuple[str, str]
    ) -> None:
        """Any row, any names, in any way to write JSON."""
        body = json.dumps(row, ensure_ascii=ascii_only, separators=separators).encode()

        found = line(body, tuple(private))

        assert found.count(b"\n") == 1
        assert json.loads(found)["inputs"] == {name: value for name, value in row.items() if name not in private}

"""What a request may hold: every kind of bad row is refused by name, and nothing else is."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratchet.serving.request import Refused, Rows, rule

SCHEMA = {
    "type": "object",
    "properties": {
        "month": {"type": "integer", "minimum": 1, "maximum": 12},
        "turns": {"type": "integer"},
        "force": {"type": ["number", "null"], "minimum": -5, "exclusiveMaximum": 10},
        "weight": {"type": "number"},
        "side": {"type": "string", "enum": ["up", "down"]},
        "metal": {"type": ["string", "null"], "enum": ["gold", "tin", None]},
        "step": {"type": ["number", "null"], "enum": [0.5, 2, None]},
        "code": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "note": {"type": ["string", "null"], "minLength": 1, "maxLength": 4},
    },
    "required": ["month", "side"],
    "additionalProperties": False,
}
ROWS = Rows(SCHEMA, max_rows=3)
GOOD = {"month": 7, "side": "up"}


def refused(body: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        ROWS.one(body)
    return caught.value


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("month", 0, "an integer, at least 1, at most 12"),
        ("month", 13, "an integer, at least 1, at most 12"),
        ("month", 1.5, "an integer, at least 1, at most 12"),
        ("month", "7", "an integer, at least 1, at most 12"),
        ("month", True, "an integer, at least 1, at most 12"),
        ("month", None, "an integer, at least 1, at most 12"),
        ("month", [7], "an integer, at least 1, at most 12"),
        ("turns", 2**63, "an integer of 64 bits"),
        ("turns", -(2**63) - 1, "an integer of 64 bits"),
        ("force", 10, "a finite number, at least -5, less than 10, or null"),
        ("force", "1.5", "a finite number, at least -5, less than 10, or null"),
        ("force", False, "a finite number, at least -5, less than 10, or null"),
        ("weight", {"kg": 1}, "a finite number"),
        ("weight", None, "a finite number"),
        ("side", "left", "one of up, down"),
        ("side", "", "one of up, down"),
        ("side", 1, "one of up, down"),
        ("metal", "iron", "one of gold, tin, or null"),
        ("step", 1, "one of 0.5, 2, or null"),
        ("step", True, "one of 0.5, 2, or null"),
        ("code", "AB\n", "text, matching ^[A-Z]{2}$"),
        ("code", "ABC", "text, matching ^[A-Z]{2}$"),
        ("code", 12, "text, matching ^[A-Z]{2}$"),
        ("note", "", "text, at least 1 characters, at most 4 characters, or null"),
        ("note", "12345", "text, at least 1 characters, at most 4 characters, or null"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field_and_rule(field: str, value: Any, expected: str) -> None:
    """422, and what is said is what the field must be, not how the checker puts it."""
    found = refused(json.dumps(GOOD | {field: value}).encode())
    assert found.status == 422
    assert found.error == f"{field}: {expected}"
    assert [(detail["field"], detail["rule"]) for detail in found.details] == [(field, expected)]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
@pytest.mark.parametrize("field", ["month", "weight"])
def test_what_is_not_finite_is_no_number(field: str, number: str) -> None:
    """Python's own reader would let all of these in."""
    found = refused(b'{"month": 7, "side": "up", "%s": %s}' % (field.encode(), number.encode()))
    assert (found.status, found.details[0]["field"]) == (422, field)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"month": 7, "side": "up"} x',
        b'{"month": 7, "side": "up",}',
        b"{'month': 7}",
        b'{"month": 07, "side": "up"}',
        b'\xef\xbb\xbf{"month": 7, "side": "up"}',
        b'{"month": 7, "side": "\xff"}',
        b'{"month": 7, "side": "\\ud800"}',
        b"[" * 100_000,
        b'{"month": ' * 5_000,
        b'{"month": ' + b"9" * 5000 + b', "side": "up"}',
        b"\x00",
    ],
)
def test_what_is_no_json_is_refused_as_such(body: bytes) -> None:
    """400, however deep or long."""
    assert refused(body).status == 400


@pytest.mark.parametrize(("body", "value"), [(b"[]", "a list of 0"), (b"5", "5"), (b'"x"', '"x"'), (b"null", "null")])
def test_a_row_is_an_object(body: bytes, value: str) -> None:
    """Any other JSON is well formed, and no row."""
    assert refused(body).details == [{"field": "", "rule": "an object", "value": value}]


def test_an_unknown_field_is_refused() -> None:
    """A misspelt field must not pass for one that is missing."""
    assert refused(b'{"month": 7, "side": "up", "metall": "gold"}').details == [
        {"field": "metall", "rule": "no such field", "value": '"gold"'}
    ]


def test_a_missing_field_is_named_after_those_that_are_wrong() -> None:
    """With what it should hold."""
    assert refused(b'{"note": ""}').details == [
        {"field": "note", "rule": "text, at least 1 characters, at most 4 characters, or null", "value": '""'},
        {"field": "month", "rule": "required: an integer, at least 1, at most 12"},
        {"field": "side", "rule": "required: one of up, down"},
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'{"month": 7, "side": "up", "month": 7}',
        b'{"month": 1, "side": "up", "\\u006donth": 7}',
        b'{"month": {"a": [1, 2]}, "side": "up", "month": 7}',
    ],
)
def test_a_field_that_is_given_twice_is_refused(body: bytes) -> None:
    """Which of two values counts depends on the reader; also when one is written with escapes, or would be junk."""
    found = refused(body)
    assert (found.status, found.error) == (422, "month: given twice")


def test_a_colon_in_a_value_is_no_second_field() -> None:
    """Colons are how fields are counted."""
    assert ROWS.one(b'{"month": 7, "side": "up", "note": "a::b"}')["note"] == "a::b"


def test_junk_that_does_not_count_is_refused_too() -> None:
    """A number that no reader takes stands where a later one replaces it."""
    assert refused(b'{"month": 7, "side": "up", "month": ' + b"9" * 4400 + b', "month": 1}').status in {400, 422}


@pytest.mark.parametrize("number", ["7.0", "7e0", "70e-1"])
def test_a_whole_number_is_an_integer_however_it_is_written(number: str) -> None:
    """As in JSON Schema; what reaches the model and the log is the integer."""
    row = ROWS.one(b'{"month": %s, "side": "up", "force": 2}' % number.encode())
    assert row == {"month": 7, "side": "up", "force": 2.0}
    assert type(row["month"]) is int


def test_whole_numbers_are_still_held_to_their_range() -> None:
    """13.0 is an integer, and no month."""
    assert refused(b'{"month": 13.0, "side": "up"}').error == "month: an integer, at least 1, at most 12"


def test_a_batch_is_refused_by_its_first_bad_row() -> None:
    """Index, field and rule are named; rows after it are not looked at."""
    with pytest.raises(Refused) as caught:
        ROWS.many(b'{"rows": [{"month": 7, "side": "up"}, {"month": 7.0, "side": "left"}, {"month": 99}]}')
    assert caught.value.details == [{"field": "rows[1].side", "rule": "one of up, down", "value": '"left"'}]


@pytest.mark.parametrize("count", [0, 4])
def test_a_batch_has_its_bounds(count: int) -> None:
    """An empty one is refused as well as one that is too long."""
    with pytest.raises(Refused) as caught:
        ROWS.many(json.dumps({"rows": [GOOD] * count}).encode())
    assert caught.value.details == [{"field": "rows", "rule": "a list of 1 to 3 rows", "value": f"a list of {count}"}]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"rows": [5]}', "rows[0]"),
        (b'{"rows": [{"month": 7.0, "side": "up"}, null]}', "rows[1]"),
        (b'{"rows": {"month": 7}}', "rows"),
        (b'{"rows": [{"month": 7, "side": "up"}], "row": 1}', "row"),
        (b'{"row": []}', "row"),
        (b'{"rows": [{"month": 7, "side": "up"}], "rows": [{"month": 7, "side": "up"}]}', "rows"),
        (b'{"rows": [{"month": 7, "side": "up", "side": "up"}]}', "side"),
    ],
)
def test_what_is_no_batch_is_refused_by_name(body: bytes, field: str) -> None:
    """Never an accident inside."""
    with pytest.raises(Refused) as caught:
        ROWS.many(body)
    assert (caught.value.status, caught.value.details[0]["field"]) == (422, field)


def test_what_is_repeated_of_a_value_is_short() -> None:
    """An error is no echo of a megabyte."""
    value = refused(json.dumps(GOOD | {"side": "x" * 100_000}).encode()).details[0]["value"]
    assert len(value) <= 62


def test_not_more_is_told_than_people_read() -> None:
    """Thirty unknown fields are twenty details."""
    assert len(refused(json.dumps(GOOD | {f"f{i}": i for i in range(30)}).encode()).details) == 20


def test_a_pattern_that_only_python_knows_is_still_checked() -> None:
    """Look-around is no part of the engine that takes linear time."""
    rows = Rows({"properties": {"code": {"type": "string", "pattern": "^(?=A)[A-Z]$"}}, "required": ["code"]}, 1)
    assert rows.one(b'{"code": "A"}') == {"code": "A"}
    with pytest.raises(Refused):
        rows.one(b'{"code": "B"}')


def test_rules_are_put_in_words() -> None:
    """All kinds of limits."""
    assert rule({"type": "number", "exclusiveMinimum": 0, "maximum": 1}) == "a finite number, more than 0, at most 1"
    assert rule({"type": ["integer", "null"], "minimum": 0}) == "an integer of 64 bits, at least 0, or null"


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the rows
@given(
    st.fixed_dictionaries(
        {"month": st.integers(1, 12), "side": st.sampled_from(["up", "down"])},
        optional={
            "turns": st.integers(-(2**63), 2**63 - 1),
            "force": st.none() | st.floats(-5, 10, exclude_max=True),
            "weight": st.floats(allow_nan=False, allow_infinity=False),
            "metal": st.sampled_from(["gold", "tin", None]),
            "step": st.sampled_from([0.5, 2, None]),
            "note": st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=4),
        },
    )
)
def test_every_row_that_the_schema_allows_is_read_as_it_was_written(row: dict[str, Any]) -> None:
    """Numbers to the last bit, text to the last character."""
    assert ROWS.one(json.dumps(row).encode()) == row
    assert ROWS.one(json.dumps(row, ensure_ascii=False, indent=1).encode()) == row
    assert ROWS.many(json.dumps({"rows": [row, row]}).encode()) == [row, row]

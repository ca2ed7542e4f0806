"""What passes between jobs has the shape of a JSON Schema in the package, or is refused in one line."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import report_example
from ratchet import schemas
from ratchet.errors import RatchetError

NAMES = sorted(
    path.name.removesuffix(".schema.json")
    for path in resources.files("ratchet").iterdir()
    if path.name.endswith(".schema.json")
)


def test_there_is_one_for_each_thing_that_passes() -> None:
    """From a pull request to the judge, from the judge to the ledger."""
    assert {"evidence", "judgement", "record", "verdict"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_schema_of_its_own_name(name: str) -> None:
    """By the rules of the draft it names."""
    found = schemas.schema(name)

    Draft202012Validator.check_schema(found)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["$id"] == f"{name}.schema.json"


@pytest.mark.parametrize("name", ["judgement", "record", "verdict"])
def test_what_the_write_job_believes_holds_nothing_unnamed(name: str) -> None:
    """An object with named properties has no others, at whatever depth."""
    assert list(_open(schemas.schema(name))) == []


def _open(shape: Any, where: str = "$") -> Any:
    """Places of objects that let unnamed properties in."""
    if isinstance(shape, list):
        for index, item in enumerate(shape):
            yield from _open(item, f"{where}[{index}]")
    if not isinstance(shape, dict):
        return
    # The record's own level is closed by each of its kinds.
    if isinstance(shape.get("properties"), dict) and "oneOf" not in shape and "additionalProperties" not in shape:
        yield where
    for key, value in shape.items():
        if key not in {"if", "then", "else"}:  # these only add conditions
            yield from _open(value, f"{where}.{key}")


def test_what_has_its_shape_is_given_back() -> None:
    """The very object, unchanged."""
    found = report_example.judgement()

    assert schemas.validated("judgement", found) is found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, r"^judgement: \$\.version: 1 was expected$"),
        ({"head": {"sha": "main"}}, r"^judgement: \$\.head"),
        ({"reason": "x" * 1001}, r"^judgement: \$\.reason: 'x+$"),
        ({"model_digest": "c4" * 32 + "\n"}, r"^judgement: \$\.model_digest"),
        ({"seconds": -1}, r"^judgement: \$\.seconds"),
        ({"more": 1}, r"^judgement: \$: Additional properties"),
    ],
)
def test_what_has_not_is_refused_with_the_place(change: dict[str, Any], message: str) -> None:
    """One line of at most a few hundred characters, whatever the value."""
    with pytest.raises(RatchetError, match=message) as caught:
        schemas.validated("judgement", {**report_example.judgement(), **change})

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_what_is_no_object_is_refused(value: object) -> None:
    """A file may hold any JSON."""
    with pytest.raises(RatchetError, match=r"^judgement: \$: .* is not of type 'object'$"):
        schemas.validated("judgement", value)

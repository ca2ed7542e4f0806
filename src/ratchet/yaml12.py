"""YAML as DVC reads it (YAML 1.2, by ruamel.yaml), within bounds: a small text cannot become a large value.

What DVC locks is what trains, so whatever reads the files that DVC reads, reads them here. A person, an editor or
another tool may know YAML 1.1 instead, in which `010` is 8 and `no` is false: what people write must mean the same in
both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode, SequenceNode

from ratchet.errors import RatchetError

MOST_BYTES = 1_000_000
MOST_LEVELS = 30  # of nesting
MOST_NODES = 200_000  # when aliases are written out

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one where there is one
# What the two readers raise for a text that they cannot read; `2013-02-30` and an int of 5,000 digits are ValueErrors.
_UNREADABLE = (YAMLError, yaml.YAMLError, ValueError, ArithmeticError, TypeError, LookupError, RecursionError)


def read(content: bytes, name: str) -> Any:
    """The value of a text that a person wrote; None when it is empty.

    Raises:
        RatchetError: As `read_as_dvc`; or a value is read differently by YAML 1.1 and 1.2, or is a date or no finite
            number, which no JSON holds. Names the line.
    """
    value = read_as_dvc(content, name)
    if value is None:
        return None
    try:
        pairs = list(_scalars(yaml.compose(content, _Loader), YAML(typ="safe").compose(content.decode("utf-8"))))
        readings = [(there, *_readings(here, there)) for here, there in pairs]
    except _UNREADABLE as error:
        raise RatchetError(_invalid(name, error)) from error
    for node, old, new in sorted(readings, key=lambda reading: reading[0].start_mark.index):
        where = f"{name} line {node.start_mark.line + 1}: {node.value}"
        if isinstance(new, date):
            raise RatchetError(f"{where} is a date to YAML: quote it")
        if isinstance(new, float) and not math.isfinite(new):
            raise RatchetError(f"{where} is no finite number: write one")
        if repr(old) != repr(new):
            meant = old if isinstance(new, str) else new
            raise RatchetError(
                f"{where} is {write_line(old)} to YAML 1.1 and {write_line(new)} to YAML 1.2 (DVC's): "
                f"write {write_line(meant)}, or quote it"
            )
    return value


def read_as_dvc(content: bytes, name: str) -> Any:
    """The value of a text that DVC or another program wrote; None when it is empty.

    Raises:
        RatchetError: It is no YAML or not one document, repeats a key, has tags or directives, or is nested too deeply
            or too large.
    """
    try:
        _refuse_tricks(content, name)
        return YAML(typ="safe").load(content.decode("utf-8"))
    except _UNREADABLE as error:
        raise RatchetError(_invalid(name, error)) from error


def write_line(value: Any) -> str:
    """A plain value in one line, which YAML 1.1 and 1.2 both read back as it is."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.dump(plain, Dumper=_Dumper, default_flow_style=True, width=math.inf, allow_unicode=True)
    return text.removesuffix("...\n").removesuffix("\n")


class _Dumper(yaml.SafeDumper):
    """Writes by YAML 1.1, and quotes what would be no text by YAML 1.2."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    tag = YAML(typ="safe").resolver.resolve(ScalarNode, text, (True, False))
    # Spaces at an end and what nobody sees are lost, or folded into others, unless they are in double quotes.
    is_plain = str(tag).endswith(":str") and text.isprintable() and text == text.strip()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if is_plain else '"')


_Dumper.add_representer(str, _represent_text)


def _refuse_tricks(content: bytes, name: str) -> None:
    """Refuse what makes a small text large or strange: tags, deep nesting, aliases of aliases of aliases."""
    if len(content) > MOST_BYTES:
        raise RatchetError(f"{name}: has {len(content)} bytes; at most {MOST_BYTES} are read")
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]  # anchor, and nodes so far when aliases are written out
    for event in yaml.parse(content.decode("utf-8"), Loader=_Loader):
        anchor = getattr(event, "anchor", None)
        if len(open_nodes) > MOST_LEVELS or open_nodes[-1][1] > MOST_NODES:
            raise RatchetError(f"{name}: is nested too deeply, or too large when its aliases are written out")
        _refuse_strange(event, name)
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((anchor, 1))
            sizes[anchor or ""] = MOST_NODES + 1  # until it is complete: what holds itself has no end
            continue
        size = _size_of(event, anchor, sizes)
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
        if anchor and not isinstance(event, yaml.AliasEvent):
            sizes[anchor] = size
        open_nodes[-1] = (open_nodes[-1][0], open_nodes[-1][1] + size)


def _refuse_strange(event: yaml.Event, name: str) -> None:
    for trait, noun in (("tag", "tag"), ("version", "directive"), ("tags", "directive")):
        if getattr(event, trait, None):
            where = f" in line {event.start_mark.line + 1}" if event.start_mark else ""
            raise RatchetError(f"{name}: has a {noun} of YAML{where}; a plain value will do")


def _size_of(event: yaml.Event, anchor: str | None, sizes: Mapping[str, int]) -> int:
    if isinstance(event, yaml.AliasEvent):
        return sizes.get(str(anchor), 1)
    return int(isinstance(event, yaml.ScalarEvent))


def _scalars(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    """The scalars of one text as two readers see them, pair by pair; ValueError where they see another structure."""
    waiting, seen = [(old, new)], set[int]()
    while waiting:
        here, there = waiting.pop()
        if id(there) in seen:  # an alias
            continue
        seen.add(id(there))
        if here.id != there.id or len(here.value) != len(there.value):
            raise ValueError(f"YAML 1.1 and 1.2 read it differently from line {there.start_mark.line + 1} on")
        if isinstance(there, ScalarNode):
            yield here, there
        elif isinstance(there, SequenceNode):
            waiting += zip(here.value, there.value, strict=True)
        else:  # a mapping, as pairs of a key and a value
            for left, right in zip(here.value, there.value, strict=True):
                waiting += zip(left, right, strict=True)


def _readings(old: Any, new: Any) -> tuple[Any, Any]:
    """What a scalar is by YAML 1.1, and by YAML 1.2."""
    if new.style is not None or new.value == "<<":  # in quotes it is a text to both, and `<<` is no value
        return old.value, new.value
    here, there = yaml.constructor.SafeConstructor(), YAML(typ="safe").constructor
    return here.construct_document(old), there.construct_document(new)


def _invalid(name: str, error: Exception) -> str:
    said = " ".join(str(error).partition("To suppress this check")[0].split())
    return f"{name}: is not valid YAML: {said[:300]}"

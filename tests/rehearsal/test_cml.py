"""The comment by CML: its double asks of GitHub what the original was recorded asking, and there is one comment."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from cml_recorder import TEXTS, certificate, environment, recorder

from forge_example import Desk, desk
from ratchet import cml, comment
from ratchet.errors import RatchetError
from rehearsal.forge import Forge as Server

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOUBLE = ROOT / "rehearsal" / "runner" / "actions" / "cml"
RECORDED = json.loads((HERE / "cml.json").read_text(encoding="utf-8"))

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="CML runs on Node")


@pytest.fixture
def place(forge: Server) -> tuple[Desk, int]:
    """A repository and the number of its pull request."""
    made = desk(forge)
    return made, made.pull().number


def bodies(made: Desk, number: int) -> list[str]:
    """What stands under the pull request."""
    return [found.body for found in made.client().comments(number)]


@pytest.mark.parametrize("program", ["double", "original"])
def test_its_requests_are_those_that_were_recorded(place: tuple[Desk, int], program: str, tmp_path: Path) -> None:
    """It creates one comment, and updates it; REHEARSAL_CML names a checkout of the original, with its dependencies."""
    folder = Path(os.environ.get("REHEARSAL_CML", "")) if program == "original" else DOUBLE
    if not os.environ.get("REHEARSAL_CML") and program == "original":
        pytest.skip("REHEARSAL_CML names no checkout")
    made, number = place
    pem = certificate(tmp_path) if program == "original" else None
    trusted = {"NODE_EXTRA_CA_CERTS": str(pem)} if pem else {}

    with recorder(made.server.url, pem) as (address, kept):
        given = environment(address, made.name, made.server.token("ada"), **trusted)
        said = []
        for name, text in zip(("create", "update"), TEXTS, strict=True):
            said.append(cml.comment(number, text, folder / "bin" / "cml.js", given))
            asked = [{**one, "path": one["path"].replace(made.name, "ada/flights")} for one in kept]
            assert asked == RECORDED["requests"][name]
            kept.clear()

    assert said[0] == said[1]
    assert len(bodies(made, number)) == 1


def test_a_comment_of_the_api_is_updated_and_its_image_is_never_shown(place: tuple[Desk, int]) -> None:
    """CML finds the hidden mark; what it adds is gone once main's code has written the text."""
    made, number = place
    client = made.client()
    client.upsert_comment(number, comment.MARKER, cml.marked(TEXTS[0]))
    given = environment(made.server.url, made.name, made.server.token("ada"))

    cml.comment(number, TEXTS[1], DOUBLE / "bin" / "cml.js", given)
    client.upsert_comment(number, comment.MARKER, cml.marked(TEXTS[1]))

    (body,) = bodies(made, number)
    assert body == cml.marked(TEXTS[1])
    assert re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL).strip() == "### Second"


def test_what_cannot_be_run_is_told(place: tuple[Desk, int], tmp_path: Path) -> None:
    """No checkout; no node; an answer that is none."""
    made, number = place
    given = environment("http://127.0.0.1:9", made.name, "none")

    with pytest.raises(RatchetError, match="is not there"):
        cml.comment(number, TEXTS[0], tmp_path / "cml.js", given)
    with pytest.raises(RatchetError, match="there is no node"):
        cml.comment(number, TEXTS[0], DOUBLE / "bin" / "cml.js", {**given, "PATH": str(tmp_path)})
    with pytest.raises(RatchetError, match="CML: "):
        cml.comment(number, TEXTS[0], DOUBLE / "bin" / "cml.js", given)
    assert bodies(made, number) == []


def test_without_it_the_same_comment_says_so() -> None:
    """And only once, however often it is written."""
    said = cml.marked(cml.unreached(TEXTS[0]))

    assert said.startswith(TEXTS[0].rstrip())
    assert cml.UNREACHED in said
    assert cml.marked(said) == said

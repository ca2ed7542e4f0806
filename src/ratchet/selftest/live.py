"""Has the self-test run from a desk: dispatches selftest.yml, waits for its end, and reads the answers."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from ratchet.errors import RatchetError
from ratchet.selftest import answers
from ratchet.selftest.answers import Answers
from ratchet.selftest.scene import WORKFLOW, Wait

if TYPE_CHECKING:
    from ratchet.forge import Forge, Run

NAME = Path(WORKFLOW).name
ARTIFACT = "selftest"
PATIENT = Wait(seconds=1200.0, pause=10.0)
"""A runner has to be free first; then it takes a few minutes."""


def ask(forge: Forge, wait: Wait = PATIENT) -> Answers:
    """The answers of a new run of the self-test.

    Args:
        forge: With the token of somebody who may start workflows and read artifacts.
        wait: How long the run may take.

    Raises:
        RatchetError: It cannot be started, takes too long, or ends without answers.
    """
    from ratchet.forge import NotFound

    try:
        before = max((run.id for run in _runs(forge)), default=0)
        forge.dispatch(NAME, forge.default_branch)
    except NotFound as error:
        raise RatchetError(
            f"{forge.repository}: has no {WORKFLOW} on {forge.default_branch}, or this token may not start it\n"
            "it comes with the template; at a desk the token needs write access"
        ) from error
    run = wait.until(lambda: next((run for run in _runs(forge) if run.id > before and run.conclusion), None))
    if run is None:
        raise RatchetError(
            f"selftest.yml has not ended after {wait.seconds:.0f} s\n"
            f"see {forge.server_url}/{forge.repository}/actions/workflows/{NAME}, and ask again"
        )
    return _answers(forge, run)


def _runs(forge: Forge) -> list[Run]:
    return forge.runs_on(forge.default_branch, NAME)


def _answers(forge: Forge, run: Run) -> Answers:
    made = next((one for one in forge.artifacts(run.id) if one.name == ARTIFACT), None)
    if made is None:
        raise RatchetError(f"selftest.yml ended as {run.conclusion}, without answers\nits log says why: {run.url}")
    with TemporaryDirectory() as scratch:
        packed, folder = Path(scratch, "answers.zip"), Path(scratch)
        forge.download(made, packed, answers.LARGEST)
        try:
            with ZipFile(packed) as opened:
                if opened.getinfo(answers.FILE).file_size > answers.LARGEST:
                    raise RatchetError(f"{run.url}: its answers are too large to be any")
                opened.extract(answers.FILE, folder)
        except (BadZipFile, KeyError) as error:
            raise RatchetError(f"{run.url}: its artifact {ARTIFACT} holds no {answers.FILE}") from error
        return answers.read(folder / answers.FILE)

"""What the verbs share: the program itself, kinds of arguments, and what GitHub tells a job."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.forge import Forge

FOLDER = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)


class Loop(click.Group):
    """Lists its verbs in the order in which they are defined, which is that of the loop."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """In the order of their definition."""
        return list(self.commands)


@click.group(cls=Loop, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ratchet")
def cli() -> None:
    """Ratchet: a model in production only ever moves forward.

    The pipeline itself is DVC's: `dvc repro` ingests, trains, exports, evaluates and writes the model card. The verbs
    below do the rest; each has help with an example: `ratchet compare --help`.
    """


def run_number() -> int:
    """The workflow run that this is; at a desk, which has none, the time in seconds: each record needs its own."""
    number = os.environ.get("GITHUB_RUN_ID") or str(int(time.time()))
    if not number.isdecimal():
        raise RatchetError(f"GITHUB_RUN_ID: is {number[:50]!r}, and has to be a number")
    return int(number)


def is_job() -> bool:
    """This runs in a workflow, and not at a desk."""
    return "GITHUB_RUN_ID" in os.environ


def actor(forge: Forge) -> str:
    """Whose doing this is: who started the run, or at a desk whose token it is."""
    return os.environ.get("GITHUB_TRIGGERING_ACTOR") or os.environ.get("GITHUB_ACTOR") or forge.login


def event() -> Any:
    """What happened, as GitHub tells it to a job."""
    from ratchet import files

    path = os.environ.get("GITHUB_EVENT_PATH")
    if not path:
        raise RatchetError("GITHUB_EVENT_PATH: is not set\nthis verb runs in a workflow, where GitHub sets it")
    return files.read_json(Path(path))


def summary(text: str) -> None:
    """Markdown for the page of the job, where there is one."""
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


def output(name: str, value: object) -> None:
    """An output of the step, where there is one; text of several lines, too."""
    if path := os.environ.get("GITHUB_OUTPUT"):
        text = str(value)
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{name}<<=====\n{text}\n=====\n" if "\n" in text else f"{name}={text}\n")

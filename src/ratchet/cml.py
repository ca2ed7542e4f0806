"""The comment as CML makes it: https://github.com/iterative/cml, from a checkout of its source at a pinned commit.

    ratchet cml --pr 12 --program build/cml/bin/cml.js build/settled/comment.md

CML knows its comment by a watermark, an image from its own host, which it writes below the text. Nobody's browser shall
be sent there: the watermark that stays lies in an HTML comment (`marked`), and the one that CML adds falls into another
one, which is left open for it. `ratchet comment`, which runs next, writes the text as it was, so the open one is gone a
moment later.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from ratchet.errors import RatchetError

REPOSITORY = "iterative/cml"
COMMIT = "a3a66c74b218b08710f42bf599b066e37cb4cba7"
"""CML 0.20.6; verdict.yml checks out the same."""
COMMITTED = datetime(2024, 10, 24, tzinfo=UTC)
TITLE = "ratchet"
WATERMARK = f'<!-- ![](https://cml.dev/watermark.png#0 "CML watermark {TITLE}") -->'
UNREACHED = "<sub>CML could not be reached or run: this comment was written through GitHub's API.</sub>"
SECONDS = 45
"""How long CML may take; its step ends after a minute."""


def marked(text: str) -> str:
    """A comment that CML finds again."""
    return text if WATERMARK in text else f"{text.rstrip()}\n\n{WATERMARK}\n"


def unreached(text: str) -> str:
    """A comment that says that it is not CML's."""
    return f"{text.rstrip()}\n\n{UNREACHED}\n"


def comment(number: int, text: str, program: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Create or update the comment of a pull request; its address.

    Args:
        number: Of the pull request.
        text: Markdown.
        program: `bin/cml.js`, with its dependencies installed beside it.
        environ: Names repository and server, and holds REPO_TOKEN.

    Raises:
        RatchetError: There is no such program, it fails, or it takes longer than `SECONDS`.
    """
    program = program.resolve()
    if not program.is_file():
        raise RatchetError(f"{program}: is not there\ncheck {REPOSITORY} out at {COMMIT[:8]} first")
    with TemporaryDirectory() as scratch:
        file = Path(scratch, "comment.md")
        file.write_text(f"{marked(text)}\n<!--\n", encoding="utf-8")
        command = ["node", str(program), "comment", "update", "--driver=github"]
        command += [f"--repo={environ['GITHUB_SERVER_URL']}/{environ['GITHUB_REPOSITORY']}", f"--target=pr/{number}"]
        command += ["--publish=false", f"--watermark-title={TITLE}", str(file)]
        # No telemetry, no images uploaded, git's own settings left alone.
        own = {"ITERATIVE_DO_NOT_TRACK": "1", "GIT_CONFIG_GLOBAL": str(Path(scratch, "gitconfig"))}
        try:
            done = subprocess.run(
                command, env={**environ, **own}, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:  # CML waits for minutes when GitHub limits it
            raise RatchetError(f"CML: takes more than {SECONDS} s") from error
        except FileNotFoundError as error:
            raise RatchetError("CML: there is no node to run it with") from error
    if done.returncode:
        raise RatchetError(f"CML: {(done.stderr.strip().splitlines() or ['it fails without a word'])[-1]}")
    return done.stdout.strip()

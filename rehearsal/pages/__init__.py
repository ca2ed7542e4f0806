"""The forge's pages: what a person would see of it on GitHub, and a timeline of everything that ran.

from rehearsal.pages import app, export

app(forge)                      # a Starlette application, which the forge mounts at "/"
export(forge, Path("copy"))     # the same pages as files that open without a server
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from rehearsal.forge import Forge

# Both import late: the forge imports this package for its server, and the pages import the forge.


def app(forge: Forge) -> Starlette:
    """The pages as an application. No token is needed to look; what is pressed is done by the repository's owner."""
    from rehearsal.pages.application import application

    return application(forge)


def export(forge: Forge, folder: Path) -> Path:
    """Write all pages into a folder, with relative links.

    Args:
        forge: Whose pages; it need not be started.
        folder: Is made, or gets what it lacks; files of the same name are replaced.

    Returns:
        The page to open first.
    """
    from rehearsal.pages.copy import write

    return write(forge, folder)

"""Programs that this code starts and that an environment may lack."""

from __future__ import annotations

import shutil

from ratchet.errors import RatchetError


def uv() -> str:
    """The path of uv: that of this environment, or else the one on PATH.

    Raises:
        RatchetError: There is none.
    """
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        found = shutil.which("uv")
        if found is None:
            raise RatchetError("uv is neither in this environment nor on PATH; `make install` installs it") from error
        return found

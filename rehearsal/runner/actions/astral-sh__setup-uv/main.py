"""Stand-in for astral-sh/setup-uv: the uv of this machine, and one environment for all runs of the same lock.

The environment of a desk is shared with the person who sits there, so `uv sync` may add to it and never take away.
"""

import os
import subprocess
from pathlib import Path

import runtime

SCRIPT = """#!/usr/bin/env bash
set -euo pipefail
if [[ "${{1:-}}" == sync && "${{UV_PROJECT_ENVIRONMENT:-}}" == "{shared}" && -n "{shared}" ]]; then
  shift
  for option in --inexact --no-install-project; do
    [[ " $* " == *" $option "* ]] || set -- "$option" "$@"
  done
  set -- sync "$@"
fi
exec "{uv}" "$@"
"""


def main() -> None:
    """Put uv on PATH."""
    uv = os.environ["REHEARSAL_UV"]
    folder = Path(os.environ["RUNNER_TEMP"], "uv")
    folder.mkdir(exist_ok=True)
    (folder / "uv").write_text(SCRIPT.format(uv=uv, shared=os.environ.get("REHEARSAL_ENVIRONMENT", "")))
    (folder / "uv").chmod(0o755)
    runtime.add_path(folder)
    if runtime.given("python-version"):
        with Path(os.environ["GITHUB_ENV"]).open("a") as file:
            file.write(f"UV_PYTHON={runtime.given('python-version')}\n")
    said = subprocess.run([uv, "--version"], capture_output=True, text=True, check=True).stdout
    print(said.strip())
    runtime.output(uv_version=said.split()[1], uv_path=folder / "uv")


if __name__ == "__main__":
    main()

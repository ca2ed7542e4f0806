"""Stand-in for actions/setup-python: an environment of its own for the job, made with the Python of this machine."""

import os
import subprocess
import sys
from pathlib import Path

import runtime


def main() -> None:
    """Make the environment, and put it on PATH."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = runtime.given("python-version")
    if wanted and wanted.rstrip(".x*") != own and not wanted.startswith(f"{own}."):
        runtime.fail(f"The version '{wanted}' was not found on this machine, which has {own}")
    folder = Path(os.environ["RUNNER_TEMP"], "python")
    subprocess.run([sys._base_executable, "-m", "venv", folder], check=True)  # type: ignore[attr-defined]
    runtime.add_path(folder / "bin")
    runtime.output(python_version=own, python_path=folder / "bin" / "python")


if __name__ == "__main__":
    main()

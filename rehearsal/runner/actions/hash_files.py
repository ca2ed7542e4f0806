"""`hashFiles()` of GitHub's expressions: the SHA-256 of the SHA-256 of each file that the patterns name, in order."""

import glob
import hashlib
import os
import sys
from pathlib import Path


def digest(patterns: list[str], workspace: Path) -> str:
    """The digest in hex; empty when there is no such file."""
    found: list[Path] = []
    for pattern in patterns:
        refuses = pattern.startswith("!")
        names = glob.glob(str(workspace / pattern.removeprefix("!")), recursive=True)  # noqa: PTH207 - absolute patterns
        files = {Path(name) for name in names if Path(name).is_file()}
        found = [file for file in found if not (refuses and file in files)]
        found += [] if refuses else sorted(files - set(found))
    if not found:
        return ""
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in found)).hexdigest()


if __name__ == "__main__":
    wanted = [line.strip() for line in os.environ["patterns"].splitlines() if line.strip()]  # noqa: SIM112 - act's name
    sys.stderr.write(f"__OUTPUT__{digest(wanted, Path.cwd())}__OUTPUT__")

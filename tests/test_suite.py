"""The tests themselves are run as they are meant to be."""

import subprocess
import sys
from pathlib import Path


def test_tests_that_share_what_is_costly_run_in_one_process(tmp_path: Path) -> None:
    """Groups work: with some versions of pytest they are ignored without a word, and everything is made twice."""
    text = "import os, pytest\n@pytest.mark.xdist_group('g')\n@pytest.mark.parametrize('n', range(8))\n"
    (tmp_path / "test_it.py").write_text(f"{text}def test_it(n):\n    print(f'pid {{os.getpid()}}')\n")
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-rP", "-p", "no:cacheprovider", "."]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert len({line for line in done.stdout.splitlines() if line.startswith("pid ")}) == 1, done.stdout

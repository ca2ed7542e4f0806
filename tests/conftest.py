"""What several test modules share: the rehearsal and the problems under tests/problems are importable, as in src/."""

import os
import sys
from pathlib import Path

# Test processes share the cores: threads that spin at a barrier for a core that is taken cost ten times the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS / "problems"), str(TESTS.parent)]

"""What several test modules share: the problems under tests/problems are importable, like those in src/."""

import os
import sys
from pathlib import Path

# Test processes share the cores: threads that spin at a barrier for a core that is taken cost ten times the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PROBLEMS = Path(__file__).parent / "problems"
sys.path.insert(0, str(PROBLEMS))

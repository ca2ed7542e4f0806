"""Record the run in MLflow: `python pipelines/track.py`; with the server down it says so, and the run goes on.

DVC names the project in DVC_ROOT, also to an experiment, which runs in a copy that is thrown away.
"""

import os
from pathlib import Path

from ratchet import params, tracking
from ratchet.errors import told_to_the_user

if __name__ == "__main__":
    with told_to_the_user():
        home = Path(os.environ.get("DVC_ROOT", "."))
        tracking.record_bounded(Path(), params.load().tracking.timeout, home=home)

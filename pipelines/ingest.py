"""Fetch one period, validate it, set bad rows aside: `python pipelines/ingest.py 2013-01` keeps 27,004 flights."""

import sys
from pathlib import Path

from ratchet import data, lock, params
from ratchet.errors import told_to_the_user
from ratchet.problem import Problem


def main(period: str) -> None:
    """Write the rows, the quarantine and the figures of the batch."""
    given = params.load()
    folder = data.PERIODS / period
    batch = data.ingest(Problem(given.problem), period, given.data.checks)
    locked = lock.locked_md5(Path("dvc.lock"), f"ingest@{period}", str(folder / data.SOURCE))
    data.check_source(period, batch, locked)
    data.write(batch, folder)


if __name__ == "__main__":
    with told_to_the_user():
        main(sys.argv[1])

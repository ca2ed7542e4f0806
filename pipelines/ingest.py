"""Fetch one period, validate it, set bad rows aside: `python pipelines/ingest.py 2013-01` keeps 27,004 flights."""

import sys

from ratchet import data, params, revisions
from ratchet.errors import told_to_the_user
from ratchet.problem import Problem


def main(period: str) -> None:
    """Write the rows, the quarantine and the figures of the batch."""
    given = params.load()
    problem = Problem(given.problem)
    batch = data.ingest(problem, period, given.data.checks)
    revisions.check(problem, batch)
    data.write(batch, data.PERIODS / period)


if __name__ == "__main__":
    with told_to_the_user():
        main(sys.argv[1])

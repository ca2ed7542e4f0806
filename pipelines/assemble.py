"""Check each batch against those before it; list what trains and what tests: `python pipelines/assemble.py`.

Periods that params.yaml no longer lists are forgotten here, so that nothing of them is left to be read by mistake.
"""

from ratchet import data, files, params
from ratchet.errors import told_to_the_user
from ratchet.problem import Problem


def main() -> None:
    """Write data/dataset.json."""
    given = params.load()
    data.forget(data.PERIODS, given.data.periods)
    files.write_json(data.DATASET, data.assemble(Problem(given.problem), given.data, data.PERIODS))


if __name__ == "__main__":
    with told_to_the_user():
        main()

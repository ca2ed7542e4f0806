"""Runs the real workflow files at a desk: events of the forge become runs, and act executes them.

with Forge(folder) as forge, Runner(forge) as runner:
    ...                         # push, open a pull request, dispatch
    runner.wait(timeout=300)    # until everything that followed has ended
"""

from rehearsal.runner.runner import Runner

__all__ = ["Runner"]

"""The self-test's own branches and pull requests, which the rest of the loop leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratchet.forge import Pull

PREFIX = "ratchet-selftest/"


def is_selftest(pull: Pull) -> bool:
    """Whether a workflow of this repository opened a pull request from such a branch of it.

    Anybody may give a branch that name: what a person proposes, or a fork, is judged like anything else. Left alone
    means that no gate of it ever becomes green, so nothing can be smuggled in.
    """
    from ratchet.forge import BOT

    return pull.head_branch.startswith(PREFIX) and not pull.is_fork and pull.author == BOT

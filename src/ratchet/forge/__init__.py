"""GitHub, or what speaks its REST API: the one place that talks to it.

    forge = Forge.from_environment()
    pull = forge.pull(12)
    forge.set_status(pull.head_sha, "model-gate", "pending", "the model is being judged", url)

Every call is repeated with patience, and ends in one to three lines that say what is wrong and what to do. A write is
repeated only where it cannot double: what could have been done is looked for first.
"""

from ratchet.forge.api import ApiError, NotFound, Patience, Unavailable
from ratchet.forge.client import Forge, Moved
from ratchet.forge.nouns import (
    BOT,
    Answer,
    Artifact,
    Asset,
    Comment,
    Commit,
    Comparison,
    Entry,
    Issue,
    Job,
    Pull,
    Release,
    Review,
    Run,
    Status,
)
from ratchet.forge.objects import Objects

__all__ = [
    "BOT",
    "Answer",
    "ApiError",
    "Artifact",
    "Asset",
    "Comment",
    "Commit",
    "Comparison",
    "Entry",
    "Forge",
    "Issue",
    "Job",
    "Moved",
    "NotFound",
    "Objects",
    "Patience",
    "Pull",
    "Release",
    "Review",
    "Run",
    "Status",
    "Unavailable",
]

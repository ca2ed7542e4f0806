"""A local forge: the part of GitHub that the loop uses, over real git repositories.

    from rehearsal.forge import Forge

    with Forge(folder) as forge:
        forge.create_repository("ada/flights")
        print(forge.url, forge.api, forge.token("ada"))

Its answers have GitHub's shapes and status codes, and it follows GitHub's rules about tokens, forks, events and what
counts for a pull request. Where public and private repositories differ, a workflow's token is held to the stricter.
"""

from rehearsal.forge.faults import Fault
from rehearsal.forge.forge import Forge
from rehearsal.forge.state import (
    BOT,
    Approval,
    Artifact,
    Asset,
    BotRuns,
    CheckRun,
    Comment,
    Environment,
    Event,
    Issue,
    Job,
    Label,
    Pull,
    Release,
    Repository,
    Review,
    Run,
    Settings,
    State,
    Status,
    Token,
    User,
)

__all__ = [
    "BOT",
    "Approval",
    "Artifact",
    "Asset",
    "BotRuns",
    "CheckRun",
    "Comment",
    "Environment",
    "Event",
    "Fault",
    "Forge",
    "Issue",
    "Job",
    "Label",
    "Pull",
    "Release",
    "Repository",
    "Review",
    "Run",
    "Settings",
    "State",
    "Status",
    "Token",
    "User",
]

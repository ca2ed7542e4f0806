"""What is asked with the one permission that writes comments: `pull-requests: write`."""

from __future__ import annotations

from ratchet.selftest.questions import Otherwise, Question, question
from ratchet.selftest.scene import Scene

MARKER = "<!-- ratchet: self-test -->"

ASKED: dict[str, Question] = {}
"""The questions of the second job, in the order in which they are asked."""


@question(
    ASKED,
    "a job that may write to pull requests, and to nothing else, may comment on one, edit that and take it back",
    "The verdict does not stand in the pull request. The gates do, and the report is in the run.",
    "Give the job `comment` of verdict.yml the permission that GitHub names here.",
)
def comment_with_least_permission(scene: Scene) -> str:
    """Written, written again and removed, as the loop does."""
    number = scene.need(scene.number, "pull-request")
    said = [
        scene.forge.upsert_comment(number, MARKER, f"{MARKER}\nSelf-test: {time} time.\n") for time in ("1st", "2nd")
    ]
    scene.forge.remove_comments(number, MARKER)
    if said[0] != said[1]:
        raise Otherwise("the second time another comment was made")
    return "written, edited and removed"


@question(
    ASKED,
    "such a job may do no more: not even make a branch",
    "A job may do more than its file says, so what docs/security.md promises does not hold.",
    "Report it to the template, and to GitHub.",
)
def no_more_than_is_asked_for(scene: Scene) -> str:
    """At the default branch's commit, so that the branch would hold nothing of its own."""
    from ratchet.forge import ApiError

    try:
        scene.forge.create_branch(scene.branch, scene.base)
    except ApiError as error:
        if error.status not in {403, 404}:
            raise
        return f"refused with status {error.status}"
    scene.forge.delete_branch(scene.branch)
    raise Otherwise("it was made")

"""What a workflow's own token may not bring about: another .github/workflows, not even as the default branch has it.

GitHub refuses such a ref to every app that lacks the permission `workflows`, which no job can ask for: a push, a new
branch, a release at an older commit. So it is looked for before anything is written.

https://docs.github.com/en/rest/git/refs#create-a-reference
https://docs.github.com/en/rest/releases/releases#create-a-release
https://github.blog/changelog/2023-11-02-github-actions-enforcing-workflow-scope-when-creating-a-release
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratchet.forge import Forge

FOLDER = ".github/workflows/"


def are_bound(forge: Forge) -> bool:
    """Whether this token is a workflow's, or another app's, and no person's."""
    return forge.token.startswith("ghs_")


def brought(forge: Forge, base: str, head: str) -> list[str]:
    """The workflow files of a commit that another one does not have in this very form, by name."""
    known = _files(forge, base)
    return sorted(name for name, blob in _files(forge, head).items() if known.get(name) != blob)


def refused(forge: Forge, sha: str) -> list[str]:
    """The workflow files for which this token may make neither a branch nor a release at a commit, by name."""
    main = forge.branch(forge.default_branch)
    return brought(forge, main, sha) if main and main != sha and are_bound(forge) else []


def _files(forge: Forge, sha: str) -> Mapping[str, str]:
    return {path: entry.sha for path, entry in forge.tree(sha).items() if path.startswith(FOLDER)}

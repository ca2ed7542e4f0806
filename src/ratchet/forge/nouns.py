"""What GitHub has, as far as the loop reads it. Each noun is read from GitHub's own JSON by `of`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

Json = Mapping[str, Any]

BOT = "github-actions[bot]"
"""Who a workflow's own token is."""


@dataclass(frozen=True)
class Pull:
    """A pull request.

    Attributes:
        state: "open" or "closed".
        head_repository: "owner/name" the change comes from; None when that fork is gone.
        base_repository: "owner/name" the change goes to.
        merge_sha: The commit on the base branch, once merged.
        merged_by: Login of who merged it; "" in lists, which do not say.
    """

    number: int
    title: str
    body: str
    state: str
    merged: bool
    author: str
    head_repository: str | None
    head_branch: str
    head_sha: str
    base_repository: str
    base_branch: str
    base_sha: str
    merge_sha: str | None
    url: str
    merged_by: str = ""

    @property
    def is_fork(self) -> bool:
        """Whether the change comes from another repository."""
        return self.head_repository != self.base_repository

    @property
    def is_open(self) -> bool:
        """Whether it can still be merged or closed."""
        return self.state == "open"

    @classmethod
    def of(cls, data: Json) -> Self:
        """From `GET /repos/{owner}/{repo}/pulls/{number}`, or an entry of the list."""
        head, base = data["head"], data["base"]
        merged = data.get("merged_at") is not None
        return cls(
            number=data["number"],
            title=data["title"],
            body=data.get("body") or "",
            state=data["state"],
            merged=merged,
            author=_login(data.get("user")),
            head_repository=head["repo"]["full_name"] if head.get("repo") else None,
            head_branch=head["ref"],
            head_sha=head["sha"],
            base_repository=base["repo"]["full_name"],
            base_branch=base["ref"],
            base_sha=base["sha"],
            merge_sha=data.get("merge_commit_sha") if merged else None,
            url=data["html_url"],
            merged_by=_login(data.get("merged_by")),
        )


@dataclass(frozen=True)
class Review:
    """What somebody thinks of a pull request.

    Attributes:
        state: "APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED" or "PENDING".
        sha: The commit they saw; None when GitHub does not know it any more.
    """

    author: str
    state: str
    sha: str | None

    @classmethod
    def of(cls, data: Json) -> Self:
        """From an entry of `GET /repos/{owner}/{repo}/pulls/{number}/reviews`."""
        return cls(_login(data.get("user")), data["state"], data.get("commit_id"))


@dataclass(frozen=True)
class Run:
    """A workflow run.

    Attributes:
        path: The workflow's file, ".github/workflows/report.yml".
        event: What started it: "pull_request", "workflow_dispatch", …
        status: "queued", "in_progress", "completed", "waiting", …
        conclusion: "success", "failure", "cancelled", "timed_out", …; None before it is completed.
        head_repository: "owner/name" whose commit it ran; None when that fork is gone.
        started_at: When this attempt began.
        pull_requests: Their numbers; empty for a fork's, whatever the truth.
    """

    id: int
    attempt: int
    name: str
    path: str
    event: str
    status: str
    conclusion: str | None
    head_repository: str | None
    head_branch: str | None
    head_sha: str
    actor: str
    url: str
    created_at: str
    started_at: str

    @property
    def is_unasked(self) -> bool:
        """Whether it is of a pull request that a workflow's own token opened or pushed to: nobody waits for it."""
        return self.event == "pull_request" and self.actor == BOT

    @classmethod
    def of(cls, data: Json) -> Self:
        """From `GET /repos/{owner}/{repo}/actions/runs/{id}`, or the payload of a `workflow_run` event."""
        return cls(
            id=data["id"],
            attempt=data.get("run_attempt") or 1,
            name=data.get("name") or "",
            path=data["path"].partition("@")[0],
            event=data["event"],
            status=data.get("status") or "",
            conclusion=data.get("conclusion"),
            head_repository=data["head_repository"]["full_name"] if data.get("head_repository") else None,
            head_branch=data.get("head_branch"),
            head_sha=data["head_sha"],
            actor=_login(data.get("actor")),
            url=data["html_url"],
            created_at=data["created_at"],
            started_at=data.get("run_started_at") or data["created_at"],
        )


@dataclass(frozen=True)
class Job:
    """A job of a run.

    Attributes:
        begun: A runner has taken it: it was not skipped, nor cancelled or refused while it was queued.
    """

    name: str
    status: str
    conclusion: str | None
    url: str
    begun: bool

    @classmethod
    def of(cls, data: Json) -> Self:
        """From an entry of `GET /repos/{owner}/{repo}/actions/runs/{id}/jobs`."""
        begun = data["status"] == "in_progress" or bool(data.get("runner_id") or data.get("steps"))
        return cls(data["name"], data["status"], data.get("conclusion"), data.get("html_url") or "", begun)


@dataclass(frozen=True)
class Artifact:
    """What a run uploaded: a zip file.

    Attributes:
        size: Bytes of the zip, as GitHub says.
        digest: "sha256:<hex>" of the zip; None for artifacts older than that field.
        run_id: The run that uploaded it. Names can be taken by any run; this cannot.
    """

    id: int
    name: str
    size: int
    digest: str | None
    expired: bool
    run_id: int | None
    created_at: str

    @classmethod
    def of(cls, data: Json) -> Self:
        """From an entry of `GET /repos/{owner}/{repo}/actions/runs/{id}/artifacts`."""
        return cls(
            id=data["id"],
            name=data["name"],
            size=data["size_in_bytes"],
            digest=data.get("digest"),
            expired=data["expired"],
            run_id=(data.get("workflow_run") or {}).get("id"),
            created_at=data.get("created_at") or "",
        )


@dataclass(frozen=True)
class Comment:
    """A comment on an issue or a pull request."""

    id: int
    author: str
    body: str
    url: str

    @classmethod
    def of(cls, data: Json) -> Self:
        """From an entry of `GET /repos/{owner}/{repo}/issues/{number}/comments`."""
        return cls(data["id"], _login(data.get("user")), data.get("body") or "", data["html_url"])


@dataclass(frozen=True)
class Status:
    """A commit status; `state` is "pending", "success", "failure" or "error"."""

    context: str
    state: str
    description: str
    url: str
    creator: str

    @classmethod
    def of(cls, data: Json) -> Self:
        """From an entry of `GET /repos/{owner}/{repo}/commits/{sha}/statuses`."""
        return cls(
            context=data["context"],
            state=data["state"],
            description=data.get("description") or "",
            url=data.get("target_url") or "",
            creator=_login(data.get("creator")),
        )


@dataclass(frozen=True)
class Entry:
    """A path of a tree: `mode` as git writes it ("100644", "120000" is a link), `type` "blob" or "commit"."""

    mode: str
    type: str
    sha: str

    @property
    def is_file(self) -> bool:
        """It is no link and no submodule."""
        return self.type == "blob" and self.mode != "120000"


@dataclass(frozen=True)
class Commit:
    """A commit.

    Attributes:
        files: Paths it changes against its first parent, old names of renamed files too; none of a list's commits.
        at: When it was committed: "2026-11-24T13:07:00Z".
    """

    sha: str
    tree: str
    parents: tuple[str, ...]
    message: str
    files: tuple[str, ...]
    at: str = ""

    @classmethod
    def of(cls, data: Json) -> Self:
        """From an entry of `GET /repos/{owner}/{repo}/commits`."""
        inner = data["commit"]
        return cls(
            sha=data["sha"],
            tree=inner["tree"]["sha"],
            parents=tuple(parent["sha"] for parent in data["parents"]),
            message=inner["message"],
            files=(),
            at=(inner.get("committer") or {}).get("date") or "",
        )


@dataclass(frozen=True)
class Comparison:
    """What `head` has and `base` lacks, from where the two parted.

    Attributes:
        merge_base: Where they parted.
        files: Paths changed from the merge base to the head, old names too; GitHub names 300 at most.
    """

    merge_base: str
    files: tuple[str, ...]

    @classmethod
    def of(cls, data: Json) -> Self:
        """From `GET /repos/{owner}/{repo}/compare/{base}...{head}`."""
        return cls(data["merge_base_commit"]["sha"], paths(data.get("files") or ()))


@dataclass(frozen=True)
class Asset:
    """A file of a release; `digest` is "sha256:<hex>" where GitHub knows it, `whole` false while half uploaded."""

    id: int
    name: str
    size: int
    digest: str | None
    whole: bool
    url: str

    @classmethod
    def of(cls, data: Json) -> Self:
        """From an entry of a release's `assets`."""
        return cls(
            id=data["id"],
            name=data["name"],
            size=data["size"],
            digest=data.get("digest"),
            whole=data.get("state", "uploaded") == "uploaded",
            url=data.get("browser_download_url") or "",
        )


@dataclass(frozen=True)
class Release:
    """A release; `sha` is the commit or branch its tag was made at."""

    id: int
    tag: str
    name: str
    body: str
    sha: str
    draft: bool
    url: str
    upload_url: str
    assets: tuple[Asset, ...]

    def asset(self, name: str) -> Asset | None:
        """The asset of that name."""
        return next((asset for asset in self.assets if asset.name == name), None)

    @classmethod
    def of(cls, data: Json) -> Self:
        """From `GET /repos/{owner}/{repo}/releases/…`."""
        return cls(
            id=data["id"],
            tag=data["tag_name"],
            name=data.get("name") or "",
            body=data.get("body") or "",
            sha=data["target_commitish"],
            draft=data["draft"],
            url=data["html_url"],
            upload_url=data["upload_url"].partition("{")[0],
            assets=tuple(map(Asset.of, data.get("assets") or ())),
        )


@dataclass(frozen=True)
class Issue:
    """An issue."""

    number: int
    title: str
    body: str
    url: str
    author: str

    @classmethod
    def of(cls, data: Json) -> Self:
        """From an entry of `GET /repos/{owner}/{repo}/issues`."""
        return cls(data["number"], data["title"], data.get("body") or "", data["html_url"], _login(data.get("user")))


@dataclass(frozen=True)
class Answer:
    """What GitHub says about one of its settings.

    Attributes:
        path: What was asked.
        status: Its HTTP status.
        body: Its JSON; None unless the status is 200.
    """

    path: str
    status: int
    body: Any

    @property
    def known(self) -> bool:
        """Whether it was answered."""
        return self.status == 200


def paths(changes: Any) -> tuple[str, ...]:
    """The paths of a list of changed files, sorted, with those that files were renamed from."""
    return tuple(sorted({change[k] for change in changes for k in ("filename", "previous_filename") if change.get(k)}))


def _login(user: Json | None) -> str:
    return str(user["login"]) if user else ""

"""What the forge knows, as plain records. Identifiers are whole numbers; times are ISO 8601 in UTC, to the second.

Whoever changes a record does so inside `with forge.changing():`, which stores everything when it is left.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

BOT = "github-actions[bot]"
"""Whom a workflow's own token acts as."""

BotRuns = Literal["held", "none", "failed"]
"""What becomes of `pull_request` (opened, synchronize, reopened) when a workflow's own token causes it.

GitHub documents `held`: a run that waits for a person. People have also measured no run at all (`none`), and a run
that has failed at once without a job (`failed`); see docs/github.md.
"""


ForkApproval = Literal["first_time_contributors_new_to_github", "first_time_contributors", "all_external_contributors"]
"""GitHub's words for it. Nobody here is new to GitHub: the first of them holds nothing."""


def now() -> str:
    """The time, as GitHub writes it: `2026-11-24T13:07:00Z`."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class User:
    """A person, or with the type `Bot` a machine."""

    login: str
    id: int
    type: str = "User"


@dataclass
class Settings:
    """What a maintainer can switch in a repository's settings; the defaults are those of a new repository.

    Attributes:
        actions_enabled: Workflows run at all.
        default_workflow_permissions: `read` or `write`: of a workflow that declares no permissions.
        actions_may_open_pulls: "Allow GitHub Actions to create and approve pull requests".
        fork_approval: Whose pull requests from forks have runs that wait for a maintainer.
        allow_merge_commit: The merge button offers it; likewise the two below.
        allow_squash_merge: See above.
        allow_rebase_merge: See above.
        delete_branch_on_merge: The head branch goes with the merge.
    """

    actions_enabled: bool = True
    default_workflow_permissions: str = "read"
    actions_may_open_pulls: bool = False
    fork_approval: ForkApproval = "first_time_contributors"
    allow_merge_commit: bool = True
    allow_squash_merge: bool = True
    allow_rebase_merge: bool = True
    delete_branch_on_merge: bool = False


@dataclass
class Label:
    """A label that issues and pull requests can carry."""

    id: int
    name: str
    color: str = "ededed"
    description: str = ""


@dataclass
class Environment:
    """An environment that jobs deploy to.

    Attributes:
        reviewers: Logins of those of whom one has to approve before a job begins; nobody: it begins at once.
        prevent_self_review: Who started a run may not approve it.
    """

    id: int
    name: str
    reviewers: list[str] = field(default_factory=list)
    prevent_self_review: bool = False
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)


@dataclass
class Repository:
    """A repository and its settings.

    Attributes:
        git: The bare repository.
        fork_of: Full name of the repository it was forked from.
        collaborators: Login to role (`admin`, `write` or `read`); the owner is an admin without being named.
        rulesets: As GitHub's API takes and gives them, each with an `id`.
        environments: Those that were made in the settings, or by the first job that named them.
        variables: What workflows know as `vars`.
        runners: Labels of its self-hosted machines.
        next_number: Of the next issue or pull request; both share one numbering.
    """

    id: int
    owner: str
    name: str
    git: Path
    default_branch: str = "main"
    fork_of: str | None = None
    private: bool = False
    description: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    collaborators: dict[str, str] = field(default_factory=dict)
    rulesets: list[dict[str, Any]] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    environments: list[Environment] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    runners: list[str] = field(default_factory=list)
    next_number: int = 1
    created_at: str = field(default_factory=now)
    pushed_at: str = field(default_factory=now)

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"


@dataclass
class Pull:
    """A pull request; `repository` is the one it wants to change, `head_repository` the one it comes from."""

    id: int
    repository: str
    number: int
    title: str
    body: str
    user: str
    head_repository: str
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    state: str = "open"
    draft: bool = False
    merged: bool = False
    merged_by: str | None = None
    merge_commit_sha: str | None = None
    labels: list[str] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)
    closed_at: str | None = None
    merged_at: str | None = None

    @property
    def is_fork(self) -> bool:
        """It comes from another repository."""
        return self.head_repository != self.repository


@dataclass
class Review:
    """What somebody thinks of a pull request; `state` is APPROVED, CHANGES_REQUESTED or COMMENTED."""

    id: int
    repository: str
    number: int
    user: str
    state: str
    body: str
    commit_sha: str
    submitted_at: str = field(default_factory=now)


@dataclass
class Issue:
    """An issue; pull requests are numbered in the same row but are not in this list."""

    id: int
    repository: str
    number: int
    title: str
    body: str
    user: str
    state: str = "open"
    state_reason: str | None = None
    labels: list[str] = field(default_factory=list)
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)
    closed_at: str | None = None


@dataclass
class Comment:
    """A comment on the issue or pull request `number`."""

    id: int
    repository: str
    number: int
    user: str
    body: str
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)


@dataclass
class Status:
    """A commit status; the newest of a context counts. States: error, failure, pending, success."""

    id: int
    repository: str
    sha: str
    context: str
    state: str
    creator: str
    description: str | None = None
    target_url: str | None = None
    created_at: str = field(default_factory=now)


@dataclass
class CheckRun:
    """What a job (or an application) says of a commit.

    Attributes:
        run_id: The run it belongs to, if a job made it.
        counts_for_pull: It can satisfy a required check; those of dispatched runs cannot.
    """

    id: int
    repository: str
    sha: str
    name: str
    status: str = "queued"
    conclusion: str | None = None
    run_id: int | None = None
    attempt: int | None = None
    counts_for_pull: bool = True
    details_url: str | None = None
    output: dict[str, Any] = field(default_factory=dict)
    external_id: str = ""
    started_at: str | None = field(default_factory=now)
    completed_at: str | None = None


@dataclass
class Job:
    """One job of one attempt of a run.

    Attributes:
        permissions: What its token may do, as in a workflow file: `{"contents": "read"}`.
        steps: Each a name, a conclusion and seconds.
        labels: Of the machine that it asks for.
    """

    id: int
    name: str
    status: str = "queued"
    conclusion: str | None = None
    permissions: dict[str, str] = field(default_factory=dict)
    started_at: str | None = None
    completed_at: str | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    check_run: int | None = None
    labels: list[str] = field(default_factory=lambda: ["ubuntu-24.04"])


@dataclass
class Approval:
    """What a reviewer said of the environments that an attempt of a run waited for: approved or rejected."""

    environments: list[str]
    user: str
    state: str
    comment: str
    attempt: int
    at: str = field(default_factory=now)


@dataclass
class Run:
    """A workflow run; its fields are of the newest attempt.

    Attributes:
        path: Of the workflow: `.github/workflows/report.yml`.
        name: Of the workflow, its `name:`.
        status: queued, in_progress, completed, or waiting: for the reviewers of the environments in `pending`, or,
            when there are none, for a maintainer (GitHub shows that as completed with the conclusion action_required).
        conclusion: success, failure, cancelled, skipped, timed_out, neutral or None.
        payload: The event that started it, as a webhook would carry it.
        pull_requests: Numbers; empty for forks.
        inputs: Of a dispatch, defaults filled in.
        log: Path of a text file, or empty.
        summary: Markdown, of all jobs.
        attempts: What earlier attempts were: attempt, conclusion, log, summary, jobs.
        display_title: What a list shows; the commit's or the pull request's title.
        pending: Names of the environments whose reviewers have to approve before it goes on.
        approvals: What reviewers have said, in all attempts.
    """

    repository: str
    path: str
    name: str
    event: str
    head_branch: str
    head_sha: str
    head_repository: str
    actor: str
    id: int = 0
    number: int = 0
    attempt: int = 1
    status: str = "queued"
    conclusion: str | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    pull_requests: list[int] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    log: str = ""
    summary: str = ""
    attempts: list[dict[str, Any]] = field(default_factory=list)
    display_title: str = ""
    triggering_actor: str = ""
    pending: list[str] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    created_at: str = field(default_factory=now)
    started_at: str | None = None
    completed_at: str | None = None

    @property
    def is_held(self) -> bool:
        """It waits for somebody with write access to let it begin."""
        return self.status == "waiting" and not self.pending


@dataclass
class Artifact:
    """A file that a run left; `path` is the zip, or the file itself when it was stored unarchived."""

    id: int
    repository: str
    run_id: int
    attempt: int
    name: str
    path: str
    size: int
    digest: str
    created_at: str = field(default_factory=now)
    expires_at: str = ""
    expired: bool = False


@dataclass
class Asset:
    """A file of a release."""

    id: int
    name: str
    path: str
    size: int
    digest: str
    content_type: str = "application/octet-stream"
    label: str | None = None
    uploader: str = BOT
    download_count: int = 0
    created_at: str = field(default_factory=now)
    updated_at: str = field(default_factory=now)


@dataclass
class Release:
    """A release; a draft has no tag in git yet, its `target` (a branch or a SHA) says where it will be."""

    id: int
    repository: str
    tag: str
    sha: str
    name: str
    body: str
    author: str
    draft: bool = False
    prerelease: bool = False
    target: str = ""
    assets: list[Asset] = field(default_factory=list)
    created_at: str = field(default_factory=now)
    published_at: str | None = None


@dataclass
class Token:
    """A credential.

    Attributes:
        repository: The only one it can be used for; None: every one.
        permissions: Of a workflow's token, as in a workflow file; None: a person's, with their `role`.
        role: `admin`, `write` or `read`, of a person.
    """

    value: str
    user: str
    repository: str | None = None
    permissions: dict[str, str] | None = None
    role: str = "admin"
    run_id: int | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened, as a webhook tells it.

    Attributes:
        name: GitHub's event name (push, pull_request, workflow_run, workflow_dispatch, repository_dispatch, release,
            issue_comment, …), or `run`, which is no webhook but the forge's word to whoever executes runs.
        action: The activity type, where the event has any. For `run`: `queued` (a re-run or an approval: execute the
            run `payload["run_id"]` again from its stored payload) or `cancelled` (stop executing it and close it;
            one that was still queued is closed already).
        repository: Full name of where it happened.
        payload: GitHub's webhook shape.
        ref: Fully formed: refs/heads/main.
        sha: The commit it is about.
        actor: Login of who did it.
    """

    name: str
    action: str | None
    repository: str
    payload: dict[str, Any]
    ref: str
    sha: str
    actor: str


@dataclass
class State:
    """Everything there is, oldest first. Use the lookups of `Forge`, or these.

    Attributes:
        bot_runs: What becomes of a pull request's event that a workflow's own token causes.
    """

    users: list[User] = field(default_factory=list)
    repositories: list[Repository] = field(default_factory=list)
    pulls: list[Pull] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    check_runs: list[CheckRun] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    bot_runs: BotRuns = "held"
    last_id: int = 1000
    port: int = 0
    secret: str = field(default_factory=lambda: secrets.token_hex(16))

    def new_id(self) -> int:
        """A number that nothing else has."""
        self.last_id += 1
        return self.last_id

    def user(self, login: str) -> User:
        """The user of that name, made when it is new."""
        for user in self.users:
            if user.login == login:
                return user
        user = User(login, self.new_id(), "Bot" if login.endswith("[bot]") else "User")
        self.users.append(user)
        return user

    def repository(self, full_name: str) -> Repository | None:
        """The repository of that name."""
        return next((one for one in self.repositories if one.full_name.lower() == full_name.lower()), None)

    def pull(self, repository: str, number: int) -> Pull | None:
        """A pull request by the number it has in the repository it wants to change."""
        return next((one for one in self.pulls if (one.repository, one.number) == (repository, number)), None)

    def issue(self, repository: str, number: int) -> Issue | None:
        """An issue by its number."""
        return next((one for one in self.issues if (one.repository, one.number) == (repository, number)), None)

    def comments_of(self, repository: str, number: int) -> list[Comment]:
        """The comments of an issue or pull request, oldest first."""
        return [one for one in self.comments if (one.repository, one.number) == (repository, number)]

    def reviews_of(self, repository: str, number: int) -> list[Review]:
        """The reviews of a pull request, oldest first."""
        return [one for one in self.reviews if (one.repository, one.number) == (repository, number)]

    def statuses_of(self, repository: str, sha: str) -> dict[str, Status]:
        """The newest status of each context."""
        return {one.context: one for one in self.statuses if (one.repository, one.sha) == (repository, sha)}

    def check_runs_of(self, repository: str, sha: str) -> list[CheckRun]:
        """The check runs of a commit, oldest first; of one name in one run only the newest."""
        found = [one for one in self.check_runs if (one.repository, one.sha) == (repository, sha)]
        return list({(one.name, one.run_id): one for one in found}.values())

    def run(self, identifier: int) -> Run | None:
        """A run by its id."""
        return next((one for one in self.runs if one.id == identifier), None)

    def runs_of(self, repository: str) -> list[Run]:
        """The runs of a repository, oldest first."""
        return [one for one in self.runs if one.repository == repository]

    def artifacts_of(self, repository: str) -> Iterator[Artifact]:
        """The artifacts of a repository, oldest first."""
        return (one for one in self.artifacts if one.repository == repository)

    def releases_of(self, repository: str) -> list[Release]:
        """The releases of a repository, oldest first."""
        return [one for one in self.releases if one.repository == repository]

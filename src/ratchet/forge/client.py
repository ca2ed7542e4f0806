"""The client: what the loop asks of a repository on GitHub, and what it tells it."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ratchet import files
from ratchet.errors import RatchetError
from ratchet.forge.api import ASSET, PATIENT, TOKEN, Api, ApiError, NotFound, Patience
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
from ratchet.forge.objects import History, Objects

DESCRIPTION = 140
"""Characters that a commit status may say."""
ROUNDS = 3
"""How often a comment that others change meanwhile is tried again."""
FILE_LIMIT = 1_000_000
CLOCKS = timedelta(minutes=1)
"""By how much the clock here may be ahead of GitHub's."""


class Moved(RatchetError):  # noqa: N818  # reads as what it says
    """A branch is no longer where it was: someone else was faster."""


class Forge:
    """One repository, with the rights of one token.

    Every method raises `ApiError` (`NotFound` for 404) in words that say what to do, after all patience.
    """

    def __init__(
        self,
        repository: str,
        token: str,
        *,
        api_url: str = "https://api.github.com",
        server_url: str = "https://github.com",
        patience: Patience = PATIENT,
    ) -> None:
        self.repository, self.token, self.server_url = repository, token, server_url.rstrip("/")
        self.owner = repository.partition("/")[0]
        self._api, self._patience = Api(api_url, token, patience), patience
        self._root = f"/repos/{repository}"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, patience: Patience = PATIENT) -> Forge:
        """The repository, server and token that the environment names, as it does in every job.

        Raises:
            RatchetError: One that cannot be guessed is missing.
        """
        repository, token = environ.get("GITHUB_REPOSITORY", ""), environ.get("GITHUB_TOKEN", "")
        if repository.count("/") != 1:
            raise RatchetError(
                f"GITHUB_REPOSITORY: is {repository or 'not set'}; it names the repository as owner/name\n"
                "at a desk: `export GITHUB_REPOSITORY=$(gh repo view --json nameWithOwner --jq .nameWithOwner)`"
            )
        if not token:
            raise RatchetError(f"GITHUB_TOKEN: is not set\n{TOKEN}")
        found = cls(
            repository,
            token,
            api_url=environ.get("GITHUB_API_URL") or "https://api.github.com",
            server_url=environ.get("GITHUB_SERVER_URL") or "https://github.com",
            patience=patience,
        )
        if branch := _told_branch(environ.get("GITHUB_EVENT_PATH", ""), repository):
            found.default_branch = branch
        return found

    # --- the repository

    @cached_property
    def default_branch(self) -> str:
        """The branch that pull requests go to: "main". Most events of a job name it, and save a request."""
        return str(self._api.get(self._root)["default_branch"])

    @cached_property
    def login(self) -> str:
        """Whose token this is; a workflow's is of no user, and may not ask."""
        if self.token.startswith("ghs_"):
            return BOT
        try:
            return str(self._api.get("/user")["login"])
        except ApiError as error:
            if error.status not in {403, 404}:
                raise
            return BOT

    def is_ours(self, login: str) -> bool:
        """Whether somebody is this token's user, or a workflow: anybody may copy a mark."""
        return login in {self.login, BOT}

    def requests(self) -> tuple[int, int]:
        """How many requests this token has an hour, and how many of them are left. Asking costs none."""
        found = self._api.get("/rate_limit")["resources"]["core"]
        return int(found["limit"]), int(found["remaining"])

    def permission(self, login: str) -> str:
        """What someone may do here: "admin", "write", "read" or "none"."""
        try:
            return str(self._get(f"/collaborators/{quote(login, safe='')}/permission")["permission"])
        except NotFound:
            return "none"

    def ask(self, path: str = "", *, of: str = "", **parameters: Any) -> Answer:
        """What a setting is, or why it cannot be told; `path` is below the repository, or below another (`of`)."""
        where = (f"/repos/{of}" if of else self._root) + path
        try:
            return Answer(where, 200, self._api.get(where, **parameters))
        except ApiError as error:
            if error.status not in {403, 404, 410}:
                raise
            return Answer(where, error.status, None)

    # --- pull requests

    def pull(self, number: int) -> Pull:
        """The pull request of that number."""
        return Pull.of(self._get(f"/pulls/{number}"))

    def open_pulls(self, base: str | None = None) -> list[Pull]:
        """The open pull requests, newest first; only those into `base`, when given."""
        parameters = {"state": "open"} | ({"base": base} if base else {})
        return [Pull.of(data) for data in self._pages("/pulls", **parameters)]

    def pulls_of(self, head_repository: str, branch: str) -> list[Pull]:
        """The open pull requests whose head is that branch of that repository, whatever they go to.

        The only way from a run to its pull request that also works for forks.
        """
        head = f"{head_repository.partition('/')[0]}:{branch}"
        found = [Pull.of(data) for data in self._pages("/pulls", state="open", head=head)]
        return [pull for pull in found if pull.head_repository == head_repository]

    def reviews(self, number: int) -> list[Review]:
        """What people think of a pull request, oldest first."""
        return [Review.of(data) for data in self._pages(f"/pulls/{number}/reviews")]

    def create_pull(self, title: str, head: str, base: str, body: str = "") -> Pull:
        """Open a pull request from a branch of this repository; the one that is open already, if there is one."""

        def find() -> Pull | None:
            listed = self._pages("/pulls", state="open", head=f"{self.owner}:{head}", base=base)
            return next((Pull.of(data) for data in listed), None)

        request = {"title": title, "head": head, "base": base, "body": body}
        return find() or self._api.create(f"{self._root}/pulls", request, find, Pull.of)

    def closed_pull(self, branch: str) -> Pull | None:
        """The newest pull request from a branch of this repository that was closed without being merged."""
        listed = self._pages("/pulls", state="closed", head=f"{self.owner}:{branch}")
        found = (Pull.of(data) for data in listed if not data["merged_at"])
        return next((pull for pull in found if not pull.is_fork), None)

    def close_pull(self, number: int) -> None:
        """Give a pull request up."""
        self._api.send("PATCH", f"{self._root}/pulls/{number}", {"state": "closed"})

    def edit_pull(self, pull: Pull, title: str, body: str) -> Pull:
        """Give a pull request this title and text; nothing, when it has them."""
        if pull.title == title and _same_text(pull.body, body):
            return pull
        path = f"{self._root}/pulls/{pull.number}"
        return Pull.of(self._api.send("PATCH", path, {"title": title, "body": body}))

    def label(self, number: int, names: Sequence[str]) -> None:
        """Give an issue or a pull request labels, beside those that it has; they are made where there are none."""
        self._api.send("POST", f"{self._root}/issues/{number}/labels", {"labels": list(names)})

    def request_reviews(self, number: int, people: Sequence[str], teams: Sequence[str] = ()) -> None:
        """Ask people and teams (without their organisation) to review a pull request; once each."""
        body = {"reviewers": list(people), "team_reviewers": list(teams)}
        self._api.send("POST", f"{self._root}/pulls/{number}/requested_reviewers", body)

    # --- git

    @cached_property
    def history(self) -> History:
        """What comes from what."""
        return History(self.server_url, self.repository, self.token, self._patience)

    @cached_property
    def objects(self) -> Objects:
        """Its commits, trees and files."""
        return Objects(self.server_url, self.repository, self.token, self._patience)

    def branch(self, name: str) -> str | None:
        """The commit that a branch points to now; None when there is no such branch."""
        return self.objects.ref(f"heads/{name}")

    def branches(self, prefix: str) -> list[str]:
        """Names of the branches that begin so."""
        listed = self._pages(f"/git/matching-refs/heads/{quote(prefix)}")
        return [str(data["ref"]).removeprefix("refs/heads/") for data in listed]

    def commit(self, sha: str) -> Commit:
        """A commit; of a merge, `files` are those that differ from its first parent."""
        return self.objects.commit(sha)

    def commits(self, start: str, path: str) -> Iterator[Commit]:
        """The commits from a branch or commit on back that changed a path, newest first; asked for as they are needed.

        Whether what is named there exists is for the caller to know: there is nothing to list of what does not.
        """
        return map(Commit.of, self._pages("/commits", sha=start, path=path))

    def file(self, at: str, path: str, limit: int = FILE_LIMIT) -> bytes | None:
        """The bytes of a file of a commit, or of a branch as it is now; None when it has none there.

        Raises:
            RatchetError: It is larger than `limit` bytes.
        """
        sha = at if re.fullmatch(r"[0-9a-f]{40}", at) else self.branch(at)  # GitHub lets no branch be called like one
        entry = self.tree(sha).get(path) if sha else None
        return self.objects.files([entry.sha], limit)[entry.sha] if entry and entry.is_file else None

    def compare(self, base: str, head: str) -> Comparison:
        """What a head (commit or branch) has that a base lacks."""
        return Comparison.of(self._get(f"/compare/{quote(base, safe='')}...{quote(head, safe='')}"))

    def tree(self, sha: str) -> Mapping[str, Entry]:
        """All paths of a commit's tree, without the directories."""
        return self.objects.tree(sha)

    def commit_files(
        self,
        branch: str,
        parent: str | None,
        changed: Mapping[str, bytes | None],
        message: str,
        merged: Sequence[str] = (),
    ) -> str:
        """Commit files onto a branch that is at `parent`, and return the commit.

        The branch only ever moves forward: when it is elsewhere, nothing changes.

        Args:
            branch: Where. With `parent` None it is new, and its first commit has no history.
            parent: The commit it is at.
            changed: New content by path; None deletes. All else stays as in the parent, also when nothing is given.
            message: Of the commit.
            merged: Further parents, which make it a merge.

        Raises:
            Moved: The branch is not (or no longer) at `parent`, or is there when it should be new.
        """
        base = {"base_tree": self.objects.commit(parent).tree} if parent else {}
        entries = [self._entry(path, content) for path, content in sorted(changed.items())]
        # GitHub makes no tree of nothing: a commit that changes no file has its parent's.
        tree = self._post("/git/trees", base | {"tree": entries})["sha"] if entries else base["base_tree"]
        parents = [*([parent] if parent else []), *merged]
        commit = self._post("/git/commits", {"message": message, "tree": tree, "parents": parents})
        sha = str(commit["sha"])
        if parent:
            self._move(branch, sha)
        else:
            self.create_branch(branch, sha)
        return sha

    def create_branch(self, name: str, sha: str) -> None:
        """Make a branch at a commit; nothing, when it is there already at that commit.

        Raises:
            Moved: It is there, elsewhere.
        """
        request = {"ref": f"refs/heads/{name}", "sha": sha}
        at: str | None
        try:
            at = self._api.create(f"{self._root}/git/refs", request, lambda: self.branch(name), _target)
        except ApiError as error:
            at = self.branch(name) if error.status == 422 else None
            if at is None:
                raise
        if at != sha:
            raise Moved(f"branch {name}: is there already, at {at[:10]}\nrun it again")

    def delete_branch(self, name: str) -> None:
        """Delete a branch, which closes the pull requests from it; nothing, when there is none."""
        try:
            self._api.send("DELETE", f"{self._root}/git/refs/heads/{quote(name)}")
        except ApiError as error:
            if error.status not in {404, 422} or self.branch(name) is not None:
                raise

    def _move(self, branch: str, sha: str) -> None:
        try:
            self._api.send("PATCH", f"{self._root}/git/refs/heads/{quote(branch)}", {"sha": sha, "force": False})
        except ApiError as error:
            if error.status == 409 or (error.status == 422 and _says_moved(str(error))):
                raise Moved(f"branch {branch}: has moved meanwhile\nrun it again") from error
            raise

    def _entry(self, path: str, content: bytes | None) -> dict[str, Any]:
        entry: dict[str, Any] = {"path": path, "mode": "100644", "type": "blob"}
        if content is None:
            return entry | {"sha": None}
        try:  # text goes along, and saves a request
            return entry | {"content": content.decode()}
        except UnicodeDecodeError:
            blob = self._post("/git/blobs", {"content": base64.b64encode(content).decode(), "encoding": "base64"})
            return entry | {"sha": blob["sha"]}

    # --- statuses and comments

    def statuses(self, sha: str) -> dict[str, Status]:
        """The newest status of each context of a commit."""
        found: dict[str, Status] = {}
        for status in self.status_history(sha):
            found.setdefault(status.context, status)
        return found

    def status_history(self, sha: str) -> list[Status]:
        """Every status that a commit was ever given, newest first."""
        return [Status.of(data) for data in self._pages(f"/commits/{sha}/statuses")]

    def set_status(self, sha: str, context: str, state: str, description: str, url: str = "") -> None:
        """Set a commit status. A long description is cut.

        The newest one of a context counts, so setting it again changes nothing, and looking first would cost more.
        """
        said = description if len(description) <= DESCRIPTION else description[: DESCRIPTION - 1] + "…"
        wanted = (state, said, url)

        def find() -> Status | None:
            held = self.statuses(sha).get(context)
            return held if held and (held.state, held.description, held.url) == wanted else None

        body = {"context": context, "state": state, "description": said} | ({"target_url": url} if url else {})
        self._api.create(f"{self._root}/statuses/{sha}", body, find, Status.of)

    def comments(self, number: int) -> list[Comment]:
        """All comments of an issue or pull request, oldest first."""
        return [Comment.of(data) for data in self._pages(f"/issues/{number}/comments")]

    def marked_comment(self, number: int, marker: str) -> str | None:
        """What our comment that begins with `marker` says; never somebody else's that copies it."""
        return next((comment.body for comment in self._marked(number, marker)), None)

    def upsert_comment(self, number: int, marker: str, body: str) -> str:
        """Make the one comment of ours that begins with `marker` have this body, and return its address.

        The oldest one is edited and later ones are removed, also those of another run that came at the same time.
        """
        made: list[Comment] = []
        for _ in range(ROUNDS):
            mine = self._marked(number, marker, made)
            if not mine:  # look again afterwards: another run may have done the same at the same time
                made.append(self._add_comment(number, marker, body))
                mine = self._marked(number, marker, made)
            oldest, *later = mine
            for comment in later:
                self._delete_comment(comment)
            if _same_text(oldest.body, body):
                return oldest.url
            try:
                path = f"{self._root}/issues/comments/{oldest.id}"
                return Comment.of(self._api.send("PATCH", path, {"body": body})).url
            except NotFound:
                made.clear()  # someone removed it meanwhile
        raise ApiError(f"pull request {number}: its comment vanishes as fast as it is written\nrun it again")

    def remove_comments(self, number: int, marker: str) -> None:
        """Remove our comments that begin with `marker`."""
        for comment in self._marked(number, marker):
            self._delete_comment(comment)

    def _marked(self, number: int, marker: str, made: Iterable[Comment] = ()) -> list[Comment]:
        """Our comments with the marker, oldest first; with those just made, for lists lag behind."""
        found = {comment.id: comment for comment in (*made, *self.comments(number))}
        held = [comment for _, comment in sorted(found.items()) if comment.body.lstrip().startswith(marker)]
        return [comment for comment in held if self.is_ours(comment.author)]

    def _add_comment(self, number: int, marker: str, body: str) -> Comment:
        def find() -> Comment | None:
            return next(iter(self._marked(number, marker)), None)

        return self._api.create(f"{self._root}/issues/{number}/comments", {"body": body}, find, Comment.of)

    def _delete_comment(self, comment: Comment) -> None:
        try:
            self._api.send("DELETE", f"{self._root}/issues/comments/{comment.id}")
        except NotFound:
            return  # the other run was faster

    def issue(self, title: str, body: str, labels: Sequence[str] = (), marker: str = "") -> Issue:
        """The one open issue of ours that begins with `marker`, or without one has that title; made or updated.

        Anybody may open an issue with such a title or such a text: that one is left alone.
        """

        def find() -> Issue | None:
            return next((issue for issue in self.open_issues(marker) if marker or issue.title == title), None)

        request = {"title": title, "body": body, "labels": list(labels)}
        found = find() or self._api.create(f"{self._root}/issues", request, find, Issue.of)
        if _same_text(found.body, body):
            return found
        return Issue.of(self._api.send("PATCH", f"{self._root}/issues/{found.number}", {"body": body}))

    def open_issues(self, marker: str) -> list[Issue]:
        """Our open issues whose text begins with `marker`, oldest first; never somebody else's that copies it."""
        listed = self._pages("/issues", state="open", sort="created", direction="asc")
        found = [Issue.of(data) for data in listed if "pull_request" not in data]
        return [issue for issue in found if issue.body.lstrip().startswith(marker) and self.is_ours(issue.author)]

    def close_issue(self, number: int) -> None:
        """Close an issue as done."""
        self._api.send("PATCH", f"{self._root}/issues/{number}", {"state": "closed", "state_reason": "completed"})

    # --- actions

    def run(self, run_id: int) -> Run:
        """A workflow run, in its newest attempt."""
        return Run.of(self._get(f"/actions/runs/{run_id}"))

    def runs(self, head_sha: str) -> list[Run]:
        """The runs of all workflows for a commit, newest first."""
        return [Run.of(data) for data in self._pages("/actions/runs", "workflow_runs", head_sha=head_sha)]

    def runs_on(self, branch: str, workflow: str = "") -> list[Run]:
        """The runs on branches of that name, those of forks included, newest first; of one workflow file, if named."""
        path = f"/actions/workflows/{workflow}/runs" if workflow else "/actions/runs"
        return [Run.of(data) for data in self._pages(path, "workflow_runs", branch=branch)]

    def cancel_run(self, run_id: int) -> None:
        """Stop a run; nothing, when it has ended."""
        try:
            self._api.send("POST", f"{self._root}/actions/runs/{run_id}/cancel")
        except ApiError as error:
            if error.status != 409:
                raise

    def delete_run(self, run_id: int) -> None:
        """Delete a run that has ended; nothing, when it is gone."""
        try:
            self._api.send("DELETE", f"{self._root}/actions/runs/{run_id}")
        except NotFound:
            return

    def waiting_runs(self) -> list[Run]:
        """The runs that wait for somebody's approval before they deploy, newest first."""
        return [Run.of(data) for data in self._pages("/actions/runs", "workflow_runs", status="waiting")]

    def approver(self, run_id: int, environment: str) -> str | None:
        """Who let a run deploy to an environment, the last time that somebody did; None when nobody had to."""
        said = [each for each in self._get(f"/actions/runs/{run_id}/approvals") if each["state"] == "approved"]
        found = [each["user"]["login"] for each in said if environment in {one["name"] for one in each["environments"]}]
        return str(found[-1]) if found else None

    def jobs(self, run_id: int, attempt: int) -> list[Job]:
        """The jobs of one attempt of a run."""
        return [Job.of(data) for data in self._pages(f"/actions/runs/{run_id}/attempts/{attempt}/jobs", "jobs")]

    def artifacts(self, run_id: int) -> list[Artifact]:
        """What a run has uploaded, in all of its attempts."""
        return [Artifact.of(data) for data in self._pages(f"/actions/runs/{run_id}/artifacts", "artifacts")]

    def artifact(self, artifact_id: int) -> Artifact | None:
        """An artifact by its number; None when GitHub has deleted it."""
        try:
            return Artifact.of(self._get(f"/actions/artifacts/{artifact_id}"))
        except NotFound:
            return None

    def download(self, artifact: Artifact, target: Path, limit: int) -> None:
        """Download an artifact's zip file: at most `limit` bytes, with the digest that GitHub has noted for it."""
        self._api.download(f"{self._root}/actions/artifacts/{artifact.id}/zip", target, limit, artifact.digest)

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str] | None = None) -> None:
        """Start a workflow on a branch."""
        began, sha = (datetime.now(UTC) - CLOCKS).strftime("%Y-%m-%dT%H:%M:%SZ"), self.branch(ref)

        def find() -> bool | None:
            """Its run, or one like it that somebody else has just started."""
            runs = [run for run in self.runs(str(sha)) if run.event == "workflow_dispatch"]
            return any(run.path.endswith(f"/{workflow}") and run.created_at >= began for run in runs) or None

        request = {"ref": ref, "inputs": dict(inputs or {})}
        self._api.create(f"{self._root}/actions/workflows/{workflow}/dispatches", request, find, lambda _: True)

    # --- releases

    def release(self, tag: str) -> Release | None:
        """The published release of a tag; None when there is none."""
        try:
            return Release.of(self._get(f"/releases/tags/{quote(tag)}"))
        except NotFound:
            return None

    def releases(self) -> list[Release]:
        """All releases, newest first; with drafts, when the token may write."""
        return [Release.of(data) for data in self._pages("/releases")]

    def download_asset(self, asset: Asset, target: Path, limit: int) -> None:
        """Download a file of a release: at most `limit` bytes, with its digest where GitHub has noted one."""
        self._api.download(f"{self._root}/releases/assets/{asset.id}", target, limit, asset.digest, ASSET)

    def create_release(
        self,
        tag: str,
        sha: str,
        title: str,
        body: str,
        assets: Sequence[Path],
        listed: Sequence[Release] | None = None,
    ) -> Release:
        """Publish a release with its files, all of them or none: a draft first, then the files, then the publication.

        A second time changes nothing; one that was left half made is finished.

        Args:
            tag: Its tag, which comes into being with it.
            sha: The commit that the tag points to.
            title: Its title.
            body: Markdown.
            assets: Its files.
            listed: The releases that there are, where they are known; else they are asked for.

        Raises:
            ApiError: It is published already, with other files.
        """
        known = next((one for one in (self.releases() if listed is None else listed) if one.tag == tag), None)
        if known and not known.draft:
            return _unchanged(known, assets)
        draft = self._draft(
            known, {"tag_name": tag, "target_commitish": sha, "name": title, "body": body, "draft": True}
        )
        for path in assets:
            self._attach(draft, path)
        return Release.of(self._api.send("PATCH", f"{self._root}/releases/{draft.id}", {"draft": False}))

    def _draft(self, known: Release | None, request: Mapping[str, Any]) -> Release:
        def find() -> Release | None:
            return next((r for r in self.releases() if r.draft and r.tag == request["tag_name"]), None)

        if known is None:
            return self._api.create(f"{self._root}/releases", request, find, Release.of)
        return Release.of(self._api.send("PATCH", f"{self._root}/releases/{known.id}", request))

    def _attach(self, draft: Release, path: Path) -> None:
        def whole(listed: Iterable[Asset]) -> Asset | None:
            """The asset, when it is whole; half of one is removed, for its name is taken."""
            found = next((asset for asset in listed if asset.name == path.name), None)
            if found and not _holds(found, path):
                self._api.send("DELETE", f"{self._root}/releases/assets/{found.id}")
                return None
            return found

        def find() -> Asset | None:
            return whole(map(Asset.of, self._pages(f"/releases/{draft.id}/assets")))

        if whole(draft.assets) is None:
            self._api.upload(draft.upload_url, path, find, Asset.of)

    # --- calls

    def _get(self, path: str, **parameters: Any) -> Any:
        return self._api.get(self._root + path, **parameters)

    def _pages(self, path: str, /, key: str | None = None, **parameters: Any) -> Iterator[Any]:
        """The entries of a list, of all its pages; `key` names the list where it is wrapped in an object."""
        for page in self._api.pages(self._root + path, **parameters):
            yield from page[key] if key else page

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST what is the same when it is done twice: git objects, which are named by their content."""
        return self._api.send("POST", self._root + path, body)


def _told_branch(event: str, repository: str) -> str | None:
    """The default branch, as the payload of a job's event says it; None where there is none, or it is another's."""
    told = (files.read_json(Path(event)) if event else {}).get("repository") or {}
    return str(told["default_branch"]) if told.get("full_name") == repository and "default_branch" in told else None


def _target(ref: Mapping[str, Any]) -> str:
    return str(ref["object"]["sha"])


def _says_moved(message: str) -> bool:
    return any(words in message.lower() for words in ("fast forward", "fast-forward", "does not exist"))


def _same_text(one: str, other: str) -> bool:
    """Whether GitHub holds this text; it may hold it with other ends of lines."""
    return one.replace("\r\n", "\n").rstrip() == other.replace("\r\n", "\n").rstrip()


def _holds(asset: Asset, path: Path) -> bool:
    same = asset.digest is None or asset.digest == f"sha256:{files.sha256(path)}"
    return asset.whole and asset.size == path.stat().st_size and same


def _unchanged(release: Release, assets: Sequence[Path]) -> Release:
    held = {asset.name: asset for asset in release.assets}
    wrong = [path.name for path in assets if path.name not in held or not _holds(held[path.name], path)]
    if wrong:
        raise ApiError(
            f"release {release.tag}: is published without this {wrong[0]}\na release never changes: make a new one"
        )
    return release

"""A request to each operation that succeeds, and those that fail in the ways that matter.

Each row is an operation, the status GitHub answers, and the request. Refusals for want of a right are not listed: the
tests repeat the successes with other tokens.
"""

from __future__ import annotations

import base64
from typing import Any

from contract.world import Call, Make, ruleset

R = "/repos/{owner}/{repo}"
RUN = f"{R}/actions/runs/{{run_id}}"
ISSUE = f"{R}/issues/{{issue_number}}"
PULL = f"{R}/pulls/{{pull_number}}"
NOTHING = 999_999
NO_SHA = "0123456789" * 4

Row = tuple[str, int, Make]


def encoded(text: str) -> str:
    """As the contents operations take it."""
    return base64.b64encode(text.encode()).decode()


def reading(operation: str, status: int = 200, query: dict[str, Any] | None = None, **path: Any) -> Row:
    """A GET of what is at a path; values that are functions are asked of the world."""
    return (f"GET {operation}", status, lambda w: Call(path=asked(w, path), query=query or {}))


def asked(world: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Values, those that are functions asked of the world."""
    return {key: value(world) if callable(value) else value for key, value in values.items()}


def run(world: Any) -> int:
    """The run that ended."""
    return int(world.run.id)


READS: list[Row] = [
    reading("/rate_limit"),
    reading("/user"),
    reading("/users/{username}", username="eve"),
    reading(R),
    reading(f"{R}/actions/artifacts"),
    reading(f"{R}/actions/artifacts", query={"name": "evidence", "per_page": 1}),
    reading(f"{R}/actions/artifacts/{{artifact_id}}", artifact_id=lambda w: w.artifact),
    reading(
        f"{R}/actions/artifacts/{{artifact_id}}/{{archive_format}}",
        302,
        artifact_id=lambda w: w.artifact,
        archive_format="zip",
    ),
    reading(f"{R}/actions/jobs/{{job_id}}", job_id=lambda w: w.run.jobs[0].id),
    reading(f"{R}/actions/jobs/{{job_id}}/logs", 302, job_id=lambda w: w.run.jobs[0].id),
    reading(f"{R}/actions/permissions"),
    reading(f"{R}/actions/permissions/workflow"),
    reading(f"{R}/actions/runs"),
    reading(f"{R}/actions/runs", query={"event": "pull_request", "branch": "more-trees", "status": "success"}),
    reading(RUN, run_id=run),
    reading(f"{RUN}/artifacts", run_id=run),
    reading(f"{RUN}/attempts/{{attempt_number}}", run_id=run, attempt_number=1),
    reading(f"{RUN}/attempts/{{attempt_number}}/jobs", run_id=run, attempt_number=1),
    reading(f"{RUN}/jobs", run_id=run),
    reading(f"{RUN}/approvals", run_id=lambda w: w.approved_run().id),
    reading(f"{RUN}/pending_deployments", run_id=lambda w: w.held_run().id),
    reading(f"{RUN}/logs", 302, run_id=run),
    reading(f"{R}/actions/workflows"),
    reading(f"{R}/actions/workflows/{{workflow_id}}", workflow_id="report.yml"),
    reading(f"{R}/actions/workflows/{{workflow_id}}/runs", workflow_id="report.yml"),
    reading(f"{R}/branches"),
    reading(f"{R}/branches/{{branch}}", branch="main"),
    reading(f"{R}/check-runs/{{check_run_id}}", check_run_id=lambda w: w.check),
    reading(f"{R}/collaborators"),
    reading(f"{R}/collaborators/{{username}}", 204, username="ada"),
    reading(f"{R}/collaborators/{{username}}/permission", username="eve"),
    reading(f"{R}/commits"),
    reading(f"{R}/commits", query={"sha": "more-trees", "path": "params.yaml"}),
    reading(f"{R}/commits/{{commit_sha}}/pulls", commit_sha=lambda w: w.head),
    reading(f"{R}/commits/{{ref}}", ref="main"),
    reading(f"{R}/commits/{{ref}}", ref=lambda w: w.head),
    reading(f"{R}/commits/{{ref}}/check-runs", ref=lambda w: w.head),
    reading(f"{R}/commits/{{ref}}/status", ref=lambda w: w.head),
    reading(f"{R}/commits/{{ref}}/statuses", ref=lambda w: w.head),
    reading(f"{R}/compare/{{basehead}}", basehead="main...more-trees"),
    reading(f"{R}/contents/{{path}}", path="params.yaml"),
    reading(f"{R}/contents/{{path}}", path="src", query={"ref": "more-trees"}),
    reading(f"{R}/environments"),
    reading(f"{R}/environments/{{environment_name}}", environment_name=lambda w: w.environment["name"]),
    reading(f"{R}/forks"),
    reading(f"{R}/git/blobs/{{file_sha}}", file_sha=lambda w: w.blob()),
    reading(f"{R}/git/commits/{{commit_sha}}", commit_sha=lambda w: w.main),
    reading(f"{R}/git/matching-refs/{{ref}}", ref="heads/m"),
    reading(f"{R}/git/ref/{{ref}}", ref="heads/main"),
    reading(f"{R}/git/tags/{{tag_sha}}", tag_sha=lambda w: w.tag()),
    reading(f"{R}/git/trees/{{tree_sha}}", tree_sha="main", query={"recursive": "1"}),
    reading(f"{R}/issues", query={"state": "all"}),
    reading(f"{R}/issues/comments"),
    reading(f"{R}/issues/comments/{{comment_id}}", comment_id=lambda w: w.comment()),
    reading(ISSUE, issue_number=lambda w: w.issue),
    reading(ISSUE, issue_number=lambda w: w.pull),
    reading(f"{ISSUE}/comments", issue_number=lambda w: w.issue),
    reading(f"{ISSUE}/labels", issue_number=lambda w: w.issue),
    reading(f"{R}/labels"),
    reading(f"{R}/labels/{{name}}", name=lambda w: w.label()),
    reading(f"{R}/pulls", query={"state": "all"}),
    reading(f"{R}/pulls", query={"head": "ada:more-trees", "base": "main"}),
    reading(PULL, pull_number=lambda w: w.pull),
    reading(PULL, pull_number=lambda w: w.merged()),
    reading(f"{PULL}/commits", pull_number=lambda w: w.pull),
    reading(f"{PULL}/files", pull_number=lambda w: w.pull),
    reading(f"{PULL}/merge", 204, pull_number=lambda w: w.merged()),
    reading(f"{PULL}/reviews", pull_number=lambda w: w.reviewed()),
    reading(f"{R}/releases"),
    reading(f"{R}/releases/assets/{{asset_id}}", asset_id=lambda w: w.release["assets"][0]["id"]),
    (f"GET {R}/releases/latest", 200, lambda w: Call() if w.release else Call("nobody")),
    reading(f"{R}/releases/tags/{{tag}}", tag=lambda w: w.release["tag_name"]),
    reading(f"{R}/releases/{{release_id}}", release_id=lambda w: w.release["id"]),
    reading(f"{R}/releases/{{release_id}}/assets", release_id=lambda w: w.release["id"]),
    reading(f"{R}/rules/branches/{{branch}}", branch=lambda w: "idle" if w.ruleset else ""),
    reading(f"{R}/rulesets"),
    reading(f"{R}/rulesets/{{ruleset_id}}", ruleset_id=lambda w: w.ruleset),
    reading(f"{R}/tags"),
    reading(f"{R}/tarball/{{ref}}", 302, ref="main"),
    reading(f"{R}/zipball/{{ref}}", 302, ref="main"),
]

WRITES: list[Row] = [
    ("POST /user/repos", 201, lambda w: Call(body={"name": w.name("new"), "private": True})),
    (
        f"PUT {R}/collaborators/{{username}}",
        201,
        lambda w: Call(path={"username": w.name("carol")}, body={}),
    ),
    (f"POST {R}/merges", 201, lambda w: Call(body={"base": w.branch(), "head": w.branch("# Other\n", "README.md")})),
    (f"PATCH {R}", 200, lambda w: Call(body={"allow_rebase_merge": True})),
    (f"DELETE {R}/actions/artifacts/{{artifact_id}}", 204, lambda w: Call(path={"artifact_id": w.loose_artifact()})),
    (
        f"PUT {R}/actions/permissions",
        204,
        lambda w: Call(body={"enabled": True, "allowed_actions": "all"}),
    ),
    (
        f"PUT {R}/actions/permissions/workflow",
        204,
        lambda w: Call(body={"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}),
    ),
    (f"POST {RUN}/approve", 201, lambda w: Call(path={"run_id": w.waiting_run().id})),
    (f"POST {RUN}/cancel", 202, lambda w: Call(path={"run_id": w.open_run().id})),
    (f"POST {RUN}/rerun", 201, lambda w: Call(path={"run_id": w.finished_run().id})),
    (f"DELETE {RUN}", 204, lambda w: Call(path={"run_id": w.finished_run().id})),
    (f"DELETE {RUN}", 204, lambda w: Call(path={"run_id": w.waiting_run().id})),
    (f"POST {RUN}/pending_deployments", 200, lambda w: _reviewed(w, "approved")),
    (f"POST {RUN}/pending_deployments", 200, lambda w: _reviewed(w, "rejected")),
    (
        f"PUT {R}/environments/{{environment_name}}",
        200,
        lambda w: Call(
            path={"environment_name": w.name("place")},
            body={"reviewers": [{"type": "User", "id": w.user("eve")}], "prevent_self_review": True},
        ),
    ),
    (f"PUT {R}/environments/{{environment_name}}", 200, lambda w: Call(path={"environment_name": w.name("place")})),
    (f"DELETE {R}/environments/{{environment_name}}", 204, lambda w: Call(path={"environment_name": w.place()})),
    (
        f"POST {R}/actions/workflows/{{workflow_id}}/dispatches",
        204,
        lambda w: Call(path={"workflow_id": "report.yml"}, body={"ref": "main", "inputs": {"reason": "a try"}}),
    ),
    (f"POST {R}/check-runs", 201, lambda w: Call("bot", body={"name": "lint", "head_sha": w.head})),
    (
        f"PATCH {R}/check-runs/{{check_run_id}}",
        200,
        lambda w: Call("bot", {"check_run_id": w.check}, body={"status": "completed", "conclusion": "success"}),
    ),
    (
        f"PUT {R}/contents/{{path}}",
        201,
        lambda w: Call(
            path={"path": w.name("docs/page")},
            body={"message": "Page", "content": encoded("text\n"), "branch": w.branch()},
        ),
    ),
    (
        f"PUT {R}/contents/{{path}}",
        200,
        lambda w: Call(
            path={"path": "README.md"},
            body={
                "message": "Edit",
                "content": encoded(w.name("text")),
                "branch": w.branch(),
                "sha": w.blob_of("README.md"),
            },
        ),
    ),
    (
        f"DELETE {R}/contents/{{path}}",
        200,
        lambda w: Call(
            path={"path": "README.md"},
            body={"message": "Remove", "branch": w.branch(), "sha": w.blob_of("README.md")},
        ),
    ),
    (
        f"POST {R}/dispatches",
        204,
        lambda w: Call(body={"event_type": "retrain", "client_payload": {"period": "2013-07"}}),
    ),
    (f"POST {R}/forks", 202, lambda w: Call("bob", body={})),
    (f"POST {R}/git/blobs", 201, lambda w: Call(body={"content": encoded("text"), "encoding": "base64"})),
    (
        f"POST {R}/git/commits",
        201,
        lambda w: Call(body={"message": "Commit", "tree": w.tree(), "parents": [w.main]}),
    ),
    (f"POST {R}/git/refs", 201, lambda w: Call(body={"ref": f"refs/heads/{w.name('ref')}", "sha": w.main})),
    (
        f"PATCH {R}/git/refs/{{ref}}",
        200,
        lambda w: _moved(w, w.branch()),
    ),
    (f"DELETE {R}/git/refs/{{ref}}", 204, lambda w: Call(path={"ref": f"heads/{w.branch()}"})),
    (
        f"POST {R}/git/tags",
        201,
        lambda w: Call(body={"tag": w.name("tag"), "message": "Tag", "object": w.main, "type": "commit"}),
    ),
    (
        f"POST {R}/git/trees",
        201,
        lambda w: Call(
            body={
                "base_tree": w.tree(),
                "tree": [{"path": "dvc.lock", "mode": "100644", "type": "blob", "sha": w.blob()}],
            }
        ),
    ),
    (f"POST {R}/issues", 201, lambda w: Call(body={"title": "Drift", "body": "It drifts.", "labels": ["drift"]})),
    (
        f"PATCH {R}/issues/comments/{{comment_id}}",
        200,
        lambda w: Call(path={"comment_id": w.comment()}, body={"body": "Another word."}),
    ),
    (f"DELETE {R}/issues/comments/{{comment_id}}", 204, lambda w: Call(path={"comment_id": w.comment()})),
    (
        f"PATCH {ISSUE}",
        200,
        lambda w: Call(path={"issue_number": w.pull}, body={"title": "Twice the trees"}),
    ),
    (f"POST {ISSUE}/comments", 201, lambda w: Call(path={"issue_number": w.pull}, body={"body": "A word."})),
    (f"POST {ISSUE}/labels", 200, lambda w: Call(path={"issue_number": w.pull}, body={"labels": ["model"]})),
    (f"PUT {ISSUE}/labels", 200, lambda w: Call(path={"issue_number": w.pull}, body={"labels": ["drift"]})),
    (f"DELETE {ISSUE}/labels/{{name}}", 200, lambda w: Call(path={"issue_number": w.pull, "name": w.label()})),
    (
        f"POST {R}/labels",
        201,
        lambda w: Call(body={"name": w.name("label"), "color": "f29513", "description": "A label"}),
    ),
    (
        f"POST {R}/pulls",
        201,
        lambda w: Call(body={"title": "Change", "head": w.branch(), "base": "main", "body": "Why"}),
    ),
    (f"PATCH {PULL}", 200, lambda w: Call(path={"pull_number": w.pull}, body={"title": "Twice the trees"})),
    (
        f"POST {PULL}/reviews",
        200,
        lambda w: Call(path={"pull_number": w.pull}, body={"event": "COMMENT", "body": "Why not three times?"}),
    ),
    (f"POST {PULL}/reviews", 200, lambda w: Call("eve", {"pull_number": w.pull}, body={"event": "APPROVE"})),
    (
        f"POST {PULL}/requested_reviewers",
        201,
        lambda w: Call("ada", {"pull_number": w.pull}, body={"reviewers": ["eve"]}),
    ),
    (
        f"PUT {PULL}/merge",
        200,
        lambda w: Call(path={"pull_number": w.mergeable()}, body={"merge_method": "squash", "commit_title": "Change"}),
    ),
    (f"PUT {PULL}/update-branch", 202, lambda w: Call(path={"pull_number": w.mergeable()}, body={})),
    (
        f"POST {R}/releases",
        201,
        lambda w: Call(body={"tag_name": w.name("v"), "target_commitish": w.main, "name": "One", "draft": False}),
    ),
    (
        f"PATCH {R}/releases/assets/{{asset_id}}",
        200,
        lambda w: Call(path={"asset_id": w.loose_asset()}, body={"name": "other.zip"}),
    ),
    (f"DELETE {R}/releases/assets/{{asset_id}}", 204, lambda w: Call(path={"asset_id": w.loose_asset()})),
    (f"PATCH {R}/releases/{{release_id}}", 200, lambda w: Call(path={"release_id": w.draft()}, body={"draft": False})),
    (f"DELETE {R}/releases/{{release_id}}", 204, lambda w: Call(path={"release_id": w.draft()})),
    (
        f"POST {R}/releases/{{release_id}}/assets",
        201,
        lambda w: Call(path={"release_id": w.draft()}, query={"name": "card.html"}, body=b"<p>card</p>"),
    ),
    (f"POST {R}/rulesets", 201, lambda w: Call(body=ruleset(w.name("rules"), "elsewhere"))),
    (
        f"PUT {R}/rulesets/{{ruleset_id}}",
        200,
        lambda w: Call(path={"ruleset_id": w.ruleset}, body={"name": "renamed", "enforcement": "active"}),
    ),
    (f"DELETE {R}/rulesets/{{ruleset_id}}", 204, lambda w: Call(path={"ruleset_id": w.ruleset_of("elsewhere")})),
    (
        f"POST {R}/statuses/{{sha}}",
        201,
        lambda w: Call(
            path={"sha": w.head},
            body={
                "state": "success",
                "context": "model-gate",
                "description": "Promote",
                "target_url": "https://example.org/run",
            },
        ),
    ),
]


def _moved(w: Any, name: str) -> Call:
    return Call(path={"ref": f"heads/{name}"}, body={"sha": w.commit(w.sha(name)), "force": False})


def _reviewed(w: Any, state: str, who: str = "ada", run: Any = None) -> Call:
    body = {"environment_ids": [w.environment["id"]], "state": state, "comment": "The canary is well."}
    return Call(who, {"run_id": (run or w.held_run()).id}, body=body)


def _sideways(w: Any, name: str) -> Call:
    return Call(path={"ref": f"heads/{name}"}, body={"sha": w.commit(w.main), "force": False})


FAILURES: list[Row] = [
    reading(f"{R}/actions/artifacts/{{artifact_id}}", 404, artifact_id=NOTHING),
    reading(
        f"{R}/actions/artifacts/{{artifact_id}}/{{archive_format}}",
        410,
        artifact_id=lambda w: w.expired_artifact(),
        archive_format="zip",
    ),
    reading(RUN, 404, run_id=NOTHING),
    reading(f"{R}/actions/workflows/{{workflow_id}}", 404, workflow_id="nothing.yml"),
    reading(f"{R}/branches/{{branch}}", 404, branch="nothing"),
    reading(f"{R}/collaborators/{{username}}", 404, username="mallory"),
    reading(f"{R}/commits/{{ref}}", 422, ref=NO_SHA),
    reading(f"{R}/compare/{{basehead}}", 404, basehead="main...nothing"),
    reading(f"{R}/contents/{{path}}", 404, path="nothing.txt"),
    reading(f"{R}/environments/{{environment_name}}", 404, environment_name="nowhere"),
    reading(f"{R}/git/blobs/{{file_sha}}", 404, file_sha=NO_SHA),
    reading(f"{R}/git/commits/{{commit_sha}}", 404, commit_sha=NO_SHA),
    reading(f"{R}/git/ref/{{ref}}", 404, ref="heads/nothing"),
    reading(f"{R}/git/trees/{{tree_sha}}", 404, tree_sha=NO_SHA),
    reading(ISSUE, 404, issue_number=NOTHING),
    reading(f"{R}/issues/comments/{{comment_id}}", 404, comment_id=NOTHING),
    reading(f"{R}/labels/{{name}}", 404, name="nothing"),
    reading(PULL, 404, pull_number=NOTHING),
    reading(f"{PULL}/merge", 404, pull_number=lambda w: w.pull),
    reading(f"{R}/releases/assets/{{asset_id}}", 404, asset_id=NOTHING),
    reading(f"{R}/releases/tags/{{tag}}", 404, tag="nothing"),
    reading(f"{R}/releases/{{release_id}}", 404, release_id=NOTHING),
    reading(f"{R}/rulesets/{{ruleset_id}}", 404, ruleset_id=NOTHING),
    (f"POST {RUN}/cancel", 409, lambda w: Call(path={"run_id": w.run.id})),
    (f"POST {RUN}/pending_deployments", 403, lambda w: _reviewed(w, "approved", "bob")),
    (f"POST {RUN}/pending_deployments", 422, lambda w: _reviewed(w, "approved", run=w.run)),
    (f"POST {RUN}/pending_deployments", 422, lambda w: _reviewed(w, "forgotten")),
    (
        f"PUT {R}/environments/{{environment_name}}",
        422,
        lambda w: Call(path={"environment_name": "x"}, body={"reviewers": [{"type": "User", "id": NOTHING}]}),
    ),
    (f"POST {PULL}/reviews", 422, lambda w: Call(path={"pull_number": w.pull}, body={"event": "APPROVE"})),
    (f"POST {PULL}/requested_reviewers", 422, lambda w: Call(path={"pull_number": w.pull}, body={"reviewers": ["x"]})),
    (
        f"POST {PULL}/requested_reviewers",
        422,
        lambda w: Call("ada", {"pull_number": w.pull}, body={"reviewers": ["ada"]}),
    ),
    (f"POST {PULL}/reviews", 422, lambda w: Call("eve", {"pull_number": w.pull}, body={"event": "COMMENT"})),
    (f"POST {RUN}/rerun", 403, lambda w: Call(path={"run_id": w.open_run().id})),
    (f"DELETE {RUN}", 403, lambda w: Call(path={"run_id": w.open_run().id})),
    (
        f"POST {R}/actions/workflows/{{workflow_id}}/dispatches",
        422,
        lambda w: Call(path={"workflow_id": "report.yml"}, body={"ref": "main", "inputs": {"unknown": "x"}}),
    ),
    (
        f"POST {R}/actions/workflows/{{workflow_id}}/dispatches",
        422,
        lambda w: Call(path={"workflow_id": "ci.yml"}, body={"ref": "main"}),
    ),
    (
        f"POST {R}/actions/workflows/{{workflow_id}}/dispatches",
        404,
        lambda w: Call(path={"workflow_id": "nothing.yml"}, body={"ref": "main"}),
    ),
    (
        f"POST {R}/actions/workflows/{{workflow_id}}/dispatches",
        422,
        lambda w: Call(path={"workflow_id": "report.yml"}, body={"ref": "nothing", "inputs": {"reason": "a try"}}),
    ),
    (
        f"PUT {R}/contents/{{path}}",
        409,
        lambda w: Call(
            path={"path": "README.md"},
            body={"message": "Edit", "content": encoded("x"), "branch": w.branch(), "sha": NO_SHA},
        ),
    ),
    (
        f"PUT {R}/contents/{{path}}",
        422,
        lambda w: Call(
            path={"path": "README.md"}, body={"message": "Edit", "content": encoded("x"), "branch": w.branch()}
        ),
    ),
    (
        f"POST {R}/git/commits",
        422,
        lambda w: Call(body={"message": "Commit", "tree": NO_SHA, "parents": [w.main]}),
    ),
    (f"POST {R}/git/refs", 422, lambda w: Call(body={"ref": "refs/heads/main", "sha": w.main})),
    (f"POST {R}/git/refs", 422, lambda w: Call(body={"ref": f"refs/heads/{w.name('ref')}", "sha": NO_SHA})),
    (f"PATCH {R}/git/refs/{{ref}}", 422, lambda w: _sideways(w, w.branch())),
    (f"PATCH {R}/git/refs/{{ref}}", 422, lambda w: Call(path={"ref": "heads/nothing"}, body={"sha": w.main})),
    (f"DELETE {R}/git/refs/{{ref}}", 422, lambda w: Call(path={"ref": "heads/nothing"})),
    (
        f"POST {R}/git/trees",
        422,
        lambda w: Call(body={"tree": [{"path": "a", "mode": "100644", "type": "blob", "sha": NO_SHA}]}),
    ),
    (f"POST {R}/issues", 422, lambda w: Call(body={"title": ""})),
    (f"POST {ISSUE}/comments", 422, lambda w: Call(path={"issue_number": w.pull}, body={"body": ""})),
    (f"POST {ISSUE}/comments", 422, lambda w: Call(path={"issue_number": w.pull}, body={"body": "x" * 65537})),
    (f"POST {ISSUE}/comments", 404, lambda w: Call(path={"issue_number": NOTHING}, body={"body": "A word."})),
    (
        f"PATCH {R}/issues/comments/{{comment_id}}",
        422,
        lambda w: Call(path={"comment_id": w.comment()}, body={"body": "x" * 65537}),
    ),
    (f"DELETE {ISSUE}/labels/{{name}}", 404, lambda w: Call(path={"issue_number": w.issue, "name": "nothing"})),
    (f"POST {R}/labels", 422, lambda w: Call(body={"name": w.label(), "color": "f29513"})),
    (f"POST {R}/pulls", 422, lambda w: Call(body={"title": "Twice", "head": "more-trees", "base": "main"})),
    (f"POST {R}/pulls", 422, lambda w: Call(body={"title": "Nothing", "head": "nothing", "base": "main"})),
    (f"POST {R}/pulls", 422, lambda w: Call(body={"title": "No commits", "head": w.even(), "base": "main"})),
    (f"POST {R}/merges", 409, lambda w: Call(body={"base": w.branch("trees: 1\n"), "head": w.branch("trees: 2\n")})),
    (f"POST {R}/merges", 404, lambda w: Call(body={"base": w.branch(), "head": "nothing"})),
    (f"PUT {PULL}/merge", 405, lambda w: Call(path={"pull_number": w.conflict()}, body={})),
    (f"PUT {PULL}/merge", 405, lambda w: Call(path={"pull_number": w.merged()}, body={})),
    (f"PUT {PULL}/merge", 405, lambda w: Call(path={"pull_number": w.guarded()}, body={})),
    (f"PUT {PULL}/merge", 409, lambda w: Call(path={"pull_number": w.mergeable()}, body={"sha": NO_SHA})),
    (
        f"PUT {PULL}/update-branch",
        422,
        lambda w: Call(path={"pull_number": w.mergeable()}, body={"expected_head_sha": NO_SHA}),
    ),
    (
        f"POST {R}/releases",
        422,
        lambda w: Call(body={"tag_name": w.release["tag_name"], "target_commitish": "main"}),
    ),
    (
        f"POST {R}/releases/{{release_id}}/assets",
        422,
        lambda w: Call(path={"release_id": w.release["id"]}, query={"name": "bundle.zip"}, body=b"again"),
    ),
    (f"POST {R}/statuses/{{sha}}", 422, lambda w: Call(path={"sha": NO_SHA}, body={"state": "success"})),
    (
        f"POST {R}/statuses/{{sha}}",
        422,
        lambda w: Call(path={"sha": w.head}, body={"state": "success", "description": "x" * 141}),
    ),
]

_OPEN = ("/user/repos", f"{R}/forks", f"{R}/issues", f"{ISSUE}/comments", f"{R}/pulls", f"{PULL}/reviews")
OPEN_TO_READERS = {f"POST {path}" for path in _OPEN}
"""What anybody with an account may do in a public repository."""

_NEEDS = {
    "deployments": ("/actions/runs/{run_id}/pending_deployments",),
    "actions": ("/actions/artifacts", "/actions/runs", "/actions/workflows"),
    "administration": ("/actions/permissions", "/forks", "/rulesets"),
    "checks": ("/check-runs",),
    "contents": ("/contents", "/dispatches", "/git", "/merges", "/pulls/{pull_number}/merge", "/releases"),
    "pull-requests": ("/pulls",),
    "statuses": ("/statuses",),
}


def _needs(operation: str) -> tuple[str, ...]:
    path = operation.split(" ")[1].removeprefix(R)
    if path.startswith(("/issues", "/labels")):
        return ("issues", "pull-requests") if "{" in path or path == "/labels" else ("issues",)
    found = next((name for name, beginnings in _NEEDS.items() if path.startswith(beginnings)), "administration")
    return () if found in {"administration", "deployments"} else (found,)


NEEDS: dict[str, tuple[str, ...]] = {operation: _needs(operation) for operation, _, _ in WRITES}
"""Which permission of a workflow's token suffices to write; administration is never given to one, nor is it asked to
review what runs deploy."""

"""Cut GitHub's published API description down to what the local forge serves.

    npm pack @octokit/openapi
    python tests/rehearsal/contract/extract.py octokit-openapi-23.0.2.tgz

writes `github.json` beside this file: the operations and events named below with the schemas they reference, as JSON
Schema 2020-12. What is only for readers is left out, and OpenAPI's `nullable` becomes the type null.
"""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Node = dict[str, Any]

TARGET = Path(__file__).with_name("github.json")
DESCRIPTION = "package/generated/api.github.com.json"
FOR_READERS = {
    "default", "deprecated", "description", "discriminator", "example", "examples", "externalDocs", "readOnly", "title",
}  # fmt: skip
BY_NAME = {"properties", "patternProperties"}

OPERATIONS = """
GET    /rate_limit
GET    /user
POST   /user/repos
GET    /users/{username}
GET    /repos/{owner}/{repo}
PATCH  /repos/{owner}/{repo}
GET    /repos/{owner}/{repo}/actions/artifacts
GET    /repos/{owner}/{repo}/actions/artifacts/{artifact_id}
DELETE /repos/{owner}/{repo}/actions/artifacts/{artifact_id}
GET    /repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}
GET    /repos/{owner}/{repo}/actions/jobs/{job_id}
GET    /repos/{owner}/{repo}/actions/jobs/{job_id}/logs
GET    /repos/{owner}/{repo}/actions/permissions
PUT    /repos/{owner}/{repo}/actions/permissions
GET    /repos/{owner}/{repo}/actions/permissions/workflow
PUT    /repos/{owner}/{repo}/actions/permissions/workflow
GET    /repos/{owner}/{repo}/actions/runs
GET    /repos/{owner}/{repo}/actions/runs/{run_id}
DELETE /repos/{owner}/{repo}/actions/runs/{run_id}
GET    /repos/{owner}/{repo}/actions/runs/{run_id}/approvals
POST   /repos/{owner}/{repo}/actions/runs/{run_id}/approve
GET    /repos/{owner}/{repo}/actions/runs/{run_id}/artifacts
GET    /repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}
GET    /repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs
POST   /repos/{owner}/{repo}/actions/runs/{run_id}/cancel
GET    /repos/{owner}/{repo}/actions/runs/{run_id}/jobs
GET    /repos/{owner}/{repo}/actions/runs/{run_id}/logs
GET    /repos/{owner}/{repo}/actions/runs/{run_id}/pending_deployments
POST   /repos/{owner}/{repo}/actions/runs/{run_id}/pending_deployments
POST   /repos/{owner}/{repo}/actions/runs/{run_id}/rerun
GET    /repos/{owner}/{repo}/actions/workflows
GET    /repos/{owner}/{repo}/actions/workflows/{workflow_id}
POST   /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches
GET    /repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs
GET    /repos/{owner}/{repo}/branches
GET    /repos/{owner}/{repo}/branches/{branch}
GET    /repos/{owner}/{repo}/check-runs/{check_run_id}
POST   /repos/{owner}/{repo}/check-runs
PATCH  /repos/{owner}/{repo}/check-runs/{check_run_id}
GET    /repos/{owner}/{repo}/collaborators
GET    /repos/{owner}/{repo}/collaborators/{username}
PUT    /repos/{owner}/{repo}/collaborators/{username}
GET    /repos/{owner}/{repo}/collaborators/{username}/permission
GET    /repos/{owner}/{repo}/commits
GET    /repos/{owner}/{repo}/commits/{commit_sha}/pulls
GET    /repos/{owner}/{repo}/commits/{ref}
GET    /repos/{owner}/{repo}/commits/{ref}/check-runs
GET    /repos/{owner}/{repo}/commits/{ref}/status
GET    /repos/{owner}/{repo}/commits/{ref}/statuses
GET    /repos/{owner}/{repo}/compare/{basehead}
GET    /repos/{owner}/{repo}/contents/{path}
PUT    /repos/{owner}/{repo}/contents/{path}
DELETE /repos/{owner}/{repo}/contents/{path}
POST   /repos/{owner}/{repo}/dispatches
GET    /repos/{owner}/{repo}/environments
GET    /repos/{owner}/{repo}/environments/{environment_name}
PUT    /repos/{owner}/{repo}/environments/{environment_name}
DELETE /repos/{owner}/{repo}/environments/{environment_name}
GET    /repos/{owner}/{repo}/forks
POST   /repos/{owner}/{repo}/forks
POST   /repos/{owner}/{repo}/git/blobs
GET    /repos/{owner}/{repo}/git/blobs/{file_sha}
POST   /repos/{owner}/{repo}/git/commits
GET    /repos/{owner}/{repo}/git/commits/{commit_sha}
GET    /repos/{owner}/{repo}/git/matching-refs/{ref}
GET    /repos/{owner}/{repo}/git/ref/{ref}
POST   /repos/{owner}/{repo}/git/refs
PATCH  /repos/{owner}/{repo}/git/refs/{ref}
DELETE /repos/{owner}/{repo}/git/refs/{ref}
GET    /repos/{owner}/{repo}/git/tags/{tag_sha}
POST   /repos/{owner}/{repo}/git/tags
POST   /repos/{owner}/{repo}/git/trees
GET    /repos/{owner}/{repo}/git/trees/{tree_sha}
GET    /repos/{owner}/{repo}/issues
POST   /repos/{owner}/{repo}/issues
GET    /repos/{owner}/{repo}/issues/comments
GET    /repos/{owner}/{repo}/issues/comments/{comment_id}
PATCH  /repos/{owner}/{repo}/issues/comments/{comment_id}
DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}
GET    /repos/{owner}/{repo}/issues/{issue_number}
PATCH  /repos/{owner}/{repo}/issues/{issue_number}
GET    /repos/{owner}/{repo}/issues/{issue_number}/comments
POST   /repos/{owner}/{repo}/issues/{issue_number}/comments
GET    /repos/{owner}/{repo}/issues/{issue_number}/labels
POST   /repos/{owner}/{repo}/issues/{issue_number}/labels
PUT    /repos/{owner}/{repo}/issues/{issue_number}/labels
DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}
GET    /repos/{owner}/{repo}/labels
POST   /repos/{owner}/{repo}/labels
GET    /repos/{owner}/{repo}/labels/{name}
POST   /repos/{owner}/{repo}/merges
GET    /repos/{owner}/{repo}/pulls
POST   /repos/{owner}/{repo}/pulls
GET    /repos/{owner}/{repo}/pulls/{pull_number}
PATCH  /repos/{owner}/{repo}/pulls/{pull_number}
GET    /repos/{owner}/{repo}/pulls/{pull_number}/commits
GET    /repos/{owner}/{repo}/pulls/{pull_number}/files
GET    /repos/{owner}/{repo}/pulls/{pull_number}/merge
PUT    /repos/{owner}/{repo}/pulls/{pull_number}/merge
GET    /repos/{owner}/{repo}/pulls/{pull_number}/reviews
POST   /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers
POST   /repos/{owner}/{repo}/pulls/{pull_number}/reviews
PUT    /repos/{owner}/{repo}/pulls/{pull_number}/update-branch
GET    /repos/{owner}/{repo}/releases
POST   /repos/{owner}/{repo}/releases
GET    /repos/{owner}/{repo}/releases/assets/{asset_id}
PATCH  /repos/{owner}/{repo}/releases/assets/{asset_id}
DELETE /repos/{owner}/{repo}/releases/assets/{asset_id}
GET    /repos/{owner}/{repo}/releases/latest
GET    /repos/{owner}/{repo}/releases/tags/{tag}
GET    /repos/{owner}/{repo}/releases/{release_id}
PATCH  /repos/{owner}/{repo}/releases/{release_id}
DELETE /repos/{owner}/{repo}/releases/{release_id}
GET    /repos/{owner}/{repo}/releases/{release_id}/assets
POST   /repos/{owner}/{repo}/releases/{release_id}/assets
GET    /repos/{owner}/{repo}/rules/branches/{branch}
GET    /repos/{owner}/{repo}/rulesets
POST   /repos/{owner}/{repo}/rulesets
GET    /repos/{owner}/{repo}/rulesets/{ruleset_id}
PUT    /repos/{owner}/{repo}/rulesets/{ruleset_id}
DELETE /repos/{owner}/{repo}/rulesets/{ruleset_id}
POST   /repos/{owner}/{repo}/statuses/{sha}
GET    /repos/{owner}/{repo}/tags
GET    /repos/{owner}/{repo}/tarball/{ref}
GET    /repos/{owner}/{repo}/zipball/{ref}
"""

EVENTS = """
issue_comment created
issue_comment deleted
issue_comment edited
pull_request closed
pull_request edited
pull_request opened
pull_request reopened
pull_request synchronize
push
release published
workflow_dispatch
workflow_run completed
workflow_run in_progress
workflow_run requested
"""


def load(archive: Path) -> Node:
    """The description out of the npm package, or as the JSON file itself."""
    if archive.suffix == ".json":
        return dict(json.loads(archive.read_text(encoding="utf-8")))
    with tarfile.open(archive) as package:
        member = package.extractfile(DESCRIPTION)
        if member is None:
            raise SystemExit(f"no {DESCRIPTION}: {archive}")
        return dict(json.load(member))


def licence(archive: Path) -> str:
    """The text of the package's licence, which goes wherever a substantial part of it goes."""
    with tarfile.open(archive) as package:
        member = package.extractfile("package/LICENSE")
        return member.read().decode() if member else ""


def bare(node: Any) -> Any:
    """A schema as JSON Schema 2020-12, without what is only for readers."""
    if isinstance(node, list):
        return [bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:  # OpenAPI 3.0 ignores what stands beside a reference
        return {"$ref": node["$ref"].replace("#/components/schemas/", "#/schemas/")}
    kept = {key: value for key, value in node.items() if key not in FOR_READERS and not key.startswith("x-")}
    nullable = kept.pop("nullable", False)
    schema = {key: by_name(value) if key in BY_NAME else bare(value) for key, value in kept.items()}
    if "oneOf" in schema:  # the alternatives overlap: what GitHub sends fits several
        schema["anyOf"] = schema.pop("oneOf")
    return with_null(schema) if nullable else schema


def by_name(properties: Mapping[str, Any]) -> Node:
    """The schemas of properties: here `title` and `description` are names, not words for readers."""
    return {name: bare(schema) for name, schema in properties.items()}


def with_null(schema: Node) -> Node:
    """The schema, or null."""
    if any(word in schema for word in ("allOf", "anyOf")):
        return {"anyOf": [schema, {"type": "null"}]}
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], *([] if None in schema["enum"] else [None])]
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


def resolved(description: Mapping[str, Any], node: Node) -> Node:
    """What a reference to a shared response or request body points at."""
    while "$ref" in node:
        found: Any = description
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def body(node: Node) -> Node | None:
    """Schema and media type of a response or request; null for one without a body."""
    content = node.get("content", {})
    if not content:
        return None
    media = "application/json" if "application/json" in content else next(iter(content))
    return {"type": media, "schema": bare(content[media].get("schema", {}))}


def operation(description: Mapping[str, Any], method: str, path: str) -> Node:
    """One operation: the body it takes, and the bodies it answers by status."""
    published = description["paths"][path][method.lower()]
    request = resolved(description, published.get("requestBody", {}))
    responses = {status: body(resolved(description, answer)) for status, answer in published["responses"].items()}
    return {"request": body(request), "required": request.get("required", False), "responses": responses}


def event(description: Mapping[str, Any], name: str) -> Node:
    """The payload of an event such as `workflow_run completed`."""
    published = description["x-webhooks"][name.replace("_", "-").replace(" ", "-")]["post"]
    return dict(bare(published["requestBody"]["content"]["application/json"]["schema"]))


def references(node: Any) -> set[str]:
    """Names of the shared schemas that a schema refers to."""
    if isinstance(node, list):
        return set().union(*map(references, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix("#/schemas/")} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(references, node.values()))


def needed(schemas: Mapping[str, Any], first: Iterable[str]) -> Node:
    """These shared schemas and all that they refer to, by name."""
    found: Node = {}
    waiting = set(first)
    while waiting:
        name = waiting.pop()
        found[name] = bare(schemas[name])
        waiting |= references(found[name]) - set(found)
    return dict(sorted(found.items()))


def extract(description: Mapping[str, Any]) -> Node:
    """Operations, events and schemas that the forge needs."""
    operations = {
        f"{method} {path}": operation(description, method, path)
        for method, path in (line.split() for line in OPERATIONS.strip().splitlines())
    }
    events = {name: event(description, name) for name in EVENTS.strip().splitlines()}
    schemas = needed(description["components"]["schemas"], references([operations, events]))
    return {"operations": operations, "events": events, "schemas": schemas}


def text(parts: Mapping[str, Node]) -> str:
    """Compact JSON, with a line for each operation, event and schema, so that a newer version reads as a diff."""

    def written(value: Any) -> str:
        return json.dumps(value, separators=(",", ":"), sort_keys=True)

    def lines(part: Node) -> str:
        return ",\n".join(f"{written(name)}:{written(value)}" for name, value in part.items())

    return "{" + ",\n".join(f"{written(name)}:{{\n{lines(part)}}}" for name, part in parts.items()) + "}\n"


def main() -> None:
    """Write `github.json` beside this file."""
    archive = Path(sys.argv[1])
    description = load(archive)
    source = {"package": "@octokit/openapi", "version": description["info"]["version"], "licence": "MIT"}
    source["text"] = licence(archive)
    TARGET.write_text(text({"source": source, **extract(description)}), encoding="utf-8")


if __name__ == "__main__":
    main()

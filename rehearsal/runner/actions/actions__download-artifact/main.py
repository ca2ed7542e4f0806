"""Stand-in for actions/download-artifact: from the runner for this run, through the REST API for another one."""

import fnmatch
import hashlib
import io
import json
import os
import urllib.parse
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import runtime

Artifact = dict[str, Any]


def main() -> None:
    """Choose the artifacts, and unpack each."""
    target = Path(os.environ["GITHUB_WORKSPACE"], Path(runtime.given("path")).expanduser())
    chosen = choose(listed())
    is_flat = (
        bool(runtime.given("name"))
        or runtime.is_on("merge-multiple")
        or (bool(runtime.given("artifact-ids")) and len(chosen) == 1)
    )
    for artifact in chosen:
        content = fetched(artifact)
        check(artifact, content)
        unpack(artifact, content, target if is_flat else target / artifact["name"])
        print(f"{artifact['name']}: {len(content)} bytes")
    runtime.output(download_path=target)


def listed() -> list[Artifact]:
    """The artifacts of the run, the newest of each name."""
    if runtime.given("github-token"):
        runtime.await_job()
        url = f"{address()}/runs/{runtime.given('run-id')}/artifacts?per_page=100"
        status, body, _ = runtime.request("GET", url, runtime.given("github-token"))
    else:
        found = runtime.artifacts("ListArtifacts").get("artifacts", [])
        return newest({**one, "id": int(one["database_id"])} for one in found)
    if status != 200:
        runtime.fail(f"Failed to list artifacts: {status} {body.decode(errors='replace')}")
    return newest(json.loads(body)["artifacts"])


def newest(found: Iterable[Artifact]) -> list[Artifact]:
    """Of each name the last that was made."""
    return list({one["name"]: one for one in sorted(found, key=lambda one: one["id"])}.values())


def choose(found: list[Artifact]) -> list[Artifact]:
    """Those that were asked for; ends the step when a named one is not there."""
    if runtime.given("name"):
        chosen = [one for one in found if one["name"] == runtime.given("name")]
        if not chosen:
            runtime.fail(f"Unable to download artifact(s): Artifact not found for name: {runtime.given('name')}")
        return chosen
    if runtime.given("artifact-ids"):
        wanted = {word.strip() for word in runtime.given("artifact-ids").split(",")}
        chosen = [one for one in found if str(one["id"]) in wanted]
        if not chosen:
            runtime.fail("None of the provided artifact IDs were found")
        return chosen
    return [
        one
        for one in found
        if not runtime.given("pattern") or fnmatch.fnmatchcase(one["name"], runtime.given("pattern"))
    ]


def fetched(artifact: Artifact) -> bytes:
    """Its bytes."""
    if runtime.given("github-token"):
        url = f"{address()}/artifacts/{artifact['id']}/zip"
        status, body, _ = runtime.request("GET", url, runtime.given("github-token"))
    else:
        signed = runtime.artifacts("GetSignedArtifactURL", name=artifact["name"])
        status, body, _ = runtime.request("GET", signed["signed_url"])
    if status != 200:
        runtime.fail(f"Unable to download artifact {artifact['name']}: {status}")
    return body


def check(artifact: Artifact, content: bytes) -> None:
    """The bytes are those that were uploaded."""
    expected = str(artifact.get("digest") or "").removeprefix("sha256:")
    if expected and expected != hashlib.sha256(content).hexdigest() and runtime.given("digest-mismatch") == "error":
        runtime.fail(f"{artifact['name']}: the digest differs from the one at upload")


def unpack(artifact: Artifact, content: bytes, target: Path) -> None:
    """Write the files; an artifact that is no archive is one file."""
    target.mkdir(parents=True, exist_ok=True)
    if not zipfile.is_zipfile(io.BytesIO(content)):
        (target / Path(artifact["name"]).name).write_bytes(content)
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(target)  # zipfile keeps members inside the folder


def address() -> str:
    """Where the REST API tells about actions of a repository."""
    return f"{os.environ['GITHUB_API_URL']}/repos/{urllib.parse.quote(runtime.given('repository'))}/actions"


if __name__ == "__main__":
    main()

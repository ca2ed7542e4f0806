"""Stand-in for actions/upload-artifact: zips what was named, and gives it to the runner."""

import io
import json
import os
import zipfile
from pathlib import Path

import runtime


def main() -> None:
    """Find the files, pack them, hand them over."""
    found, root = runtime.files(runtime.given("path"))
    if not runtime.is_on("include-hidden-files"):
        found = [file for file in found if not any(part.startswith(".") for part in file.relative_to(root).parts)]
    if not found:
        nothing()
        return
    is_archive = runtime.is_on("archive")
    if not is_archive and len(found) > 1:
        runtime.fail(f"archive: false takes one file, and {runtime.given('path')} are {len(found)}")
    name = runtime.given("name") if is_archive else found[0].name
    content = packed(found, root, int(runtime.given("compression-level"))) if is_archive else found[0].read_bytes()
    wishes = {"name": name, "overwrite": runtime.given("overwrite"), "archive": runtime.given("archive")}
    status, body, _ = runtime.call("POST", "artifacts", content, **wishes)
    answer = json.loads(body)
    if status != 201:
        runtime.fail(answer["message"])
    url = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}".format(**os.environ)
    print(f"{name}: {len(found)} files, {len(content)} bytes, {answer['digest']}")
    digest = answer["digest"].removeprefix("sha256:")
    runtime.output(artifact_id=answer["id"], artifact_url=f"{url}/artifacts/{answer['id']}", artifact_digest=digest)


def nothing() -> None:
    """No file was found: say so, or fail."""
    message = f"No files were found with the provided path: {runtime.given('path')}. No artifacts will be uploaded."
    if runtime.given("if-no-files-found") == "error":
        runtime.fail(message)
    print(f"::warning::{message}" if runtime.given("if-no-files-found") == "warn" else message)


def packed(found: list[Path], root: Path, level: int) -> bytes:
    """A zip of the files, with paths from their common folder."""
    buffer = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if level else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", kind, compresslevel=level or None, strict_timestamps=False) as archive:
        for file in found:
            archive.write(file, file.relative_to(root).as_posix())
    return buffer.getvalue()


if __name__ == "__main__":
    main()

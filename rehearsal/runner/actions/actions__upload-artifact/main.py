"""Stand-in for actions/upload-artifact: zips what was named, and gives it to the runner."""

import hashlib
import io
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
    digest = hashlib.sha256(content).hexdigest()
    number = uploaded(name, content, digest, "application/zip" if is_archive else "application/octet-stream")
    url = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}".format(**os.environ)
    print(f"{name}: {len(found)} files, {len(content)} bytes, sha256:{digest}")
    runtime.output(artifact_id=number, artifact_url=f"{url}/artifacts/{number}", artifact_digest=digest)


def uploaded(name: str, content: bytes, digest: str, kind: str) -> str:
    """Hand over an artifact, in place of one of its name where that is wished; its id."""
    if runtime.is_on("overwrite") and runtime.artifacts("ListArtifacts", name_filter=name).get("artifacts"):
        runtime.artifacts("DeleteArtifact", name=name)
    made = runtime.artifacts("CreateArtifact", name=name, mime_type=kind)
    status, _, _ = runtime.request("PUT", made["signed_upload_url"], body=content)
    if status != 201:
        runtime.fail(f"the storage answers {status}")
    sent = {"size": str(len(content)), "hash": f"sha256:{digest}"}
    return str(runtime.artifacts("FinalizeArtifact", name=name, **sent)["artifact_id"])


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

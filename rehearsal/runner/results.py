"""Artifacts as a job sees them: GitHub's service `ArtifactService`, and the storage that bytes are sent to.

What `@actions/artifact` sends: a call in JSON for each step, the bytes in blocks to a signed address in between.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from starlette.responses import Response

from rehearsal.forge import Artifact, Forge, Run
from rehearsal.forge.artifacts import address

Json = dict[str, Any]

_FORBIDDEN = '":<>|*?\r\n\\/'
"""What the name of an artifact may not hold."""
_STORED = {"ETag": '"0x0"', "x-ms-version": "2025-07-05", "x-ms-request-server-encrypted": "true"}


class Fault(Exception):  # noqa: N818 - an answer, in Twirp's words
    """A call is refused: Twirp's code, and the status that goes with it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass
class _Upload:
    """Bytes on their way: blocks by their id until they are put in order."""

    run: int
    name: str
    file: str
    secret: str = field(default_factory=lambda: secrets.token_hex(16))
    blocks: dict[str, bytes] = field(default_factory=dict)
    content: bytes | None = None


class Results:
    """The service of one forge.

    Args:
        forge: Keeps the artifacts.
        blobs: Path at its address under which `store` answers.
    """

    def __init__(self, forge: Forge, blobs: str) -> None:
        self._forge, self._blobs = forge, blobs
        self._uploads: dict[int, _Upload] = {}
        self._methods = {
            "CreateArtifact": self._create,
            "FinalizeArtifact": self._finalize,
            "ListArtifacts": self._list,
            "GetSignedArtifactURL": self._sign,
            "DeleteArtifact": self._delete,
        }

    def call(self, run: Run, method: str, body: bytes) -> Json:
        """Answer a call of a run.

        Raises:
            Fault: It is refused.
        """
        asked = json.loads(body)
        if asked.get("workflow_run_backend_id") != backend_id(run):
            raise Fault(403, "permission_denied", "the token is of another run")
        if method not in self._methods:
            raise Fault(404, "bad_route", f"no such method: {method}")
        return self._methods[method](run, asked)

    def store(self, number: int, query: Mapping[str, str], body: bytes) -> Response:
        """Take bytes as Azure's storage does: all at once, a block, or the order of the blocks."""
        upload = self._uploads.get(number)
        if upload is None or not secrets.compare_digest(upload.secret, query.get("sig", "")):
            return Response("AuthenticationFailed", 403)
        match query.get("comp"):
            case None:
                upload.content = body
            case "block":
                upload.blocks[query["blockid"]] = body
            case "blocklist":
                order = [one.text or "" for one in ElementTree.fromstring(body)]  # noqa: S314 - a job's own
                upload.content = b"".join(upload.blocks[one] for one in order)
            case other:
                return Response(f"comp={other} is not played", 400)
        return Response(status_code=201, headers=_STORED)

    def _create(self, run: Run, asked: Json) -> Json:
        name = asked["name"]
        if not name or set(name) & set(_FORBIDDEN):
            raise Fault(400, "invalid_argument", f"the artifact name is not valid: {name}")
        if any(one.name == name for one in self._artifacts(run)):
            raise Fault(409, "already_exists", "an artifact with this name already exists on the workflow run")
        is_zip = asked.get("mime_type", "application/zip") == "application/zip"
        upload = _Upload(run.id, name, name if not is_zip or name.endswith(".zip") else f"{name}.zip")
        with self._forge.changing() as state:
            number = state.new_id()
        self._uploads[number] = upload
        url = f"{self._forge.url}{self._blobs}/{number}?sig={upload.secret}"
        return {"ok": True, "signed_upload_url": url}

    def _finalize(self, run: Run, asked: Json) -> Json:
        number, upload = next(
            (
                (number, one)
                for number, one in reversed(self._uploads.items())
                if (one.run, one.name) == (run.id, asked["name"])
            ),
            (0, None),
        )
        if upload is None or upload.content is None:
            raise Fault(404, "not_found", f"nothing was uploaded as {asked['name']}")
        digest = f"sha256:{hashlib.sha256(upload.content).hexdigest()}"
        if asked.get("hash", digest) != digest or int(asked["size"]) != len(upload.content):
            raise Fault(400, "invalid_argument", "size or hash are not those of what was uploaded")
        del self._uploads[number]
        with tempfile.TemporaryDirectory(prefix="artifact-") as folder:
            # Kept as it was uploaded, byte for byte: what it holds is for its readers to doubt.
            file = Path(folder, upload.file)
            file.write_bytes(upload.content)
            kept = self._forge.store_artifact(run, upload.name, file, archive=False)
        return {"ok": True, "artifact_id": str(kept.id)}

    def _list(self, run: Run, asked: Json) -> Json:
        found = self._artifacts(run)
        if "name_filter" in asked:
            found = [one for one in found if one.name == asked["name_filter"]]
        if "id_filter" in asked:
            found = [one for one in found if str(one.id) == str(asked["id_filter"])]
        return {"artifacts": [_shape(run, one) for one in found]}

    def _sign(self, run: Run, asked: Json) -> Json:
        return {"name": asked["name"], "signed_url": address(self._forge, self._named(run, asked).path)}

    def _delete(self, run: Run, asked: Json) -> Json:
        found = self._named(run, asked)
        with self._forge.changing() as state:
            state.artifacts.remove(found)
        return {"ok": True, "artifact_id": str(found.id)}

    def _named(self, run: Run, asked: Json) -> Artifact:
        found = [one for one in self._artifacts(run) if one.name == asked["name"] and not one.expired]
        if not found:
            raise Fault(404, "not_found", f"no such artifact: {asked['name']}")
        return found[-1]

    def _artifacts(self, run: Run) -> list[Artifact]:
        """Of all attempts of the run, oldest first."""
        with self._forge.reading() as state:
            return [one for one in state.artifacts if one.run_id == run.id]


def runtime_token(run: Run) -> str:
    """A token as GitHub's runtime has it: its claims name the run and the job that it is for."""
    claims = {"scp": f"Actions.Results:{backend_id(run)}:{uuid.uuid4()}"}
    parts = (json.dumps({"alg": "none", "typ": "JWT"}).encode(), json.dumps(claims).encode(), secrets.token_bytes(24))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def backend_id(run: Run) -> str:
    """What a run is called behind the runner: the same in all of its attempts."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{run.repository}/{run.id}"))


def _shape(run: Run, one: Artifact) -> Json:
    return {
        "workflow_run_backend_id": backend_id(run),
        "workflow_job_run_backend_id": backend_id(run),
        "database_id": str(one.id),
        "name": one.name,
        "size": str(one.size),
        "created_at": one.created_at,
        "digest": one.digest,
    }

"""What CML asks of GitHub to write a comment, twice: recorded before a forge.

    python tests/rehearsal/cml_recorder.py FOLDER > tests/rehearsal/cml.json

FOLDER is a checkout of iterative/cml at the pinned commit, after `npm ci --omit=dev --ignore-scripts`. CML calls https
of every host that is not github.com, so the recorder speaks it; the double speaks http.
"""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

TEXTS = ("<!-- ratchet -->\n### First\n", "<!-- ratchet -->\n### Second\n")
SHA = "0123456789abcdef0123456789abcdef01234567"


class Recorder(BaseHTTPRequestHandler):
    """Hands requests on to a forge, and keeps them."""

    forge = ""
    kept: list[dict[str, Any]]

    def do_GET(self) -> None:
        """Hand it on."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        names = ("accept", "authorization", "content-type")
        headers = {name: self.headers[name] for name in names if self.headers[name]}
        answer = httpx.request(self.command, self.forge + self.path, headers=headers, content=body, timeout=60)
        headers["authorization"] = re.sub(r" .+", " …", headers.get("authorization", ""))
        path = re.sub(r"/comments/\d+", "/comments/ID", re.sub(r"/issues/\d+", "/issues/N", self.path))
        said = {"method": self.command, "path": path, "headers": headers, "status": answer.status_code}
        self.kept.append(said | ({"body": json.loads(body)} if body else {}))
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["content-type"])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_POST = do_PATCH = do_GET  # noqa: N815  # as the library calls them

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def recorder(forge: str, certificate: Path | None = None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server before a forge: its address, and what was asked of it; it speaks https with a certificate."""
    kept: list[dict[str, Any]] = []
    handler = type("Handler", (Recorder,), {"forge": forge, "kept": kept})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http{'s' * bool(certificate)}://127.0.0.1:{server.server_port}", kept
    finally:
        server.shutdown()
        server.server_close()


def certificate(folder: Path) -> Path:
    """A certificate of this machine for itself, with its key."""
    target = folder / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(target), "-out", str(folder / "own.pem")]
    subprocess.run(words, check=True, capture_output=True)
    target.write_text(target.read_text() + (folder / "own.pem").read_text())
    return target


def environment(address: str, repository: str, token: str, **more: str) -> Mapping[str, str]:
    """What the job `comment` gives to CML."""
    own = {"GITHUB_SERVER_URL": address, "GITHUB_API_URL": f"{address}/api/v3", "GITHUB_REPOSITORY": repository}
    own |= {"GITHUB_ACTOR": "ada", "GITHUB_SHA": SHA}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "REPO_TOKEN": token, **own, **more}


def main(folder: Path) -> None:
    """Record the original."""
    from forge_example import desk, server
    from ratchet import cml

    with TemporaryDirectory() as scratch, server(Path(scratch, "forge")) as forge:
        made = desk(forge)
        number = made.pull().number
        pem = certificate(Path(scratch))
        found = {}
        with recorder(forge.url, pem) as (address, kept):
            env = environment(address, made.name, forge.token("ada"), NODE_EXTRA_CA_CERTS=str(pem))
            for name, text in zip(("create", "update"), TEXTS, strict=True):
                said = cml.comment(number, text, folder / "bin" / "cml.js", env)
                print(name, said, file=sys.stderr)
                found[name] = [{**one, "path": one["path"].replace(made.name, "ada/flights")} for one in kept]
                kept.clear()
        about = {"of": f"iterative/cml at {cml.COMMIT}", "on": f"{datetime.now(UTC):%Y-%m-%d}"}
        command = "python tests/rehearsal/cml_recorder.py FOLDER > tests/rehearsal/cml.json"
        print(json.dumps({**about, "by": command, "requests": found}, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    sys.path[:0] = ["src", "tests", "tests/problems", "."]
    main(Path(sys.argv[1]))

"""Serves the Bento in this one process: what the image starts.

    python -m ratchet.serving.start          # BENTOML_HOST (0.0.0.0), BENTOML_PORT (3000)

`bentoml serve` starts a supervisor, which starts this very worker: a second Python with BentoML in it, and without work
where Compose or Kubernetes restart what ends, and scale by containers.
"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

SERVICE = "ratchet.serving.service:Service"
KEEP_ALIVE = 120  # seconds; longer than any proxy keeps an idle connection, or it would meet closed ones
GRACE = 25  # seconds for what is under way at the end; Compose and Kubernetes kill after 30


def main() -> None:
    """Listen, then become BentoML's worker."""
    # One process needs no files to share its metrics through, but BentoML asks where they would be.
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="metrics-"))
    from _bentoml_impl.worker.service import main as worker  # type: ignore[import-untyped]

    host = os.environ.get("BENTOML_HOST", "0.0.0.0")  # noqa: S104  # all there are, which is one in a container
    listener = listening(host, int(os.environ.get("BENTOML_PORT", "3000")))
    limits = [f"--timeout-keep-alive={KEEP_ALIVE}", f"--timeout-graceful-shutdown={GRACE}"]
    worker([identifier(Path(__file__)), f"--fd={listener.detach()}", *limits])


def identifier(place: Path) -> str:
    """What BentoML shall load: the Bento that this file is in, or in a repository the service itself."""
    bento = place.resolve().parents[3]
    return str(bento) if (bento / "bento.yaml").is_file() else SERVICE


def listening(host: str, port: int) -> socket.socket:
    """A socket that can be connected to at once, though nobody answers yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind((host, port))
    return found


if __name__ == "__main__":
    main()

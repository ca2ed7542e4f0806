"""Ports for programs that are told where to listen."""

from __future__ import annotations

import secrets
import socket

# Below those that Linux gives to whoever connects somewhere: one of these is ours until somebody names it.
RANGE = range(15_000, 32_000)


def free_port() -> int:
    """A port of this machine that nobody listens on, by chance, so that two who ask at once get two."""
    while True:
        port = secrets.choice(RANGE)  # by no generator that someone may have seeded in two processes alike
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port

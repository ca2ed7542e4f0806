"""Ports for programs that are told where to listen."""

from __future__ import annotations

import socket

import pytest

from rehearsal import ports


def test_one_that_is_taken_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two ports, it is always the other."""
    taken = ports.free_port()
    with socket.create_server(("127.0.0.1", taken)):
        free = ports.free_port()
        monkeypatch.setattr(ports, "RANGE", [taken, free])

        assert {ports.free_port() for _ in range(20)} == {free}

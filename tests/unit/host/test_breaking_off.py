"""A host that loses what it was told, or was to tell, ends: its consumer must not wait for what cannot come."""

from __future__ import annotations

import logging
import resource
import socket
import subprocess
import sys
from contextlib import suppress

import pytest

from sluice.core.registry import Registry
from sluice.host import breaking_off
from sluice.host.breaking_off import STATUS, break_off
from sluice.host.frames import Decoder, Message, encode
from sluice.host.pipe import Pipe
from sluice.host.shared_host import SharedHost
from tests.support.stack import ROOT

ROOMY = b"x" * (16 << 20)
"""More than any process has left over of what it has taken from the system before."""


def test_a_host_that_has_no_memory_to_receive_a_message_ends() -> None:
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "sluice.host", "shared", str(theirs.fileno())]
    with ours:
        with theirs:
            host = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
        ours.sendall(encode(("load", ["tests.fault.chaos.kinds"], sys.path, logging.INFO, 0, False, None)))
        _receive(ours, "alive")
        _, hard = resource.prlimit(host.pid, resource.RLIMIT_DATA)
        resource.prlimit(host.pid, resource.RLIMIT_DATA, (1 << 20, hard))
        try:
            with suppress(ConnectionError):  # it ends before it has read all
                ours.sendall(encode(("run", 1, "a-job", "chaos.sum", 1, 1, 30.0, ROOMY)))
            _, said = host.communicate(timeout=30)
        finally:
            host.kill()
    assert host.returncode == STATUS, said
    assert b"The host cannot go on: MemoryError" in said


def test_a_host_that_cannot_say_how_jobs_ended_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = _note_exits(monkeypatch)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        host = SharedHost(Pipe(theirs), Registry(()))
        monkeypatch.setattr(breaking_off, "end_descendants", list)
        host._ended.append(("ended", object()))
        with pytest.raises(SystemExit):
            host._send_ended()
    assert statuses == [STATUS]


def test_it_ends_even_if_it_cannot_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = _note_exits(monkeypatch)

    monkeypatch.setattr(breaking_off, "end_descendants", list)

    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise MemoryError

    with pytest.raises(SystemExit):
        break_off(Unspeakable())
    assert statuses == [STATUS]


def _note_exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    statuses: list[int] = []

    def leave(status: int) -> None:
        statuses.append(status)
        raise SystemExit(status)

    monkeypatch.setattr(breaking_off, "_exit", leave)
    monkeypatch.setattr(breaking_off, "kill", lambda *_: None)
    return statuses


def _receive(sock: socket.socket, word: str) -> None:
    decoder, messages = Decoder(), list[Message]()
    while all(message[0] != word for message in messages):
        messages += decoder.feed(sock.recv(1 << 16))

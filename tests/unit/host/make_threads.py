"""Threads of handlers that end with the tests: those of a host end with it."""

import asyncio
import threading

import pytest

from sluice.host.handler_threads import HandlerThreads


def make_threads(monkeypatch: pytest.MonkeyPatch) -> HandlerThreads:
    """Make threads for the running loop; none is started yet. What this test starts are daemons, as its own thread is one."""
    monkeypatch.setattr(threading.current_thread(), "_daemonic", True)
    return HandlerThreads(asyncio.get_running_loop(), lambda: None)

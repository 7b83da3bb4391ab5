"""Programs that jobs wait for in the event loop, whose ends other jobs may hide from it: by SIGCHLD, os.wait() or waitpid(-1)."""

from __future__ import annotations

import asyncio
import ctypes
from _signal import getsignal  # type: ignore[import-not-found]  # typeshed has it not; that of `signal` takes ten times as long
from contextlib import suppress
from os import getpid, kill
from signal import SIG_DFL, SIGCHLD, signal
from typing import Any

from sluice.host.current_job import CURRENT, JobRef

LIBC = ctypes.CDLL(None)
ACTION_BYTES = 256
"""More than `struct sigaction` has anywhere."""


class ChildWatch:
    """Knows the programs that the event loop waits for. All belongs to the loop's thread."""

    def __init__(self) -> None:
        self._children: dict[Any, JobRef | None] = {}
        self._gone: set[Any] = set()
        self._handler = getsignal(SIGCHLD)
        self._action = ctypes.create_string_buffer(ACTION_BYTES)

    async def learn(self) -> None:
        """Learn how libuv handles the signal, which Python does not know: it does so only while there is a program."""
        with suppress(OSError):
            program = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
            LIBC.sigaction(SIGCHLD, None, self._action)
            program.kill()
            await program.wait()

    def add(self, transport: Any) -> None:
        """Note a program that was started in the event loop, by the job of the caller."""
        self._children[transport] = CURRENT.get()

    def restore(self) -> None:
        """Let the event loop hear of its programs, if a job has taken their signal."""
        if getsignal(SIGCHLD) is not self._handler:
            signal(SIGCHLD, SIG_DFL if self._handler is None else self._handler)
            LIBC.sigaction(SIGCHLD, self._action, None)
            kill(getpid(), SIGCHLD)

    def take_lost(self) -> set[JobRef | None]:
        """Find jobs that wait for a program which has ended, unseen. Two calls in a row have to find it gone."""
        self._children = {each: job for each, job in self._children.items() if each.get_returncode() is None}
        gone = {each for each in self._children if not _is_there(each.get_pid())}
        lost, self._gone = gone & self._gone, gone
        return {self._children.pop(each) for each in lost}


def _is_there(pid: int) -> bool:
    """Tell whether a process is there, or has ended and nobody has asked how."""
    try:
        kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's by now
        pass
    return True

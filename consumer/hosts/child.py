"""One host's process and our end of the socket to it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import sysconfig
from collections.abc import Callable, Container
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from consumer.hosts.descendants import Descendants, kill_with_descendants
from sluice.core.runtime.tasks import TaskSet
from sluice.host.breaking_off import STATUS
from sluice.host.current_job import JobRef
from sluice.host.frames import Decoder, Message, encode
from sluice.host.limits import waited_for_processor_s
from sluice.host.log_line import write
from sluice.host.processes import signal_name
from sluice.host.raw_output import HostOutput

LOG = logging.getLogger("sluice.hosts")
EXIT_GRACE_S = 1.0
"""Seconds a host has to end by itself: once its socket is closed, or to say what it was doing."""


class HostSpec(NamedTuple):
    """What all hosts of a consumer have in common.

    `memory_mib` is what a process slot may allocate (0: no bound), and half of what a shared host may. Seconds: `start_s` to load the
    modules, `grace_s` for a job to end after it was asked to, `blocked_s` without a sign of life. `waited_s` tells for how many
    seconds a process has waited for a processor. No more than `processes` run a job alone at the same time.
    """

    modules: tuple[str, ...]
    memory_mib: int
    start_s: float
    grace_s: float
    blocked_s: float
    descendants: Descendants
    waited_s: Callable[[int], float] = waited_for_processor_s
    processes: int = 256


class ChildListener(NamedTuple):
    """Who hears of a child: each message as it comes, and that it is gone, with how that came about."""

    on_message: Callable[[Message], None]
    on_gone: Callable[[str], None]
    only_job: Callable[[], JobRef | None]


class Child(asyncio.Protocol):
    """A process that runs `python -m sluice.host`. Everything that descends from it ends with it."""

    def __init__(self, spec: HostSpec, name: str, slot: bool, listener: ChildListener) -> None:
        self._spec, self._name, self._slot, self._listener = spec, name, slot, listener
        self._decoder = Decoder()
        self._waiting: list[bytes] = []
        self._why: str | None = None
        self._sent: list[int] = [signal.SIGKILL]
        self._stopping = False
        self._tasks: TaskSet[None] = TaskSet()
        self.room = asyncio.Event()
        self.room.set()
        self.output = HostOutput(write, listener.only_job)

    @property
    def pid(self) -> int:
        """The process's pid."""
        return self._process.pid

    @property
    def listens(self) -> bool:
        """False once it has ended, or has closed its socket."""
        return self._process.returncode is None and not self._transport.is_closing()

    async def start(self) -> None:
        """Start the process and tell it what to be. Raises OSError if the machine cannot start another."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await self._spec.descendants.start(self._spawn(theirs.fileno()))
            except BaseException:
                ours.close()
                raise
        self._transport, _ = await loop.create_unix_connection(lambda: self, sock=ours)
        self._watcher = self._tasks.start(self._watch(), f"host-{self._name}")
        memory_mib = self._spec.memory_mib * (1 if self._slot else 2)
        level = logging.getLogger().getEffectiveLevel()
        path = os.environ.get("PYTHONPATH")
        self.send(("load", list(self._spec.modules), sys.path, level, memory_mib, self._slot, path))

    def send(self, message: tuple[Any, ...]) -> None:
        """Send a message, together with what else is sent in this turn of the loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._send_waiting)
        self._waiting.append(encode(message))

    def kill(self, why: str | None = None) -> None:
        """Kill it now, with whatever it started; `why` is then how it ended."""
        if self._process.returncode is None:  # else its pid may be another's by now
            self._why = self._why or why
            self._stopping = True
            kill_with_descendants(self.pid)

    def abort(self, why: str) -> None:
        """Have it say on stderr what it was doing, and end."""
        self._why = why
        self._sent.append(signal.SIGABRT)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGABRT)
        asyncio.get_running_loop().call_later(EXIT_GRACE_S, self.kill)

    async def retire(self) -> None:
        """Let it end by itself; kill it if it does not."""
        self._stopping = True
        self._transport.close()
        await asyncio.wait([self._watcher], timeout=EXIT_GRACE_S)
        await self.end()

    async def end(self) -> None:
        """Kill it, and wait for that."""
        self.kill()
        await asyncio.wait([self._watcher], timeout=EXIT_GRACE_S)

    def data_received(self, data: bytes) -> None:
        """Take in what the host has sent; garbage ends it."""
        try:
            for message in self._decoder.feed(data):
                self._listener.on_message(message)
        except Exception as error:  # noqa: BLE001  whatever it was that cannot be read
            self.kill(f"It sent what cannot be read: {type(error).__name__}: {error}.")

    def pause_writing(self) -> None:
        """Note that it has not taken all that was sent."""
        self.room.clear()

    def resume_writing(self) -> None:
        """Note that it has taken nearly all."""
        self.room.set()

    def connection_lost(self, _: Exception | None) -> None:
        """End a process that no longer listens, unless it is ending by itself."""
        self.room.set()
        if not self._stopping:
            asyncio.get_running_loop().call_later(
                EXIT_GRACE_S, self.kill, "It closed the pipe on which it answers."
            )

    async def _spawn(self, fd: int) -> asyncio.subprocess.Process:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(_path_to_start_with())}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "sluice.host", self._name, str(fd),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            pass_fds=(fd,), env=environment, start_new_session=True,
        )  # fmt: skip

    async def _watch(self) -> None:
        """Wait for its end, read its last words, and leave none of its descendants."""
        process = self._process
        pipes = {"stdout": process.stdout, "stderr": process.stderr}
        output = [
            self._tasks.keep(partial(self.output.pump, pipe, name), f"{name}-of-{self._name}")
            for name, pipe in pipes.items()
            if pipe is not None
        ]
        code = await process.wait()
        try:
            self._transport.close()
            await self._spec.descendants.forget(process.pid)
            await asyncio.wait(output, timeout=EXIT_GRACE_S)
        finally:
            for each in output:
                each.cancel()
            self._listener.on_gone(describe_end(code, self._why, self._sent))

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not self._transport.is_closing():
            self._transport.write(b"".join(waiting))


def _path_to_start_with() -> list[str]:
    """Return sys.path with Python's own modules first: what a job writes into the working directory takes the place of none."""
    own = sysconfig.get_path("stdlib")
    return sorted(sys.path, key=lambda each: not each.startswith(own) or each.endswith("-packages"))


def describe_end(code: int, why: str | None, sent: Container[int]) -> str:
    """Say how a process ended: `why`, if that was by a signal that was sent to it; it may have been about to end by itself."""
    return why if why and -code in sent else describe_exit(code)


def describe_exit(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        why = (
            " (it could not go on, for lack of memory perhaps, or as its files were closed)"
            if code == STATUS
            else ""
        )
        return f"It ended with exit status {code}{why}."
    hint = " (perhaps out of memory)" if -code == signal.SIGKILL else ""
    return f"It was ended by {signal_name(-code)}{hint}."

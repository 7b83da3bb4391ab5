"""One child process and our end of its pipe, as the parent sees them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from threading import Lock

from consumer.attempt import Attempt
from consumer.running.child_main import ChildMessage, JobRequest, main
from sluice.core.outcome import ChildDied, Ending
from sluice.host.ending import decode_ending

EXIT_GRACE_S = 1.0
"""Seconds a child has to end by itself once its pipe is closed."""

_SPAWN_LOCK = Lock()
"""multiprocessing keeps a table of all its children without a lock of its own."""


class NotBegun(Exception):
    """The child ended, or could not work, before it took the job."""


class ChildProcess:
    """A process and our end of its pipe. All but `kill` belongs to one thread at a time."""

    def __init__(self, modules: Sequence[str], memory_mib: int) -> None:
        methods = multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if hasattr(context, "set_forkserver_preload"):
            context.set_forkserver_preload(["consumer.running.child_main", *modules])
        self._pipe, self._child_end = context.Pipe()
        self._process = context.Process(  # type: ignore[attr-defined]  # typeshed leaves it out of the base
            target=main,
            args=(self._child_end, tuple(modules), logging.getLogger().getEffectiveLevel(), memory_mib),
            name="sluice-child",
            daemon=False,
        )
        self._spent = False

    def start(self) -> None:
        """Start the process. Raises OSError if the machine cannot start another."""
        try:
            with _SPAWN_LOCK:
                # The fork server inherits this mask: a signal for the whole group must not end it before us.
                # The tracker, if it is not running yet, would undo it.
                resource_tracker.ensure_running()
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
                self._process.start()
        except BaseException:
            self._pipe.close()
            raise
        finally:
            self._child_end.close()
        if self._spent:
            self.kill()

    def perform(self, request: JobRequest, on_begun: Callable[[], None], attempt: Attempt) -> Ending:
        """Run one job and return how it ended. Raises NotBegun if it never began."""
        begun = False
        try:
            self._pipe.send(tuple(request))
            while True:
                answer = self._next_answer()
                if answer.word == "begun":
                    begun = True
                    on_begun()
                elif answer.word == "progress":
                    attempt.progress = answer.values[0]  # type: ignore[assignment]  # bytes, by the word
                elif answer.word == "refused":
                    raise NotBegun(answer.values[0])
                else:
                    self._spent = self._spent or answer.word == "out-of-memory"
                    return decode_ending(*answer)
        except (EOFError, OSError):
            how = self._describe_death()
            if begun:
                return ChildDied(how)
            raise NotBegun(how) from None

    @property
    def usable(self) -> bool:
        """True while the process waits for its next job."""
        return not self._spent and not wait([self._pipe, self._process.sentinel], timeout=0)

    def kill(self) -> None:
        """Kill it now, with whatever it started. Safe in every thread, never blocks."""
        self._spent = True
        pid = self._process.pid
        if pid is not None:
            for kill in (os.killpg, os.kill):  # the group may not exist yet
                with suppress(ProcessLookupError, PermissionError):
                    kill(pid, signal.SIGKILL)

    def retire(self) -> None:
        """Let it end by itself; kill it if it does not."""
        self._pipe.close()
        with suppress(OSError):
            wait([self._process.sentinel], timeout=EXIT_GRACE_S)
        self.kill()
        self._join()

    def _next_answer(self) -> ChildMessage:
        # the sentinel too: a process started by the handler may hold the pipe open after the child's death
        if self._pipe not in wait([self._pipe, self._process.sentinel]) and not self._pipe.poll():
            raise EOFError
        return ChildMessage(*self._pipe.recv())

    def _describe_death(self) -> str:
        code = self._join()
        if code is None:
            return "It closed the pipe on which it answers."
        if code >= 0:
            return f"It ended with exit status {code}."
        hint = " (perhaps out of memory)" if -code == signal.SIGKILL else ""
        return f"It was ended by {signal.Signals(-code).name}{hint}."

    def _join(self) -> int | None:
        wait([self._process.sentinel], timeout=EXIT_GRACE_S)
        with _SPAWN_LOCK:
            self._process.join(0)
            code: int | None = self._process.exitcode
            return code

"""The thread that renews leases: it has its own event loop, so it continues while a handler blocks the main one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any

LOG = logging.getLogger("sluice.lease")
JOIN_S = 3.0


class HeartbeatThread:
    """Runs `work` until it is closed. If that ends by itself, `exit_hard` is called in the thread."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]], exit_hard: Callable[[], None]) -> None:
        self._work, self._exit_hard = work, exit_hard
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._thread = Thread(target=self._live, name="leases", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def call_soon(self, act: Callable[[], object]) -> None:
        """Call this in the thread, if that is running."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the thread has ended already
                self._loop.call_soon_threadsafe(act)

    async def close(self) -> None:
        """End the thread. Bounded, whatever its work waits for."""
        self._closed = True
        if self._task is not None:
            self.call_soon(self._task.cancel)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, JOIN_S)

    def _live(self) -> None:
        try:
            asyncio.run(self._keep())
        except asyncio.CancelledError:
            return
        except BaseException:
            LOG.critical("claims cannot be kept any more; this process ends itself", exc_info=True)
            self._exit_hard()

    async def _keep(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        if not self._closed:
            await self._work()

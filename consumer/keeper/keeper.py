"""The keeper: look at the record once per tick, and do what is found to be done, in turns with the keepers of other consumers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from random import uniform

from sluice.core.errors import TRANSIENT, ServerRefused
from sluice.core.ports import KeeperStore
from sluice.core.runtime.tasks import TaskSet
from sluice.core.runtime.telemetry import Event, Telemetry

Duty = Callable[[], Awaitable[object]]
"""One thing the keeper does at every tick in which there is something to do. One keeper at a time has the turn."""

TOGETHER = 4
"""Consumers whose keepers look at the record once per tick; in a larger fleet each looks as much less often."""
LONGEST_REST_S = 10.0
"""Seconds after which a keeper looks in the largest fleet: most of it may have died."""
REPORTED = 3
"""Failures in a row after which what may be the server's fault is reported as the duty's."""


class Keeper:
    """Does these duties, each in a task of its own, so that none holds up another.

    `rates` has the least seconds from one turn of each duty to the next, in the whole fleet. `every_look` is called after each
    look.
    """

    def __init__(  # noqa: PLR0913  each is used by name
        self,
        store: KeeperStore,
        duties: Mapping[str, Duty],
        rates: Mapping[str, float],
        idempotency_keep_s: float,
        tick_s: float,
        telemetry: Telemetry,
        every_look: Callable[[], Awaitable[object]],
    ) -> None:
        self._store, self.duties, self.rates = store, duties, rates
        self._idempotency_keep_s, self._tick_s = idempotency_keep_s, tick_s
        self._telemetry, self._every_look = telemetry, every_look
        self._failures: Counter[str] = Counter()
        self._tasks: TaskSet[None] = TaskSet()

    def __repr__(self) -> str:
        return f"<Keeper {', '.join(task.get_name() for task in self._tasks) or 'at rest'}>"

    async def keep(self) -> None:
        """Look and do, for ever, whatever fails."""
        try:
            while True:
                consumers = await self.look()
                rest_s = min(self._tick_s * max(1.0, consumers / TOGETHER), max(self._tick_s, LONGEST_REST_S))
                await asyncio.sleep(rest_s * uniform(0.8, 1.2))  # noqa: S311  jitter
        finally:
            await self._tasks.cancel()

    async def look(self) -> int:
        """Look once, and begin what is this keeper's turn; returns how many consumers there are."""
        busy = {task.get_name() for task in self._tasks}
        idle = {name: every_s for name, every_s in self.rates.items() if name not in busy}
        try:
            found = await self._store.look(idle, self._idempotency_keep_s)
        except Exception as error:  # noqa: BLE001  the next tick looks again
            self._report("look", error, passing=isinstance(error, TRANSIENT))
            return 1
        del self._failures["look"]
        for name in found.duties:
            self._tasks.start(self._do(name), name)
        await self._every_look()
        return found.consumers

    async def _do(self, name: str) -> None:
        try:
            await self.duties[name]()
        except Exception as error:  # noqa: BLE001  as above
            refused = isinstance(error, ServerRefused)  # which only the pool reports
            self._report(name, error, passing=isinstance(error, TRANSIENT) and not refused)
        else:
            del self._failures[name]

    def _report(self, name: str, error: Exception, *, passing: bool) -> None:
        """Report a failure. What is passing is reported elsewhere; that a duty is not done again and again is to be seen here."""
        self._failures[name] += 1
        if not passing or self._failures[name] % REPORTED == 0:
            self._telemetry.emit(Event.DUTY_FAILED, duty=name, why=repr(error))

"""Post what handlers log while they run, for those who read it meanwhile: a few calls a second, however much is logged."""

from __future__ import annotations

import asyncio

from consumer.attempt import Attempt
from sluice.core.errors import TRANSIENT
from sluice.core.ports import LiveLines, LiveLogs

EVERY_S = 0.5
"""Seconds between two calls."""
MOST_BYTES = 1024 * 1024
"""Bytes of one call; what is left comes with the next."""
SPARE_S = 600.0
"""Seconds for which lines are kept beyond the time limit of their attempt, if nobody drops them because this process has died."""


class LiveLinesPoster:
    """Posts the lines of attempts in hand. Without Redis they come when it is back, or with the ending of the attempt."""

    def __init__(self, live_logs: LiveLogs, every_s: float = EVERY_S) -> None:
        self._live_logs, self._every_s = live_logs, every_s
        self._news: dict[Attempt, None] = {}
        self._posted: dict[Attempt, int] = {}
        self._ended: set[Attempt] = set()
        self._asked = asyncio.Event()

    def add(self, attempt: Attempt) -> None:
        """Post the new lines of this attempt soon."""
        self._news[attempt] = None
        self._asked.set()

    def end(self, attempt: Attempt) -> None:
        """Post the last lines of an attempt that is settled, and keep them no more."""
        self._ended.add(attempt)
        self._asked.set()

    async def keep(self) -> None:
        """Post what there is, for ever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._post()
                await self._drop()
            except TRANSIENT:  # the record will have all that is missing
                self._forget_ended()
            if self._news or self._ended:
                self._asked.set()
            await asyncio.sleep(self._every_s)

    async def _post(self) -> None:
        lines: dict[Attempt, LiveLines] = {}
        size = 0
        for attempt in list(self._news):
            found = self._find_new(attempt)
            if found is None:
                del self._news[attempt]
                continue
            size += len((found.whole or found.new).lines)
            if lines and size > MOST_BYTES:
                break
            lines[attempt] = found
        if not lines:
            return
        await self._live_logs.post(list(lines.values()))
        for attempt, posted in lines.items():
            self._note_posted(attempt, posted)

    def _find_new(self, attempt: Attempt) -> LiveLines | None:
        log, fence = attempt.log, attempt.job.fence
        new = None if log is None else log.block(fence, self._posted.get(attempt, 0))
        if log is None or new is None:
            return None
        whole = None if attempt in self._ended else log.block(fence)
        keep_s = attempt.time_limit_s + SPARE_S
        return LiveLines(attempt.job.id, attempt.job.tenant, new, whole, keep_s)

    def _note_posted(self, attempt: Attempt, posted: LiveLines) -> None:
        self._posted[attempt] = posted.new.first + posted.new.lines.count(b"\n")
        if self._find_new(attempt) is None:
            self._news.pop(attempt, None)

    async def _drop(self) -> None:
        """Drop what is kept of attempts that have ended, once all their lines are posted."""
        over = [attempt for attempt in self._ended if attempt not in self._news]
        if kept := [(attempt.job.id, attempt.job.fence) for attempt in over if attempt in self._posted]:
            await self._live_logs.drop(kept)
        for attempt in over:
            self._ended.discard(attempt)
            self._posted.pop(attempt, None)

    def _forget_ended(self) -> None:
        """Let go of attempts that have ended: what Redis keeps of them goes with its time."""
        for attempt in self._ended:
            self._news.pop(attempt, None)
            self._posted.pop(attempt, None)
        self._ended.clear()

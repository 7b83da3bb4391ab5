"""sluice.core.ports.LiveLogs in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sluice.core.errors import ServerAway
from sluice.core.job_log import LogBlock
from sluice.core.ports import LiveLines


class FakeLiveLogs:
    """The lines of jobs that run; `away` makes every call fail as if Redis were gone."""

    def __init__(self) -> None:
        self.kept: dict[str, LogBlock] = {}
        self.posts: list[list[LiveLines]] = []
        self.away = False
        self.listeners: list[Callable[[Sequence[LiveLines]], None]] = []

    async def post(self, lines: Sequence[LiveLines]) -> None:
        """Keep them, and tell the listeners."""
        self._check()
        self.kept |= {each.job_id: each.whole for each in lines if each.whole}
        self.posts.append(list(lines))
        told = [LiveLines(*each[:3]) for each in lines]
        for hear in self.listeners:
            hear(told)

    async def read(self, job_id: str) -> LogBlock | None:
        """What is kept."""
        self._check()
        return self.kept.get(job_id)

    async def drop(self, claims: Sequence[tuple[str, int]]) -> None:
        """Keep these no more."""
        self._check()
        for job_id, fence in claims:
            if job_id in self.kept and self.kept[job_id].fence == fence:
                del self.kept[job_id]

    async def listen(self, on_lines: Callable[[Sequence[LiveLines]], None]) -> None:
        """Be told until cancelled."""
        self.listeners.append(on_lines)
        try:
            on_lines([])
            await asyncio.Event().wait()
        finally:
            self.listeners.remove(on_lines)

    def _check(self) -> None:
        if self.away:
            raise ServerAway("redis")

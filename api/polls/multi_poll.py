"""Poll many jobs: answer what is new, or wait for the first change of any of them, as one waiter and one task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from typing import NamedTuple

from api.http.asgi import Receive
from api.http.retry_after import RetryAfter
from api.jobs.wait import ASK_ALONE_S, Waiting
from api.polls.changes import Changes
from api.polls.poll import Poll
from sluice.core.errors import TRANSIENT


class Patience(NamedTuple):
    """For how long a client waits, how it is noticed that it has gone, and what measures the wait."""

    seconds: float
    receive: Receive
    measure: Callable[[], AbstractContextManager[None]]


class MultiPoll:
    """Answers polls of many jobs."""

    def __init__(self, changes: Changes, waiting: Waiting, retry_after: RetryAfter) -> None:
        self._changes, self._waiting, self._retry_after = changes, waiting, retry_after

    async def poll(self, tenant: str, known: dict[str, int], patience: Patience) -> Poll:
        """Find what is new. If nothing is, and something is unfinished, wait for the first change. Changes `known`.

        Over the limit of waiting requests, or when the process is stopping, nobody waits. Raises ServerAway, TryAgain,
        Overloaded if the jobs could not even be looked at.
        """
        poll, ids = Poll(known), tuple(known)
        if not patience.seconds or not self._waiting.may_wait(len(ids)):
            await self._look(tenant, poll, ids)
            return poll
        async with self._waiting.enroll(poll, ids, patience.receive):  # first: no change is missed between
            await self._look(tenant, poll, ids)
            if not poll.due:
                with patience.measure():
                    await self._wait(tenant, poll, patience.seconds)
        return poll

    async def _wait(self, tenant: str, poll: Poll, timeout_s: float) -> None:
        again_s, unknown = self._waiting.ask_again_s, len(poll.unknown)
        try:
            async with asyncio.timeout(timeout_s):
                while not self._is_over(poll) and len(poll.unknown) == unknown:
                    again_s = await self._next(tenant, poll, again_s)
        except TimeoutError:
            with suppress(*TRANSIENT):  # what is known stays an answer
                await self._look(tenant, poll, tuple(poll.open))

    async def _next(self, tenant: str, poll: Poll, again_s: float) -> float:
        """Wait until something is told, or for so long, and look at it; return how long to wait next."""
        try:
            async with asyncio.timeout(again_s):
                await poll.wakeup.wait()
        except TimeoutError:
            poll.told.update(poll.open)
        poll.wakeup.clear()
        told, poll.told = poll.told, set()
        if self._is_over(poll):
            return 0
        try:
            await self._look(tenant, poll, told)
        except TRANSIENT:
            poll.told |= told
            return ASK_ALONE_S
        return self._waiting.ask_again_s

    async def _look(self, tenant: str, poll: Poll, ids: Collection[str]) -> None:
        found = await self._changes.find(tenant, {job_id: poll.open[job_id] for job_id in ids})
        poll.take(ids, found, self._retry_after)

    def _is_over(self, poll: Poll) -> bool:
        return poll.due or poll.gone or self._waiting.stopping

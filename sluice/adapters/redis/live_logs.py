"""Lines of jobs that run, in Redis: the newest of each, and messages with those that are new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from typing import Any

from sluice.adapters.redis.connection import BACKGROUND_S, RedisConnection, channel
from sluice.adapters.redis.packing import pack_lines, pack_log, unpack_lines, unpack_log
from sluice.adapters.redis.script import Script
from sluice.adapters.redis.subscriptions import RedisSubscriptions
from sluice.core.errors import Malformed
from sluice.core.job_log import LogBlock
from sluice.core.ports import LiveLines
from sluice.core.runtime.telemetry import Event, Telemetry


class RedisLiveLogs:
    """Implements sluice.core.ports.LiveLogs, where its methods are described."""

    def __init__(
        self, connection: RedisConnection, subscriptions: RedisSubscriptions, telemetry: Telemetry
    ) -> None:
        self._redis, self._subscriptions, self._telemetry = connection, subscriptions, telemetry
        self._post = Script(connection, "post_lines", BACKGROUND_S)
        self._drop = Script(connection, "drop_lines", BACKGROUND_S)

    async def post(self, lines: Sequence[LiveLines]) -> None:
        self._redis.check_identified()
        keys: list[str] = []
        values: list[int | bytes] = []
        for each in lines:
            if each.whole:
                keys.append(self._key(each.job_id))
                values += (max(1, ceil(each.keep_s)), pack_log(each.job_id, each.whole))
        await self._post.run(len(keys), *keys, channel("lines"), pack_lines(lines), *values)

    async def read(self, job_id: str) -> LogBlock | None:
        if not self._redis.identified:
            return None
        found: LogBlock | None = await self._redis.run(
            "GET", self._key(job_id), read=partial(self._read_log, job_id)
        )
        return found

    async def drop(self, claims: Sequence[tuple[str, int]]) -> None:
        self._redis.check_identified()
        keys = [self._key(job_id) for job_id, _ in claims]
        await self._drop.run(len(keys), *keys, *(f"{job_id} {fence} " for job_id, fence in claims))

    async def listen(self, on_lines: Callable[[Sequence[LiveLines]], None]) -> None:
        await self._subscriptions.listen_to("lines", lambda message: on_lines(unpack_lines(message)))

    def _read_log(self, job_id: str, value: Any, drop: Callable[[], None]) -> LogBlock | None:
        """Read the reply, or drop the connection if it is that to another command: the next ones may be others' too."""
        try:
            if not isinstance(value, bytes | None):
                raise Malformed("the reply to another command")
            return unpack_log(job_id, value)
        except Malformed:
            drop()
            self._telemetry.emit(Event.CACHE_MISMATCH, asked=job_id)
            return None

    def _key(self, job_id: str) -> str:
        return self._redis.key(f"lines:{job_id}")

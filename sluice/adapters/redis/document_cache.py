"""Finished documents in Redis, results by fingerprint, and announcements about jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from typing import Any

from sluice.adapters.redis.connection import BACKGROUND_S, RedisConnection, channel
from sluice.adapters.redis.packing import pack_result, pack_wakes, unpack_result
from sluice.adapters.redis.script import Script
from sluice.core.document import Document, unpack
from sluice.core.errors import Malformed, ServerAway
from sluice.core.job import Job
from sluice.core.ports import MOST_READ, Result
from sluice.core.runtime.telemetry import Event, Telemetry

TOMBSTONE_S = 60
"""Seconds for which a deleted document cannot come back: longer than any announcement takes."""


class RedisDocumentCache:
    """Implements sluice.core.ports.DocumentCache. A document is kept for `keep_s` seconds.

    Values carry tenant and id, or the fingerprint, so that a mixed-up reply can never leak (redis-py CVE-2023-28858).
    """

    def __init__(self, connection: RedisConnection, telemetry: Telemetry, keep_s: int) -> None:
        self._redis, self._telemetry, self._keep_s = connection, telemetry, keep_s
        self._read = Script(connection, "read")
        self._announce = Script(connection, "announce", BACKGROUND_S)
        self._forget = Script(connection, "forget")

    async def get(self, ids: Sequence[str]) -> list[Document | None]:
        """Read finished documents, in the order of the ids: the first, and as many more as fit in MOST_READ bytes.

        All are missing until the database is known.
        """
        if not self._redis.identified:
            return [None] * len(ids)
        keys, read = self._document_keys(ids), partial(self._read_documents, ids)
        if len(keys) == 1:  # nearly always, unless there are thousands of clients; it saves a script
            found = await self._redis.run("MGET", *keys, read=read)
        else:
            found = await self._read.run(len(keys), *keys, MOST_READ, read=read)
        return found or [None] * len(ids)

    async def find_results(self, prints: Sequence[bytes]) -> list[Result | None]:
        """Find the newest result of each fingerprint, in the order of the fingerprints."""
        if not self._redis.identified:
            return [None] * len(prints)
        keys, read = map(self._result_key, prints), partial(self._read_results, prints)
        found: list[Result | None] = await self._redis.run("MGET", *keys, read=read)
        return found

    async def announce(
        self, versions: Mapping[str, int], finished: Sequence[Document], results: Mapping[bytes, Job]
    ) -> None:
        """Store finished documents, note results by fingerprint, and wake the waiters of all these ids."""
        self._redis.check_identified()
        wakes = pack_wakes(versions, {document.id for document in finished})
        keys = [*self._document_keys([document.id for document in finished]), *map(self._result_key, results)]
        values = [
            *(document.pack() for document in finished),
            *(pack_result(*each) for each in results.items()),
        ]
        await self._announce.run(
            len(keys), *keys, self._keep_s, channel("wake"), wakes, len(finished), *values
        )

    async def forget(self, *job_ids: str) -> None:
        """Put a tombstone over documents whose jobs are gone, so that no late writer brings them back, and announce it."""
        if not job_ids:
            return
        self._redis.check_identified()
        await self._forget.run(
            len(job_ids),
            *self._document_keys(job_ids),
            TOMBSTONE_S,
            channel("gone"),
            ",".join(job_ids),
        )

    async def ask_stop(self, job_id: str) -> None:
        """Tell the consumers that a cancel was requested; without Redis they learn of it with the next renewal."""
        with suppress(ServerAway):
            await self._redis.run("PUBLISH", channel("stop"), job_id)

    async def announce_pauses(self) -> None:
        """Tell the consumers that a lane was paused or resumed; without Redis they look by themselves."""
        with suppress(ServerAway):
            await self._redis.run("PUBLISH", channel("pauses"), "changed")

    async def call_workers(self, lane: str) -> None:
        """Tell the consumers that there is work in this lane, if there is no RabbitMQ to do so. Raises ServerAway."""
        await self._redis.run("PUBLISH", channel("call"), lane)

    def _document_keys(self, ids: Sequence[str]) -> list[str]:
        prefix = self._redis.key("document:")
        return [prefix + job_id for job_id in ids]

    def _result_key(self, fingerprint: bytes) -> str:
        return self._redis.key(f"result:{fingerprint.hex()}")

    def _read_documents(
        self, ids: Sequence[str], reply: Any, drop: Callable[[], None]
    ) -> list[Document | None]:
        values = self._check_list(reply, drop)
        return [self._unpack(job_id, value, drop) for job_id, value in zip(ids, values, strict=False)]

    def _read_results(
        self, prints: Sequence[bytes], reply: Any, drop: Callable[[], None]
    ) -> list[Result | None]:
        values = self._check_list(reply, drop)[: len(prints)]
        return [self._unpack_result(*each, drop) for each in zip_longest(prints, values)]

    def _check_list(self, values: Any, drop: Callable[[], None]) -> list[bytes | None]:
        """Return the values, or none of them if that is the reply to another command."""
        if isinstance(values, list) and all(each is None or isinstance(each, bytes) for each in values):
            return values
        self._doubt("values", drop)
        return []

    def _unpack_result(
        self, fingerprint: bytes, value: bytes | None, drop: Callable[[], None]
    ) -> Result | None:
        try:
            return unpack_result(fingerprint, value)
        except Malformed:
            self._doubt("result", drop)
            return None

    def _unpack(self, job_id: str, value: bytes | None, drop: Callable[[], None]) -> Document | None:
        if not value:  # missing, or a tombstone
            return None
        try:
            document = unpack(value)
        except Malformed:
            document = None
        if document is None or document.id != job_id:
            self._doubt(job_id, drop)
            return None
        return document

    def _doubt(self, asked: str, drop: Callable[[], None]) -> None:
        """Count what is not the reply to this, and drop the connection: the next replies on it may be others' too."""
        drop()
        self._telemetry.emit(Event.CACHE_MISMATCH, asked=asked)

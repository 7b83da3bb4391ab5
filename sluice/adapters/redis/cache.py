"""Redis: finished documents and wake-ups. Losing all of it changes speed, never truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, cast

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from sluice.core.document import Document, unpack
from sluice.core.errors import Malformed, ServerAway
from sluice.core.job import Job
from sluice.core.ports import Result, Wake
from sluice.core.runtime.breaker import Breaker
from sluice.core.runtime.settings import Settings
from sluice.core.runtime.telemetry import Event, Telemetry

ANNOUNCE = """
local finished = tonumber(ARGV[4])
for i = 1, finished do redis.call('set', KEYS[i], ARGV[i + 4], 'nx', 'ex', ARGV[1]) end
for i = finished + 1, #KEYS do redis.call('set', KEYS[i], ARGV[i + 4], 'ex', ARGV[1]) end
if ARGV[3] ~= '' then redis.call('publish', ARGV[2], ARGV[3]) end
"""
"""One call per batch: finished documents are written once, results replaced, and one message wakes all waiters."""

FORGET = """
for i = 1, #KEYS do redis.call('set', KEYS[i], '', 'ex', ARGV[1]) end
redis.call('publish', ARGV[2], ARGV[3])
"""
"""One call per batch: tombstones over documents whose jobs are gone, and one message that says so."""

ANNOUNCE_S = 1.0
"""Seconds for an announcement, which no request waits for."""

TOMBSTONE_S = 60
"""Seconds for which a deleted document cannot come back: longer than any announcement takes."""

STATISTICS_S = 60
"""Seconds after which statistics that nobody has renewed are of no use."""

AGAIN_S = 0.5
"""Seconds between two attempts to subscribe."""

_LOST = (RedisError, OSError, TimeoutError, RuntimeError)
"""What a lost connection is told by: uvloop refuses with RuntimeError to write to one that was reset a moment ago."""

SILENCE_S = 5.0
"""A subscription that is silent this long is pinged; one that does not answer is replaced."""


class RedisCache:
    """Implements sluice.core.ports.DocumentCache.

    Keys carry the identity of the database, so that a restored one meets an empty cache; values carry tenant and id,
    so that a mixed-up reply can never leak (redis-py CVE-2023-28858).
    """

    def __init__(self, url: str, name: str, telemetry: Telemetry, settings: Settings) -> None:
        self._client = _client(url, name, max(settings.redis_budget_s, ANNOUNCE_S))
        self._subscriber = _client(url, f"{name}-waits", SILENCE_S)
        self._telemetry = telemetry
        self._breaker = Breaker("redis", telemetry, monotonic)
        self._budget_s, self._ttl_s = settings.redis_budget_s, settings.document_ttl_s
        self._prefix = b""
        self._identity = ""
        self._known = asyncio.Event()
        self._sha: str | None = None
        self._listening: set[str] = set()

    @property
    def listening(self) -> bool:
        """True while wake-ups are heard."""
        return "wake" in self._listening

    def belong_to(self, identity: str) -> None:
        """From now on only documents of this database are read and written."""
        self._identity = identity
        self._prefix = f"sluice:{identity}:document:".encode()
        self._known.set()

    async def get(self, ids: Sequence[str]) -> list[Document | None]:
        """Finished documents, in the order of the ids; all missing until the database is known."""
        if not self._prefix:
            return [None] * len(ids)
        values = await self._run("MGET", *[self._prefix + each.encode() for each in ids])
        return [self._own(job_id, value) for job_id, value in zip(ids, values, strict=True)]

    async def find_results(self, prints: Sequence[bytes]) -> list[Result | None]:
        """The newest result of each fingerprint, in the order of the fingerprints."""
        if not self._prefix:
            return [None] * len(prints)
        return [_parse_result(value) for value in await self._run("MGET", *map(self._result_key, prints))]

    async def announce(
        self, versions: Mapping[str, int], finished: Sequence[Document], results: Mapping[bytes, Job]
    ) -> None:
        """Store finished documents, note results by fingerprint, and wake the waiters of all these ids."""
        if not self._prefix:
            raise ServerAway("redis", "the database is not known yet")
        last = {document.id: "!" for document in finished}
        wake = ",".join(f"{job_id}:{version}{last.get(job_id, '')}" for job_id, version in versions.items())
        keys = [self._prefix + document.id.encode() for document in finished]
        keys += map(self._result_key, results)
        packed = [document.pack() for document in finished] + list(map(_pack_result, results.values()))
        await self._script(len(keys), *keys, self._ttl_s, self._channel("wake"), wake, len(finished), *packed)

    async def forget(self, *job_ids: str) -> None:
        """Put a tombstone over documents whose jobs are gone, so that no late writer brings them back, and say so. Raises ServerAway."""
        if not job_ids:
            return
        if not self._prefix:
            raise ServerAway("redis", "the database is not known yet")
        keys = [self._prefix + job_id.encode() for job_id in job_ids]
        news = (TOMBSTONE_S, self._channel("gone"), ",".join(job_ids))
        await self._run("EVAL", FORGET, len(keys), *keys, *news)

    async def post_statistics(self, statistics: bytes) -> None:
        """Put up the newest statistics, for some seconds."""
        if self._prefix:
            await self._run("SET", self._channel("statistics"), statistics, "EX", STATISTICS_S)

    async def read_statistics(self) -> bytes | None:
        """The newest statistics, if there are any."""
        return await self._run("GET", self._channel("statistics")) if self._prefix else None

    async def ask_stop(self, job_id: str) -> None:
        """Tell the consumers that a cancel was requested; without Redis the next heartbeat tells."""
        with suppress(ServerAway):
            await self._run("PUBLISH", self._channel("stop"), job_id)

    async def call_workers(self, lane: str) -> None:
        """Tell consumers that there is work in this lane, where no RabbitMQ does. Raises ServerAway."""
        if not self._prefix:
            raise ServerAway("redis", "the database is not known yet")
        await self._run("PUBLISH", self._channel("call"), lane)

    async def listen_calls(self, on_call: Callable[[str], None]) -> None:
        """Call `on_call` with lanes for ever, like `listen_stops`; with an empty one where some may have been missed."""
        await self._listen("call", lambda data: on_call(data.decode()))

    async def listen(self, on_wake: Callable[[Mapping[str, Wake]], None]) -> None:
        """Call `on_wake` with wake-ups by id for ever, through every reconnection; returns when cancelled."""
        await self._listen("wake", lambda data: on_wake(_parse_wake(data)))

    async def listen_stops(self, on_stop: Callable[[str], None]) -> None:
        """Call `on_stop` with ids for ever, through every reconnection; returns when cancelled."""
        await self._listen("stop", lambda data: on_stop(data.decode()) if data else None)

    async def listen_gone(self, on_gone: Callable[[str], None]) -> None:
        """Call `on_gone` with the ids of deleted jobs for ever; returns when cancelled."""

        def hear(data: bytes) -> None:
            for job_id in filter(None, data.decode().split(",")):
                on_gone(job_id)

        await self._listen("gone", hear)

    async def _listen(self, topic: str, hear: Callable[[bytes], None]) -> None:
        while True:
            try:
                await self._subscription(topic, hear)
            except (*_LOST, ServerAway):
                await asyncio.sleep(AGAIN_S)

    async def ping(self) -> None:
        """Raises ServerAway where Redis does not answer."""
        await self._run("PING")

    async def settings(self) -> dict[str, str]:
        """How it is set up, as far as it tells: a hosted one may keep some to itself. Raises ServerAway."""
        memory = await self._tell("INFO", "memory")
        found: dict[str, str] = {
            name: str(memory[name]) for name in ("maxmemory", "maxmemory_policy") if name in memory
        }
        for name in ("save", "stop-writes-on-bgsave-error"):
            found |= await self._tell("CONFIG GET", name)
        return found

    async def _tell(self, *command: str) -> dict[str, Any]:
        """An answer that may be refused; to be refused says nothing against the server."""
        try:
            async with asyncio.timeout(ANNOUNCE_S):
                return dict(await self._client.execute_command(*command))  # type: ignore[no-untyped-call]  # as below
        except ResponseError:
            return {}
        except (RedisError, OSError, TimeoutError) as error:
            raise ServerAway("redis", str(error) or "did not answer in time") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
        await self._subscriber.aclose()

    async def _subscription(self, topic: str, hear: Callable[[bytes], None]) -> None:
        await self._known.wait()
        pubsub = self._subscriber.pubsub()
        try:
            async with asyncio.timeout(SILENCE_S):
                await pubsub.subscribe(self._channel(topic))
            await self._hear(pubsub, topic, hear)
        finally:
            self._listening.discard(topic)
            hear(b"")
            await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    async def _hear(self, pubsub: Any, topic: str, hear: Callable[[bytes], None]) -> None:
        silent = False
        while True:
            message = await pubsub.get_message(timeout=SILENCE_S)
            if message is None and silent:
                raise ServerAway("redis", "the subscription does not answer")
            silent = message is None
            if message is None:
                await pubsub.ping()
            elif message["type"] == "subscribe":
                self._listening.add(topic)  # not before: what was published until now went to nobody
                hear(b"")
            elif message["type"] == "message" and message["data"]:
                hear(message["data"])

    async def _script(self, keys: int, *args: Any) -> None:
        if self._sha is None:
            self._sha = cast(str, await self._run("SCRIPT LOAD", ANNOUNCE))
        try:
            await self._run("EVALSHA", self._sha, keys, *args, budget_s=ANNOUNCE_S)
        except NoScriptError:
            self._sha = None
            await self._run("EVAL", ANNOUNCE, keys, *args, budget_s=ANNOUNCE_S)

    async def _run(self, *command: Any, budget_s: float | None = None) -> Any:
        self._breaker.check()
        try:
            async with asyncio.timeout(budget_s or self._budget_s):
                answer = await self._client.execute_command(*command)  # type: ignore[no-untyped-call]  # untyped in redis-py
        except NoScriptError:
            raise
        except _LOST as error:
            why = str(error) or "did not answer in time"
            self._breaker.failed(why)
            raise ServerAway("redis", why) from error
        self._breaker.worked()
        return answer

    def _result_key(self, fingerprint: bytes) -> bytes:
        return f"sluice:{self._identity}:result:{fingerprint.hex()}".encode()

    def _channel(self, topic: str) -> str:
        return f"sluice:{self._identity}:{topic}"

    def _own(self, job_id: str, value: bytes | None) -> Document | None:
        if not value:  # missing, or a tombstone
            return None
        try:
            document = unpack(value)
        except Malformed:
            document = None
        if document is None or document.id != job_id:
            self._telemetry.emit(Event.CACHE_MISMATCH, asked=job_id)
            return None
        return document


def _client(url: str, name: str, budget_s: float) -> redis.Redis:
    """redis-py's own defaults retry for seconds; here every call answers within its budget or fails."""
    return redis.Redis.from_url(
        url,
        client_name=name,
        socket_timeout=budget_s,
        socket_connect_timeout=budget_s,
        retry=Retry(NoBackoff(), 0),
        max_connections=64,
        protocol=2,
    )


def _pack_result(job: Job) -> bytes:
    return f"{job.id} {job.finished_at.timestamp() if job.finished_at else 0}".encode()


def _parse_result(value: bytes | None) -> Result | None:
    job_id, _, finished_at = (value or b"").decode().partition(" ")
    return Result(job_id, float(finished_at)) if finished_at else None


def _parse_wake(data: bytes) -> dict[str, Wake]:
    """The inverse of what `announce` sends: `id:version`, with `!` behind a last version, separated by commas."""
    pairs = (entry.partition(":") for entry in data.decode().split(",") if entry)
    return {job_id: Wake(int(version.rstrip("!")), version.endswith("!")) for job_id, _, version in pairs}

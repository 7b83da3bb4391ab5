"""Redis subscriptions of a process, which survive lost connections and notice a silent server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from redis.exceptions import ResponseError

from sluice.adapters.redis.client import close_client, open_client
from sluice.adapters.redis.connection import FAILURES, SERVER, RedisConnection, channel
from sluice.adapters.redis.packing import unpack_wakes
from sluice.core.errors import ServerAway
from sluice.core.ports import Wake
from sluice.core.runtime.telemetry import Event, Telemetry

AGAIN_S = 0.5
"""Seconds between two attempts to subscribe."""

SILENCE_S = 5.0
"""A subscription that is silent for so long is pinged; one that does not answer is replaced."""


class RedisSubscriptions:
    """Implements sluice.core.ports.Subscriptions, over connections of its own."""

    def __init__(
        self,
        url: str,
        name: str,
        connection: RedisConnection,
        telemetry: Telemetry,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._redis, self._telemetry, self._silence_s = connection, telemetry, silence_s
        self._client = open_client(url, f"{name}-waits", SILENCE_S)
        self._subscribed: set[str] = set()

    @property
    def listening(self) -> bool:
        """Whether wake-ups arrive."""
        return "wake" in self._subscribed

    async def listen(self, on_wake: Callable[[Mapping[str, Wake]], None]) -> None:
        """Call `on_wake` with wake-ups by id for ever, through every reconnection."""
        await self.listen_to("wake", lambda message: on_wake(unpack_wakes(message)))

    async def listen_stops(self, on_stop: Callable[[str], None]) -> None:
        """Call `on_stop` with the ids of jobs that are to stop, for ever."""
        await self.listen_to("stop", lambda message: on_stop(message.decode()) if message else None)

    async def listen_gone(self, on_gone: Callable[[str], None]) -> None:
        """Call `on_gone` with the ids of deleted jobs, for ever."""

        def receive(message: bytes) -> None:
            for job_id in filter(None, message.decode().split(",")):
                on_gone(job_id)

        await self.listen_to("gone", receive)

    @property
    def hears_pauses(self) -> bool:
        """Whether pauses of lanes are heard of."""
        return "pauses" in self._subscribed

    async def listen_pauses(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` when a lane was paused or resumed, and when that may have been missed, for ever."""
        await self.listen_to("pauses", lambda _: on_change())

    async def listen_calls(self, on_call: Callable[[str], None]) -> None:
        """Call `on_call` with lanes that have work, for ever; with an empty one if some may have been missed."""
        await self.listen_to("call", lambda message: on_call(message.decode()))

    async def listen_to(self, topic: str, receive: Callable[[bytes], None]) -> None:
        """Call `receive` with every message about this, for ever; with an empty one if some may have been missed."""
        while True:
            try:
                await self._subscribe(topic, receive)
            except (*FAILURES, ServerAway) as error:
                if isinstance(error, ResponseError):
                    self._redis.note(error, "SUBSCRIBE")
                await asyncio.sleep(AGAIN_S)

    async def close(self) -> None:
        """Close every connection."""
        await close_client(self._client)

    async def _subscribe(self, topic: str, receive: Callable[[bytes], None]) -> None:
        """Hand on messages until the subscription is lost. An empty one says that some may have been missed."""
        pubsub = self._client.pubsub()
        try:
            async with asyncio.timeout(self._silence_s):
                await pubsub.subscribe(channel(topic))
            await self._receive(pubsub, topic, receive)
        finally:
            self._subscribed.discard(topic)
            receive(b"")
            await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    async def _receive(self, pubsub: Any, topic: str, receive: Callable[[bytes], None]) -> None:
        silent = False
        while True:
            message = await pubsub.get_message(timeout=self._silence_s)
            if message is None and silent:
                raise ServerAway(SERVER, "the subscription does not answer")
            silent = message is None
            if message is None:
                await pubsub.ping()
            elif message["type"] == "subscribe":
                self._subscribed.add(topic)  # not before: what was published until now was not received
                self._redis.note_answer()  # what was missed is read at once, and not refused by an open breaker
                receive(b"")
            elif message["type"] == "message" and message["data"]:
                self._hand_on(message["data"], topic, receive)

    def _hand_on(self, data: bytes, topic: str, receive: Callable[[bytes], None]) -> None:
        try:
            receive(data)
        except Exception as error:  # noqa: BLE001  anybody may publish anything; what comes next is to be heard
            self._telemetry.emit(Event.UNREADABLE, topic=topic, why=repr(error))

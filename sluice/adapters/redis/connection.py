"""Commands to Redis, each of which is answered within its budget or fails."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from sluice.adapters.redis.client import CONNECTIONS, Read, close_client, open_client
from sluice.core.errors import CredentialsRefused, ServerAway, ServerRefused
from sluice.core.runtime.breaker import Breaker
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Telemetry

SERVER = "redis"
BACKGROUND_S = 1.0
"""Seconds for a command that no request waits for."""

AT_ONCE = CONNECTIONS - 8
"""Commands that run at the same time: without a connection for one more, the driver would fail at once. Subscriptions have the rest."""

FAILURES = (RedisError, OSError, EOFError, RuntimeError)
"""How a call fails: uvloop raises RuntimeError for a write to a connection that was reset a moment before."""


class RedisConnection:
    """A client for one process. Keys carry the identity of the record, so that a restored one meets an empty cache."""

    def __init__(
        self, url: str, name: str, telemetry: Telemetry, budget_s: float, identity: RecordIdentity
    ) -> None:
        self._client = open_client(url, name, max(budget_s, BACKGROUND_S))
        self._room = asyncio.Semaphore(AT_ONCE)
        self._breaker = Breaker(SERVER, telemetry, monotonic)
        self._budget_s = budget_s
        self._identity = identity

    @property
    def identified(self) -> bool:
        """Whether it is known which database the keys belong to."""
        return bool(self._identity.current)

    def key(self, name: str) -> str:
        """Name a key of the record as it is now."""
        return f"sluice:{self._identity.current}:{name}"

    def check_identified(self) -> None:
        """Raise ServerAway while the database is not known."""
        if not self.identified:
            raise ServerAway(SERVER, "the database is not known yet")

    async def run(self, *command: Any, budget_s: float | None = None, read: Read | None = None) -> Any:
        """Run a command; return its reply, or what `read` makes of it. Raises ServerAway within the budget, NoScriptError."""
        self._breaker.check()
        sent = False
        try:
            async with asyncio.timeout(budget_s or self._budget_s), self._room:
                sent = True
                answer = await self._client.execute_command(*command, read=read)  # type: ignore[no-untyped-call]  # untyped in redis-py
        except NoScriptError:  # it answers, and the call that follows must not wait for the next probe
            self._breaker.worked()
            raise
        except FAILURES as error:
            if not sent:
                raise ServerAway(SERVER, "too many commands wait for an answer") from error
            raise self.note(error, str(command[0])) from error
        self._breaker.worked()
        return answer

    def note_answer(self) -> None:
        """Note that the server has answered on another connection."""
        self._breaker.worked()

    def note(self, error: Exception, call: str) -> ServerAway:
        """Note that a call has failed, and return the error that says so in our words."""
        if isinstance(error, ResponseError):
            refusal = ServerRefused(SERVER, _code(error))
            self._breaker.refused(refusal, call=call, said=str(error))
            return refusal
        ours = translated(error)
        self._breaker.failed(ours)
        return ours

    async def ping(self) -> None:
        """Ping it. Raises ServerAway if Redis does not answer, or has just refused something."""
        await self.run("PING")
        for refusal in self._breaker.refusals:
            raise refusal

    async def settings(self) -> dict[str, str]:
        """Read its settings, as far as it shows them: a hosted one may hide some. Raises ServerAway."""
        said = await self._read("INFO", "memory") | await self._read("INFO", "cluster")
        names = ("maxmemory", "maxmemory_policy", "cluster_enabled")
        found: dict[str, str] = {name: str(said[name]) for name in names if name in said}
        for name in ("save", "stop-writes-on-bgsave-error"):
            found |= await self._read("CONFIG GET", name)
        return found

    async def close(self) -> None:
        """Close every connection to the server."""
        await close_client(self._client)

    async def _read(self, *command: str) -> dict[str, Any]:
        """Run a command that may be refused; a refusal does not count as a failure of the server."""
        try:
            async with asyncio.timeout(BACKGROUND_S):
                return dict(await self._client.execute_command(*command))  # type: ignore[no-untyped-call]  # as above
        except ResponseError:
            return {}
        except FAILURES as error:
            raise translated(error) from error


def translated(error: Exception) -> ServerAway:
    """Translate an error of the driver that is no refusal of a command."""
    if isinstance(error, AuthenticationError | AuthorizationError):
        return CredentialsRefused(SERVER)
    return ServerAway(SERVER, str(error) or "did not answer in time")


def channel(topic: str) -> str:
    """Name a channel. The record's identity is not in it: after a failover each process learns that at a moment of its own."""
    return f"sluice:{topic}"


def _code(error: ResponseError) -> str:
    """Return what kind of refusal it is. The driver takes the codes that it knows off the message."""
    return str(error).partition(" ")[0] if type(error) is ResponseError else type(error).__name__

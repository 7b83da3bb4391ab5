"""Connect to the record: at its address, or at whichever of several addresses the primary is."""

from __future__ import annotations

import asyncio
import socket
from asyncio.staggered import staggered_race
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.protocol import protocol as driver

from sluice.adapters.postgres.statements import load_queries
from sluice.core.addresses import host_of, split_hosts

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:
    Connection = asyncpg.Connection
Check = Callable[[Connection], Awaitable[None]]

STAGGER_S = 0.1
"""Seconds until the next host is tried beside one that does not answer: a request that needs a connection waits meanwhile."""


SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "5s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "5s",
    # A statement commits once its rows are sent: a frozen client that does not read them must not hold locks for long.
    "tcp_user_timeout": "5000",
    # Every statement goes by a key or a partial index. Plans made while a table was empty would scan it for ever.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    # "The oldest of these" has to walk the index in its order. Where the planner takes a table for empty, reading all and sorting it
    # looks as cheap: after an analyze while a transaction kept a backlog's dead rows, each poll read all that waited.
    "enable_bitmapscan": "off",
    "jit": "off",
}
"""What every session is given. Behind a pooler that shares sessions it may be lost, which the checks of the server find."""


def tell_arrays_by_type() -> None:
    """Have the driver take lists and tuples for arrays, and nothing else. Not for a process in which users' code may use it, too.

    Of each element of each array it asks two abstract base classes else: Python code, and 7 % of all that an api does.
    """
    vars(driver).update(dict.fromkeys(("IterableABC", "SizedABC"), (list, tuple)))


class SessionConnection(Connection):
    """Names prepared statements as no other connection does: behind a pooler that loses them, the driver's own names (a number
    counted in each process) would now and then run another statement instead of none.

    A COMMIT that waits for a standby may be cancelled, and is then answered like any other, after a notice: what it wrote may be lost.
    """

    _unreplicated = False

    def __init__(self, protocol: Any, transport: asyncio.Transport, *more: Any) -> None:
        super().__init__(protocol, transport, *more)
        _forget_what_is_not_taken(transport.get_extra_info("socket"))

    async def fetch(self, *args: Any, **options: Any) -> list[asyncpg.Record]:  # type: ignore[override]  # the stubs name every option
        """Fetch rows. Raises StatementCompletionUnknownError if the COMMIT waits for its standby no longer."""
        self._unreplicated = False
        rows: list[asyncpg.Record] = await super().fetch(*args, **options)
        if self._unreplicated:
            raise asyncpg.StatementCompletionUnknownError("the COMMIT was told not to wait for its standby")
        return rows

    def _process_log_message(self, fields: dict[str, str], last_query: str) -> None:
        """Take in a notice. Its routine (syncrep.c of PostgreSQL) has the same name in every language."""
        self._unreplicated |= fields.get("R") == "SyncRepWaitForLSN"
        super()._process_log_message(fields, last_query)  # type: ignore[misc]  # the stubs lack it

    def _get_unique_id(self, prefix: str) -> str:
        return f"sluice_{prefix}_{token_hex(8)}"


async def connect_to_primary(url: str, **options: Any) -> Connection:
    """Open a connection. Raises what the driver raises."""
    hosts, options = split_hosts(url), options | {"connection_class": SessionConnection}
    if len(hosts) == 1:
        return await asyncpg.connect(url, **options)
    # The driver would try one after the other, and a host that vanished would use up all the time there is.
    connect = partial(asyncpg.connect, target_session_attrs="primary", **options)
    connection, _, errors = await staggered_race([partial(connect, host) for host in hosts], STAGGER_S)
    if connection is None:
        raise _summary(hosts, errors)
    found: Connection = connection
    return found


async def open_session(
    url: str, settings: Mapping[str, str], check: Check | None = None, **options: Any
) -> Connection:
    """Open a connection with these settings, and check it. Not as part of its start, where poolers refuse them or drop them silently."""
    connection = await connect_to_primary(url, **options)
    try:
        await connection.fetch(load_queries()["apply_settings"], list(settings), list(settings.values()))
        if check:
            await check(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _forget_what_is_not_taken(sock: socket.socket) -> None:
    """Have the system end a connection whose server takes nothing for some seconds: it would still send statements a minute later,
    which nobody waits for any more (Linux only)."""
    if hasattr(socket, "TCP_USER_TIMEOUT") and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SETTINGS["tcp_user_timeout"]))


def _summary(hosts: Iterable[str], errors: Iterable[Exception | None]) -> Exception:
    """Say of each host why it is no use; an error that is not about the host counts more."""
    whys = []
    for host, error in zip(hosts, errors, strict=True):
        if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
            whys.append(f"{host_of(host)}: is a standby")
        elif isinstance(error, OSError) and not isinstance(error, PermissionError):
            whys.append(f"{host_of(host)}: {error}")
        elif error is not None:
            return error
    return ConnectionError("; ".join(whys))

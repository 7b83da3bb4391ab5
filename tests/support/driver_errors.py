"""What the drivers raise: each of their error classes once, and the codes that RabbitMQ and Redis answer with."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator

import aiormq.exceptions as amqp
import asyncpg
from asyncpg import exceptions as postgres
from redis import exceptions as redis
from redis._parsers.base import BaseParser

LOST: list[Exception] = [
    TimeoutError(),
    OSError("a socket error"),
    ConnectionResetError("reset"),
    asyncio.IncompleteReadError(b"", 1),
    RuntimeError("the transport is closed"),
]
"""How any connection is lost."""

REPLIES = (
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOAUTH Authentication required.",
    "NOPERM this user has no permissions to run the 'get' command",
    "WRONGPASS invalid username-password pair",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down",
    "BUSY Redis is busy running a script.",
    "MISCONF Redis is configured to save RDB snapshots",
    "NOREPLICAS Not enough good replicas to write.",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "CLUSTERDOWN The cluster is down",
    "MOVED 3999 127.0.0.1:6381",
    "ERR unknown command",
    "ERR max number of clients reached",
)
"""Errors with which Redis answers."""


def postgres_errors() -> list[Exception]:
    """Return an error of every class of asyncpg: one for each SQLSTATE, and its own."""
    classes = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return [each("why") for each in _classes(vars(postgres), *classes)] + LOST


def few_postgres_errors() -> list[Exception]:
    """Return one for each class of SQLSTATEs, and the driver's own."""
    by_class = {(getattr(each, "sqlstate", None) or repr(each))[:2]: each for each in postgres_errors()}
    return [*by_class.values(), *LOST]


def redis_errors() -> list[Exception]:
    """Return an error of every class that redis-py raises without a cluster, and one for every code of Redis."""
    names = {name: each for name, each in vars(redis).items() if name not in ("AskError", "MovedError")}
    made = _classes(names, redis.RedisError)
    parse = BaseParser.parse_error
    return [each("why") for each in made] + [parse(each) for each in REPLIES] + LOST  # type: ignore[no-untyped-call]  # untyped in redis-py


def amqp_errors() -> list[Exception]:
    """Return an error of every class of aiormq."""
    classes = [each for each in _classes(vars(amqp)) if not issubclass(each, amqp.DeliveryError)]
    return [each(406, "PRECONDITION_FAILED - why") for each in classes] + LOST


def _classes(names: dict[str, object], *bases: type[Exception]) -> Iterator[type[Exception]]:
    for each in names.values():
        if inspect.isclass(each) and issubclass(each, bases or Exception) and issubclass(each, Exception):
            yield each

"""The accounts that docs/operations.md describes may do no more than it says."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiormq
import asyncpg
import pytest
import redis.asyncio as redis
from redis.exceptions import NoPermissionError

from infra.local.servers import Servers
from tests.support.least_accounts import ROOT, Accounts, accounts_of_the_page, documented
from tests.support.servers import sql_session


@pytest.fixture(scope="module")
def accounts(shared_servers: Servers) -> Iterator[Accounts]:
    """Make every account."""
    with accounts_of_the_page(shared_servers) as made:
        yield made


OF_BOTH = (
    "create table mine (n int)", "create temporary table mine (n int)", "create schema mine", "drop table jobs",
    "alter table jobs disable trigger all", "truncate jobs", "update alembic_version set version_num = ''",
    "update audit set tenant = ''", "copy jobs to program 'true'", "select pg_read_file('/etc/passwd')",
    "create role mine", "alter role sluice password 'mine'", "set role sluice",
    "alter default privileges in schema public grant all on tables to public; create function f() returns int language sql as 'select 1'",
)  # fmt: skip


@pytest.mark.parametrize("statement", [*OF_BOTH, "delete from audit"])
async def test_what_the_role_of_the_apis_may_not_do(accounts: Accounts, statement: str) -> None:
    async with sql_session(accounts.postgres("sluice_api")) as session:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute(statement)


@pytest.mark.parametrize("statement", [*OF_BOTH, "select from api_keys"])
async def test_what_the_role_of_the_consumers_may_not_do(accounts: Accounts, statement: str) -> None:
    async with sql_session(accounts.postgres("sluice_consumer")) as session:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute(statement)


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "CONFIG GET requirepass", "ACL LIST", "GET other", "SET other 1", "PUBLISH other 1",
        "SCRIPT FLUSH", "SHUTDOWN NOSAVE", "MONITOR", "CLIENT LIST", "REPLICAOF localhost 1",
    ],
)  # fmt: skip
async def test_what_the_user_of_redis_may_not_do(accounts: Accounts, command: str) -> None:
    async with redis.Redis.from_url(accounts.redis) as client:
        with pytest.raises(NoPermissionError):
            await client.execute_command(*command.split())  # type: ignore[no-untyped-call]  # untyped in redis-py


async def test_a_script_reaches_no_key_of_others(accounts: Accounts) -> None:
    async with redis.Redis.from_url(accounts.redis) as client:
        with pytest.raises(redis.ResponseError):
            await client.eval("return redis.call('get', 'other')", 0)


Act = Callable[[Any], Awaitable[object]]
OTHER = "other"
"""A queue or exchange of another program. RabbitMQ looks at rights before it looks whether there is one."""


async def _publish(channel: Any) -> object:
    return await channel.basic_publish(b"", exchange="amq.topic", routing_key=OTHER)


async def _consume(channel: Any) -> object:
    return await channel.basic_consume(OTHER, print)


async def _take(channel: Any) -> object:
    return await channel.basic_get(OTHER)


async def _purge(channel: Any) -> object:
    return await channel.queue_purge(OTHER)


async def _delete(channel: Any) -> object:
    return await channel.queue_delete(OTHER)


async def _declare(channel: Any) -> object:
    return await channel.queue_declare(OTHER)


async def _declare_exchange(channel: Any) -> object:
    return await channel.exchange_declare(OTHER)


async def _bind(channel: Any) -> object:
    return await channel.queue_bind("sluice.dead", "amq.topic", "#")


ACTS = (_publish, _consume, _take, _purge, _delete, _declare, _declare_exchange, _bind)


@pytest.mark.parametrize("act", ACTS)
async def test_what_the_user_of_rabbitmq_may_not_do(accounts: Accounts, act: Act) -> None:
    connection = await aiormq.connect(accounts.rabbitmq)
    try:
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            await act(await connection.channel())
    finally:
        await connection.close()


def test_compose_gives_its_user_of_rabbitmq_these_permissions() -> None:
    text = (ROOT / "infra/docker/rabbitmq.conf").read_text()
    given = dict(re.findall(r"^default_permissions\.(\w+) = (.*)$", text, re.MULTILINE))
    assert [given["configure"], given["write"], given["read"]] == documented("rabbitmqctl set_permissions")[
        -3:
    ]

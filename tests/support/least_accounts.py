"""The accounts at the servers that docs/operations.md describes, made as it says."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis.asyncio as redis
from yarl import URL

from infra.local.servers import Servers
from tests.support.servers import sql_session

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "least"
ROLES = ("sluice_api", "sluice_consumer")
BROKER_USER = "least"


def documented(begin: str) -> list[str]:
    """The words of the one command of the page that begins so."""
    page = (ROOT / "docs/operations.md").read_text()
    (line,) = re.findall(rf"^{re.escape(begin)}.*$", page, re.MULTILINE)
    return shlex.split(line)


class Accounts:
    """The addresses of the accounts."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.redis = str(URL(servers.redis.url).with_user("sluice").with_password(PASSWORD))
        self.rabbitmq = str(URL(servers.rabbitmq.url).with_user(BROKER_USER).with_password(PASSWORD))

    def postgres(self, role: str) -> str:
        """The address for one of the roles."""
        return str(URL(self.servers.postgres.url).with_user(role).with_password(PASSWORD))


async def make_roles(servers: Servers) -> None:
    """As the superuser, who can come in only while the server does not run; then give them their rights, as the owner."""
    async with sql_session(servers.postgres.url) as owner:
        there = await owner.fetchval("select count(*) from pg_roles where rolname = any($1)", ROLES)
    if not there:
        servers.postgres.stop()
        lines = "".join(f"create role {role} login password '{PASSWORD}'\n" for role in ROLES)
        servers.postgres.run("postgres", "--single", "postgres", stdin=lines)
        servers.postgres.start()
    async with sql_session(servers.postgres.url) as owner:
        await owner.execute((ROOT / "infra/postgres/roles.sql").read_text())


async def make_user_of_redis(servers: Servers) -> None:
    """By the line of the page."""
    words = [
        f">{PASSWORD}" if word == ">PASSWORD" else word for word in documented("redis-cli ACL SETUSER sluice")
    ]
    async with redis.Redis.from_url(servers.redis.url) as client:
        await client.execute_command(*words[1:])  # type: ignore[no-untyped-call]  # untyped in redis-py


def make_user_of_rabbitmq(servers: Servers) -> None:
    """By the line of the page."""
    servers.rabbitmq.control("add_user", BROKER_USER, PASSWORD)
    words = documented("rabbitmqctl set_permissions")[1:]
    servers.rabbitmq.control(*(BROKER_USER if word == "sluice" else word for word in words))


@contextmanager
def accounts_of_the_page(servers: Servers) -> Iterator[Accounts]:
    """Make every account; afterwards take those away that others could meet."""
    servers.up()
    asyncio.run(make_roles(servers))
    asyncio.run(make_user_of_redis(servers))
    make_user_of_rabbitmq(servers)
    try:
        yield Accounts(servers)
    finally:
        asyncio.run(_remove_user_of_redis(servers))
        servers.rabbitmq.control("delete_user", BROKER_USER)


async def _remove_user_of_redis(servers: Servers) -> None:
    async with redis.Redis.from_url(servers.redis.url) as client:
        await client.acl_deluser("sluice")

"""A Redis with a replica and a Sentinel that can make the one the other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis.asyncio as redis

from infra.local.ports import LOOPBACK
from infra.local.programs import find
from infra.local.redis import Redis

MASTER = "ours"


class Replica(Redis):
    """A Redis that follows `master`."""

    def __init__(self, directory: Path, master: Redis) -> None:
        super().__init__(directory)
        self._master = master

    @property
    def password(self) -> str:
        """The password of the master."""
        return self._master.password

    def _write_conf(self, file: Path, shared: Path, local: str) -> None:
        follow = f"replicaof {LOOPBACK} {self._master.port}\nmasterauth {self.password}\n"
        super()._write_conf(file, shared, local + follow)


class Sentinel(Redis):
    """Watches `master`, for clients that ask it where the master is."""

    def __init__(self, directory: Path, master: Redis) -> None:
        super().__init__(directory)
        self._master = master

    @property
    def url(self) -> str:
        """Where clients find the master."""
        return f"redis+sentinel://:{self._master.password}@{LOOPBACK}:9,{LOOPBACK}:{self.port}/{MASTER}/0"

    async def fail_over(self) -> None:
        """Make the replica the master, and the master a replica. Raises ResponseError while there is no replica."""
        await self._ask("FAILOVER", MASTER)

    async def master_port(self) -> int:
        """Return the port of the master."""
        return int((await self._ask("GET-MASTER-ADDR-BY-NAME", MASTER))[1])

    def _launch(self) -> None:
        self.data.mkdir(exist_ok=True)
        conf = self.directory / "sentinel.conf"
        conf.write_text(
            f"bind {LOOPBACK}\nport {self.port}\ndir {self.data}\n"
            f"sentinel monitor {MASTER} {LOOPBACK} {self._master.port} 1\n"
            f"sentinel auth-pass {MASTER} {self._master.password}\n"
        )
        self._spawn([str(find("redis-server")), str(conf), "--sentinel"])

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.makefile("rb").readline() == b"+PONG\r\n"
        except OSError:
            return False

    async def _ask(self, *words: str) -> Any:
        async with redis.Redis(host=LOOPBACK, port=self.port) as client:
            return await client.execute_command("SENTINEL " + words[0], *words[1:])  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


@contextmanager
def watched_redis(directory: Path) -> Iterator[tuple[Redis, Replica, Sentinel]]:
    """Run all three."""
    master = Redis(directory / "master")
    replica = Replica(directory / "replica", master)
    sentinel = Sentinel(directory / "sentinel", master)
    try:
        for each in (master, replica, sentinel):
            each.start()
        yield master, replica, sentinel
    finally:
        for each in (sentinel, replica, master):
            each.stop()

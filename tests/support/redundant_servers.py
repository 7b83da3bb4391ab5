"""Servers of which each has a spare: a PostgreSQL with a standby, a Redis with a replica and a Sentinel, a RabbitMQ of three nodes."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from redis.exceptions import ResponseError

from infra.local.ports import LOOPBACK
from infra.local.redis import Redis
from infra.local.server import Server
from infra.local.servers import Servers
from tests.support.rabbitmq_cluster import Cluster
from tests.support.sentinel import Replica, Sentinel
from tests.support.standby import Member, Primary, Standby
from tests.support.waiting import until_found


class RedundantServers(Servers):
    """`postgres` and `redis` are those that take writes at the moment; `rabbitmq` is one of the nodes."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.cluster = Cluster(self.directory / "cluster")
        self.rabbitmq = self.cluster.nodes[0]
        self.postgres: Member = Primary(self.directory / "postgres-1")
        self.standby = Standby(self.directory / "postgres-2", self.postgres)
        self.spare_redis: Redis = Replica(self.directory / "redis-2", self.redis)
        self.sentinel = Sentinel(self.directory / "sentinel", self.redis)

    @property
    def urls(self) -> dict[str, str]:
        """Where clients find whichever of them takes writes."""
        both = self.postgres.url.replace("@", f"@{LOOPBACK}:{self.standby.port},")
        return {"postgres": both, "redis": self.sentinel.url, "rabbitmq": self.cluster.url}

    def up(self, *wanted: Server) -> list[Server]:
        """Start all."""
        with ThreadPoolExecutor() as threads:
            for started in [threads.submit(each) for each in (self._start_cluster, self._start_others)]:
                started.result()
        return list(self)

    def down(self) -> None:
        """Stop all."""
        self.cluster.stop()
        for each in (self.sentinel, self.spare_redis, self.redis, self.standby, self.postgres):
            each.stop()

    def promote(self) -> None:
        """Make the standby the primary, in place of one that is dead."""
        self.standby.promote()
        self.postgres, self.standby = self.standby, Standby(self.postgres.directory, self.standby)

    def add_standby(self) -> None:
        """Make what was the primary follow the new one, which waits for it from then on."""
        self.standby.wipe()
        self.standby.start()
        self.postgres.wait_for_standby()

    async def switch_redis(self) -> None:
        """Have the Sentinel make the replica the master, in place of one that is dead."""
        await until_found(self._switched)
        self.redis, self.spare_redis = self.spare_redis, self.redis

    async def _switched(self) -> bool:
        with suppress(ResponseError):  # it knows of no replica yet, or is at it
            await self.sentinel.fail_over()
        await asyncio.sleep(0.1)
        return await self.sentinel.master_port() == self.spare_redis.port

    def _start_cluster(self) -> None:
        self.cluster.start(*self.cluster.nodes[1:])

    def _start_others(self) -> None:
        for each in (self.postgres, self.standby, self.redis, self.spare_redis, self.sentinel):
            each.start()

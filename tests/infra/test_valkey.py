"""The script by which Valkey pods find their master, with three servers and three Sentinels on loopback addresses."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.asyncio as redis
from redis.exceptions import RedisError

from infra.checks.tools import ROOT
from infra.local.ports import free_port
from infra.local.programs import ProgramMissing, find
from tests.support.waiting import until_found

SCRIPT = ROOT / "infra/kubernetes/servers/operators/valkey.sh"
PEERS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
PASSWORD = "a-password"


class Pods:
    """Processes of pods whose host names are addresses of the loopback interface."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port, self._sentinel_port = free_port(), free_port()
        server = find("redis-server")
        self._program = server.name.removesuffix("-server")
        self._path = f"{server.parent}:{os.environ['PATH']}"
        if shutil.which(f"{self._program}-cli", path=self._path) is None:
            raise ProgramMissing(f"{self._program}-cli is not installed")
        self._running: dict[tuple[str, str], subprocess.Popen[bytes]] = {}

    def start(self, me: str, role: str) -> None:
        """Start `server` or `sentinel` of a pod, with nothing left of an earlier life."""
        own = self._directory / f"{role}-{me}-{len(list(self._directory.iterdir()))}"
        own.mkdir()
        env = {
            "PATH": self._path,
            "ME": me, "BIND": me, "PEERS": " ".join(PEERS), "REDIS_PASSWORD": PASSWORD,
            "PORT": str(self.port), "SENTINEL_PORT": str(self._sentinel_port), "DOWN_MS": "1000", "FAILOVER_MS": "2000",
            "PROGRAM": self._program, "CONF": str(ROOT / "infra/redis/redis.conf"), "OWN": str(own),
        }  # fmt: skip
        with (own / "log").open("wb") as log:
            self._running[me, role] = subprocess.Popen(
                ["/bin/sh", SCRIPT, role], env=env, stdout=log, stderr=log
            )

    def kill(self, me: str) -> None:
        """Kill both processes of a pod."""
        for role in ("server", "sentinel"):
            process = self._running.pop((me, role))
            process.kill()
            process.wait()

    def stop(self) -> None:
        """Kill all that run."""
        for me in {me for me, _ in self._running}:
            self.kill(me)

    async def role(self, me: str) -> tuple[str, str]:
        """Whether a server is master or slave, and of whom; empty while it does not answer."""
        try:
            async with redis.Redis(host=me, port=self.port, password=PASSWORD) as client:
                found = await client.info("replication")
        except (RedisError, OSError):
            return "", ""
        return str(found["role"]), str(found.get("master_host", "")) if found.get(
            "master_link_status", "up"
        ) == "up" else ""

    async def seen_by(self, me: str) -> tuple[str, int, int]:
        """Whom a Sentinel calls master, and how many replicas of it and how many other Sentinels it knows."""
        try:
            async with redis.Redis(host=me, port=self._sentinel_port) as client:
                master = await client.sentinel_master("sluice")
        except (RedisError, OSError):
            return "", 0, 0
        assert isinstance(master, dict)
        return str(master["ip"]), int(master["num-slaves"]), int(master["num-other-sentinels"])

    async def master(self, *among: str) -> str:
        """The master of these pods, if their Sentinels agree on it and all the others follow it."""
        master, *more = {(await self.seen_by(peer))[0] for peer in among}
        agreed = not more and master in among
        wanted = {peer: ("master", "") if peer == master else ("slave", master) for peer in among}
        return master if agreed and wanted == {peer: await self.role(peer) for peer in among} else ""


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    """Pods, none of which runs yet."""
    made = Pods(tmp_path)
    try:
        yield made
    finally:
        made.stop()


async def test_a_master_that_dies_is_replaced_and_follows_when_it_comes_back(pods: Pods) -> None:
    first, *others = PEERS
    for peer in PEERS:
        pods.start(peer, "server")
        pods.start(peer, "sentinel")

    async def together() -> bool:
        return all([await pods.seen_by(peer) == (first, 2, 2) for peer in PEERS])

    await until_found(together)
    await until_found(lambda: pods.master(*PEERS))

    pods.kill(first)

    async def replaced() -> bool:
        return await pods.master(*others) in others

    await until_found(replaced)
    pods.start(first, "server")
    pods.start(first, "sentinel")
    await until_found(lambda: pods.master(*PEERS))
    assert await pods.master(*PEERS) in others

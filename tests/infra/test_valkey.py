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
            "PORT": str(self.port), "SENTINEL_PORT": str(self._sentinel_port), "DOWN_MS": "300",
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

    async def others_known(self, me: str) -> tuple[int, int]:
        """How many replicas and how many other Sentinels a Sentinel knows."""
        try:
            async with redis.Redis(host=me, port=self._sentinel_port) as client:
                master = await client.sentinel_master("sluice")
        except (RedisError, OSError):
            return 0, 0
        assert isinstance(master, dict)
        return int(master["num-slaves"]), int(master["num-other-sentinels"])


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    """Pods, none of which runs yet."""
    made = Pods(tmp_path)
    try:
        yield made
    finally:
        made.stop()


async def test_a_master_that_dies_is_replaced_and_follows_when_it_comes_back(pods: Pods) -> None:
    for peer in PEERS:
        pods.start(peer, "server")
        pods.start(peer, "sentinel")

    async def together() -> bool:
        return all([await pods.others_known(peer) == (2, 2) for peer in PEERS])

    async def all_follow_the_first() -> bool:
        roles = [await pods.role(peer) for peer in PEERS]
        return roles == [("master", ""), ("slave", PEERS[0]), ("slave", PEERS[0])]

    await until_found(together)
    await until_found(all_follow_the_first)

    pods.kill(PEERS[0])

    async def new_master() -> str:
        roles = {peer: await pods.role(peer) for peer in PEERS[1:]}
        masters = [peer for peer, (role, _) in roles.items() if role == "master"]
        return masters[0] if sorted(role for role, _ in roles.values()) == ["master", "slave"] else ""

    await until_found(new_master)
    master = await new_master()
    pods.start(PEERS[0], "server")
    pods.start(PEERS[0], "sentinel")

    async def follows() -> bool:
        return await pods.role(PEERS[0]) == ("slave", master)

    await until_found(follows)

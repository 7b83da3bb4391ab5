"""The three servers together: brought up side by side, taken down by any later process."""

import fcntl
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from infra.local.daemon import StartError
from infra.local.postgres import Postgres
from infra.local.programs import ProgramMissing, apt_line, missing
from infra.local.rabbitmq import RabbitMQ
from infra.local.redis import Redis
from infra.local.server import Server

__all__ = [
    "Postgres",
    "ProgramMissing",
    "RabbitMQ",
    "Redis",
    "Server",
    "Servers",
    "StartError",
    "apt_line",
    "missing",
]


class Servers:
    """PostgreSQL, Redis and RabbitMQ, each in a directory of its own below the given one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.postgres = Postgres(directory / "postgres")
        self.redis = Redis(directory / "redis")
        self.rabbitmq = RabbitMQ(directory / "rabbitmq")

    def __iter__(self) -> Iterator[Server]:
        return iter((self.postgres, self.redis, self.rabbitmq))

    @property
    def urls(self) -> dict[str, str]:
        """Where clients find each of them."""
        return {"postgres": self.postgres.url, "redis": self.redis.url, "rabbitmq": self.rabbitmq.url}

    def up(self, *wanted: Server) -> list[Server]:
        """Start the wanted ones (all, if none is named) side by side, and return those that did not run before.

        Raises StartError; then what this call started is stopped again.
        """
        with self._lock():
            stopped = [server for server in wanted or self if not server.alive]
            try:
                _each(wanted or self, Server.start)
            except BaseException:
                _each(stopped, Server.kill)
                raise
            return stopped

    def down(self) -> None:
        """Stop all that run."""
        with self._lock():
            _each(self, Server.stop)

    def wipe(self) -> None:
        """Delete the data of all; raises RuntimeError for the first that runs."""
        for server in self:
            server.wipe()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keep a second starter of the same directory waiting until the first is done."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _each(servers: Iterable[Server], act: Callable[[Server], None]) -> None:
    with ThreadPoolExecutor(3) as threads:
        jobs = [threads.submit(act, server) for server in servers]
    for job in jobs:
        job.result()

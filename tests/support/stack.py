"""Real api and consumer processes for tests, and a client that talks to them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncpg
import httpx2

from api.keys.api_key import make_new_key
from infra.local.ports import free_port
from infra.local.servers import Servers
from sluice.adapters.postgres.access_store import PostgresAccessStore
from sluice.adapters.postgres.pool import Database
from sluice.core.access import OPERATOR
from sluice.core.runtime.telemetry import Telemetry
from tests.support.servers import QUICK, empty, sql_session, urls
from tests.support.waiting import until_found

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("sluice")
"""The command as `make setup` left it."""
DEADLINE_S = 60.0
NO_TLS = False
"""Loading certificates costs 30 ms of processor time a client, and no process of ours speaks TLS."""
PATIENT: dict[str, object] = {
    "record_budget_s": 4,
    "accept_budget_s": 6,
    "redis_budget_s": 2,
    "shed_after_s": 60,
}
"""Budgets that servers keep on a busy machine, too: nothing is refused that a test did not mean to be."""
WITHOUT_DOCS: dict[str, object] = {"docs": False}
"""Describing every route takes a starting api 0.3 s of processor time; tests that read it say so."""


class Process:
    """One api or consumer process, started as a user would, in the directory `root`; `command` is what `python` is to run."""

    def __init__(
        self,
        command: Iterable[str],
        environment: dict[str, str],
        private_port: int,
        log: Path,
        root: Path = ROOT,
        python: str = sys.executable,
    ) -> None:
        self.log, self.private_url = log, f"http://127.0.0.1:{private_port}"
        self._root = root
        self.url = ""
        self._command = [python, *command]
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the id of the running process."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it; `ready` waits until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._root,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Wait until its private port says that it is ready."""
        async with httpx2.AsyncClient(verify=NO_TLS) as client:
            until = time.monotonic() + DEADLINE_S
            while time.monotonic() < until:
                assert self.process is not None
                assert self.process.poll() is None, self.log.read_text()[-3000:]
                try:
                    if (await client.get(f"{self.private_url}/readyz")).status_code == 200:
                        return
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(0.05)
        raise AssertionError(self.log.read_text()[-3000:])

    def kill(self) -> None:
        """Send SIGKILL to it and its children."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()

    def signal(self, number: int) -> None:
        """Send any signal to the process alone."""
        os.kill(self.pid, number)

    def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout=40)
        finally:
            self.kill()

    async def metrics(self) -> dict[str, float]:
        """Return its counters and gauges by name (those without labels)."""
        async with httpx2.AsyncClient(verify=NO_TLS) as client:
            text = (await client.get(f"{self.private_url}/metrics")).text
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("sluice_"))
        return {name: float(value) for name, value in rows if "{" not in name}

    async def until_metric(self, name: str, value: float) -> None:
        """Return once a counter or gauge has this value."""

        async def has_it() -> bool:
            return (await self.metrics()).get(name) == value

        await until_found(has_it)


class Stack:
    """The whole product on real servers: api processes, consumers, a key and a client. `root` is the directory they run in.

    Processes that are started get `environment` besides their settings; `python` is to run `launcher` and then their name.
    """

    def __init__(self, servers: Servers, directory: Path, **settings: object) -> None:
        self.servers = servers
        self.root = ROOT
        self._directory = directory
        self._settings = QUICK | PATIENT | WITHOUT_DOCS | settings
        self.environment: dict[str, str] = {}
        self.python = sys.executable
        self.launcher: Sequence[str] = ("-m",)
        self.apis: list[Process] = []
        self.consumers: list[Process] = []
        self.url = ""
        self.key = ""

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.stop()

    async def start(self, apis: int = 1, consumers: int = 1) -> None:
        """Start so many of each, with a key that may do everything."""
        self.key = await make_a_key(self.servers, "demo", ["submit", "read", "payloads", "admin", "operate"])
        for _ in range(apis):
            self.add_api()
        for _ in range(consumers):
            self.add_consumer()
        await asyncio.gather(*(each.ready() for each in self.apis + self.consumers))

    def add_api(self, **settings: object) -> Process:
        """Start one more api process; the client talks to the first."""
        port = settings.pop("api_port", None) or free_port()
        private = free_port()
        while private == port:
            private = free_port()
        api = self._add(self.apis, "api", private, api_port=port, api_private_port=private, **settings)
        api.url = f"http://127.0.0.1:{port}"
        self.url = self.url or api.url
        return api

    @asynccontextmanager
    async def another_api(self, **settings: object) -> AsyncIterator[Process]:
        """Run one more api process for the block."""
        api = self.add_api(**settings)
        try:
            await api.ready()
            yield api
        finally:
            await asyncio.to_thread(api.stop)
            self.apis.remove(api)

    def add_consumer(self, **settings: object) -> Process:
        """Start one more consumer."""
        private = free_port()
        return self._add(self.consumers, "consumer", private, consumer_private_port=private, **settings)

    def stop(self) -> None:
        """Stop everything, gracefully if possible."""
        for each in self.apis + self.consumers:
            if each.process is not None and each.process.poll() is None:
                each.process.terminate()
        for each in self.apis + self.consumers:
            each.stop()

    def client(self, key: str | None = None, api: Process | None = None, **more: Any) -> httpx2.AsyncClient:
        """Open a client of this api, or of the first."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx2.AsyncClient(
            base_url=api.url if api else self.url, headers=headers, timeout=30, verify=NO_TLS, **more
        )

    def sql(self) -> AbstractAsyncContextManager[asyncpg.Connection[asyncpg.Record]]:
        """Open a session of the test's own on the record."""
        return sql_session(self.servers.postgres.url)

    async def count(self, query: str, *args: object) -> int:
        """Return the number that this query finds in the record."""
        async with self.sql() as record:
            return int(await record.fetchval(query, *args))

    async def finished(self, ids: Iterable[str], within_s: float = DEADLINE_S) -> dict[str, asyncpg.Record]:
        """Return the rows of these jobs once all are terminal; fail with what is left after so many seconds."""
        ids, until = list(ids), time.monotonic() + within_s
        async with self.sql() as record:
            while True:
                rows = await record.fetch("select * from jobs where id = any($1::uuid[])", ids)
                left = [dict(row) for row in rows if row["finished_at"] is None]
                if not left and len(rows) == len(set(ids)):
                    return {str(row["id"]): row for row in rows}
                assert time.monotonic() < until, f"{len(left)} of {len(ids)} unfinished, first: {left[:1]}"
                await asyncio.sleep(0.1)

    def _add(self, group: list[Process], module: str, private_port: int, **settings: object) -> Process:
        values = {f"SLUICE_{name.upper()}": str(value) for name, value in (self._settings | settings).items()}
        environment = {**clean_environment(), **urls(self.servers), **self.environment, **values}
        log = self._directory / f"{module}-{len(group)}.log"
        group.append(
            Process([*self.launcher, module], environment, private_port, log, self.root, self.python)
        )
        group[-1].start()
        return group[-1]


@contextmanager
def stack_on_empty_servers(servers: Servers, directory: Path, **settings: object) -> Iterator[Stack]:
    """Yield a stack for the block to start, and stop it afterwards. For fixtures of a module, outside any loop."""
    servers.up()
    asyncio.run(empty(servers))
    with Stack(servers, directory, **settings) as stack:
        yield stack


@contextmanager
def stack_without_rabbitmq(servers: Servers, directory: Path, **settings: object) -> Iterator[Stack]:
    """The same, on two servers."""
    servers.up(servers.postgres, servers.redis)
    asyncio.run(empty(servers))
    with Stack(servers, directory, **settings) as stack:
        stack.environment["SLUICE_RABBITMQ_URL"] = ""
        yield stack


def clean_environment() -> dict[str, str]:
    """Return this environment without settings of ours, and with compiled modules kept, which makes processes start quicker."""
    own = ("SLUICE_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


async def make_a_key(servers: Servers, tenant: str, scopes: list[str]) -> str:
    """Put a new key into the record."""
    new, text = make_new_key(urls(servers)["SLUICE_KEY_PEPPER"].encode(), tenant, frozenset(scopes))
    database = Database(servers.postgres.url, "tests", Telemetry(), size=1)
    try:
        await PostgresAccessStore(database, 5).insert_api_key(new, OPERATOR)
    finally:
        await database.close()
    return text

"""Real api and consumer processes for tests, and a client that talks to them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from api.keys.api_key import hash_secret, make_key, parse_key
from infra.local.ports import free_port
from infra.local.servers import Servers
from sluice.adapters.postgres.api_keys import PostgresKeys
from sluice.adapters.postgres.pool import Database
from sluice.core.ports import ApiKeyRecord
from sluice.core.runtime.telemetry import Telemetry
from tests.support.servers import QUICK, urls

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0
PATIENT: dict[str, object] = {"record_budget_s": 4, "accept_budget_s": 6, "redis_budget_s": 2}
"""Budgets that servers keep on a busy machine, too: no request is refused that a test did not mean to be."""


class Process:
    """One api or consumer process, started as a user would, from the tree at `root`; `module` may have arguments behind it."""

    def __init__(
        self, module: str, environment: dict[str, str], private_port: int, log: Path, root: Path = ROOT
    ) -> None:
        self.log, self.private_url = log, f"http://127.0.0.1:{private_port}"
        self._root = root
        self.url = ""
        self._command = [sys.executable, "-m", *module.split()]
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it; `ready` says when it answers."""
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
        """Wait until its private port says so."""
        async with httpx2.AsyncClient() as client:
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
        """SIGKILL, to it and its children."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()

    def signal(self, number: int) -> None:
        """Any signal, to the process alone."""
        os.kill(self.pid, number)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout=40)
        finally:
            self.kill()

    async def figures(self) -> dict[str, float]:
        """Its counters and gauges by name (those without labels)."""
        async with httpx2.AsyncClient() as client:
            text = (await client.get(f"{self.private_url}/metrics")).text
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("sluice_"))
        return {name: float(value) for name, value in rows if "{" not in name}


class Stack:
    """The whole product on real servers: api processes, consumers, a key and a client. `root` is the tree they run from.

    What is started from now on gets `environment` besides its settings, and is started by `launcher`, a module, if there is one.
    """

    def __init__(self, servers: Servers, directory: Path, **settings: object) -> None:
        self.servers = servers
        self.root = ROOT
        self._directory = directory
        self._settings = QUICK | PATIENT | settings
        self.environment: dict[str, str] = {}
        self.launcher = ""
        self.apis: list[Process] = []
        self.consumers: list[Process] = []
        self.url = ""
        self.key = ""

    async def start(self, apis: int = 1, consumers: int = 1) -> None:
        """Start so many of each, with a key that may do everything."""
        self.key = await make_a_key(self.servers, "demo", ["submit", "read", "admin"])
        for _ in range(apis):
            self.add_api()
        for _ in range(consumers):
            self.add_consumer()
        await asyncio.gather(*(each.ready() for each in self.apis + self.consumers))

    def add_api(self, **settings: object) -> Process:
        """One more api process; the client talks to the first."""
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
        """One more api process, ready, while the block runs."""
        api = self.add_api(**settings)
        try:
            await api.ready()
            yield api
        finally:
            await asyncio.to_thread(api.stop)
            self.apis.remove(api)

    def add_consumer(self, **settings: object) -> Process:
        """One more consumer."""
        private = free_port()
        return self._add(self.consumers, "consumer", private, consumer_private_port=private, **settings)

    def stop(self) -> None:
        """Stop everything, politely first."""
        for each in self.apis + self.consumers:
            if each.process is not None and each.process.poll() is None:
                each.process.terminate()
        for each in self.apis + self.consumers:
            each.stop()

    def client(self, key: str | None = None, api: Process | None = None, **more: Any) -> httpx2.AsyncClient:
        """A client of this api, or of the first."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx2.AsyncClient(base_url=api.url if api else self.url, headers=headers, timeout=30, **more)

    async def finished(self, ids: Iterable[str], within_s: float = DEADLINE_S) -> dict[str, asyncpg.Record]:
        """Rows of these jobs once all are terminal; fails with what is left after so many seconds."""
        ids, until = list(ids), time.monotonic() + within_s
        connection = await asyncpg.connect(self.servers.postgres.url)
        try:
            while True:
                rows = await connection.fetch("select * from jobs where id = any($1::uuid[])", ids)
                left = [dict(row) for row in rows if row["finished_at"] is None]
                if not left and len(rows) == len(set(ids)):
                    return {str(row["id"]): row for row in rows}
                assert time.monotonic() < until, f"{len(left)} of {len(ids)} unfinished, first: {left[:1]}"
                await asyncio.sleep(0.1)
        finally:
            await connection.close()

    def _add(self, group: list[Process], module: str, private_port: int, **settings: object) -> Process:
        values = {f"SLUICE_{name.upper()}": str(value) for name, value in (self._settings | settings).items()}
        environment = {**clean_environment(), **urls(self.servers), **self.environment, **values}
        log = self._directory / f"{module}-{len(group)}.log"
        command = f"{self.launcher} {module}"
        group.append(Process(command, environment, private_port, log, self.root))
        group[-1].start()
        return group[-1]


def clean_environment() -> dict[str, str]:
    """This environment without any setting of ours, and with compiled modules kept, by which processes start quicker."""
    own = ("SLUICE_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


async def make_a_key(servers: Servers, tenant: str, scopes: list[str]) -> str:
    """A new key in the record."""
    key = make_key()
    parts = parse_key(key.encode())
    assert parts is not None
    pepper = urls(servers)["SLUICE_KEY_PEPPER"].encode()
    database = Database(servers.postgres.url, "tests", Telemetry(), size=1)
    try:
        record = ApiKeyRecord(
            parts.key_id, tenant, frozenset(scopes), hash_secret(parts.secret, pepper), True
        )
        await PostgresKeys(database, 5).insert_api_key(record, None)
    finally:
        await database.close()
    return key

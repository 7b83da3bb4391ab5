"""Run crash points: clients work until a process reaches its point, it is brought back, and every promise is checked.

Several processes run at a time on the same servers: what one leaves behind another takes over.
"""

from __future__ import annotations

import asyncio
import signal
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import orjson

from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.pool import Database
from sluice.core.runtime.telemetry import Telemetry
from tests.fault.chaos.kinds import LEDGER, answer_to
from tests.fault.chaos.record_snapshot import HandlerRun, read_ledger
from tests.fault.chaos.told import SETTINGS as TOLD_OF
from tests.fault.chaos.told_checker import TO_CANCEL
from tests.fault.crash.orders import VARIABLE, Order
from tests.fault.crash.points import POINTS
from tests.support.leases import new_owner
from tests.support.make_jobs import new_job
from tests.support.servers import settings_for
from tests.support.stack import PATIENT, Process, Stack
from tests.support.waiting import until, until_found

KINDS = "tests.fault.chaos.kinds,tests.fault.chaos.hostile_kinds"
LAUNCHER = "tests.fault.crash"
DEADLINE_S = 60.0
END_LEASE = "update consumers set lease_until = clock_timestamp() where id = $1"
TOLD = "told"
"""The tag of jobs of which a webhook is told."""
FROZEN_S = 2.6
"""Longer than a lease of tests.support.servers.QUICK: nothing signals its end."""


class Case(NamedTuple):
    """A point, and what happens there."""

    point: str
    action: str

    def __str__(self) -> str:
        return f"{self.point}-{self.action}".replace(" ", "-")


class Promise(NamedTuple):
    """What a client was told about the job of a key."""

    id: str
    number: int
    cancelled: bool = False


class CaseRunner:
    """Runs cases with a process of its own: `process` obeys the orders in `file`, clients ask `api`."""

    numbers = count(1)

    def __init__(self, stack: Stack, process: Process, file: Path, api: Process) -> None:
        self._stack, self._process, self._file, self._api = stack, process, file, api
        self._client = stack.client(api=api)
        self.promises: dict[str, Promise] = {}

    async def run(self, case: Case) -> None:
        """Run one case. Raises if the point was not reached, or a promise was broken."""
        order = Order(case.point, case.action, serial=next(self.numbers))
        before = set(self.promises)
        order.write(self._file)
        act = CLIENT_ACTIONS[POINTS[case.point].work]
        async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
            task = group.create_task(self._until_reached(order, act))
            await self._bring_back(order)
            await task
        await self.submit()  # the product still works
        made = [promise for key, promise in self.promises.items() if key not in before]
        await self._check(made)

    async def submit(self, nap_s: float = 0.0, kind: str = "chaos.sum", **options: object) -> str:
        """Submit a job under one key until there is an answer; return its id."""
        number, key = next(self.numbers), str(uuid4())
        body = {"kind": kind, "input": {"number": number, "nap_s": nap_s}, "options": options}
        answer = await self._until_answered("/v1/jobs", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code in (200, 202), answer.text  # 200: it has already finished
        self.promises[key] = Promise(answer.json()["id"], number)
        return str(answer.json()["id"])

    async def cancel(self, job_id: str) -> None:
        """Cancel; if the answer says that the job had ended otherwise before, that is the promise."""
        answer = await self._until_answered(f"/v1/jobs/{job_id}/cancel")
        assert answer.status_code in (200, 202), answer.text
        if answer.json()["state"] not in ("succeeded", "failed"):
            key = next(key for key, promise in self.promises.items() if promise.id == job_id)
            self.promises[key] = self.promises[key]._replace(cancelled=True)

    async def cancel_in_bulk(self) -> None:
        """Submit a job for later, and cancel it by a bulk act."""
        job_id = await self.submit(delay_s=3_600, tags=[TO_CANCEL])
        body = {"act": "cancel", "filter": {"tag": TO_CANCEL}, "dry_run": False, "rate": 1_000}
        answer = await self._until_answered("/v1/bulk", json=body, headers={"Idempotency-Key": str(uuid4())})
        assert answer.status_code == 202, answer.text
        key = next(key for key, promise in self.promises.items() if promise.id == job_id)
        self.promises[key] = self.promises[key]._replace(cancelled=True)
        await self.until_finished([job_id])

    async def orphan(self) -> None:
        """Make a job whose consumer is gone: it was claimed, and that lease is over."""
        number, key = next(self.numbers), str(uuid4())
        new = new_job(
            tenant="demo",
            kind="chaos.sum",
            input=orjson.dumps({"number": number}),
            key=key,
            request_hash=b"-",
        )
        database = Database(self._stack.servers.postgres.url, "tests", Telemetry(), size=1)
        try:
            async with self._stack.sql() as sql:
                owner = await new_owner(sql)
                gone = PostgresJobStore(database, owner, settings_for(self._stack.servers, **PATIENT))
                await gone.accept([new])
                await gone.claim([new.id], {"chaos.sum": 1})
                # Only now: keepers look once for the jobs of a lease that is over.
                await sql.execute(END_LEASE, owner.id)
        finally:
            await database.close()
        self.promises[key] = Promise(new.id, number)

    async def until_finished(self, ids: Iterable[str]) -> None:
        """Wait until these jobs have ended."""
        await self._stack.finished(ids)

    async def state(self, job_id: str) -> str:
        """Return the state of the job in the record."""
        async with self._stack.sql() as sql:
            return str(await sql.fetchval("select state from jobs where id = $1", job_id))

    async def recover(self) -> None:
        """Replace the process by a new one, after a case that went wrong."""
        self._file.unlink(missing_ok=True)
        self._process.kill()
        self._process.start()
        await self._process.ready()

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def _until_answered(self, path: str, **request: Any) -> httpx2.Response:
        while True:
            try:
                answer = await self._client.post(path, timeout=DEADLINE_S, **request)
                if answer.status_code < 500:
                    return answer
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.05)

    async def _until_reached(self, order: Order, act: Callable[[CaseRunner], Awaitable[None]]) -> None:
        while not order.mark(self._file).exists():
            await act(self)
            await asyncio.sleep(0.02)

    async def _bring_back(self, order: Order) -> None:
        """Wait until the order has visibly been carried out, then restart or continue the process."""
        process = self._process.process
        assert process is not None
        await until(order.mark(self._file).exists)
        if order.action == "kill":
            await until(lambda: process.poll() is not None)
            assert process.returncode == -signal.SIGKILL
            self._process.kill()
            self._process.start()
            await self._process.ready()
        elif order.action == "stop":
            await until(lambda: state_of(self._process.pid) == "T")
            await asyncio.sleep(FROZEN_S)
            self._process.signal(signal.SIGCONT)
        assert self._process.process is not None
        assert self._process.process.poll() is None, "it died of it"

    async def _check(self, made: list[Promise]) -> None:
        """Check that every promise was kept, and that the client sees it."""
        rows = await self._stack.finished(promise.id for promise in made)
        for promise in made:
            row = rows[promise.id]
            wanted = "cancelled" if promise.cancelled else "succeeded"
            assert row["state"] == wanted, dict(row)
            shown = (await self._client.get(f"/v1/jobs/{promise.id}")).json()
            assert shown["state"] == wanted, shown
            if wanted == "succeeded":
                result = {"answer": answer_to(promise.number), "fence": row["fence"]}
                assert orjson.loads(row["result"]) == result
                assert shown["result"] == result


async def _plain(runner: CaseRunner) -> None:
    await runner.submit()


async def _naps(runner: CaseRunner) -> None:
    await asyncio.gather(runner.submit(nap_s=0.6), runner.submit(nap_s=0.6))


async def _exits(runner: CaseRunner) -> None:
    """End a host with others' work in it, and wait for that: hosts that start cost more than jobs."""
    naps = (runner.submit(nap_s=0.3) for _ in range(3))
    await runner.until_finished(await asyncio.gather(runner.submit(kind="hostile.exit"), *naps))


async def _delayed(runner: CaseRunner) -> None:
    await runner.submit(delay_s=0.05)


async def _shaky(runner: CaseRunner) -> None:
    await runner.submit(kind="chaos.shaky")


async def _orphans(runner: CaseRunner) -> None:
    await runner.orphan()
    await asyncio.sleep(0.1)


async def _cancels(runner: CaseRunner) -> None:
    await runner.cancel(await runner.submit(nap_s=0.5))


async def _cancels_late(runner: CaseRunner) -> None:
    job_id = await runner.submit(nap_s=3)

    async def runs() -> bool:
        return await runner.state(job_id) == "running"

    await until_found(runs)
    await runner.cancel(job_id)


async def _told(runner: CaseRunner) -> None:
    await runner.submit(tags=[TOLD])
    await asyncio.sleep(0.1)


async def _bulk(runner: CaseRunner) -> None:
    await runner.cancel_in_bulk()


CLIENT_ACTIONS: Mapping[str, Callable[[CaseRunner], Awaitable[None]]] = {
    "plain": _plain,
    "naps": _naps,
    "exits": _exits,
    "delayed": _delayed,
    "shaky": _shaky,
    "orphans": _orphans,
    "cancels": _cancels,
    "cancels late": _cancels_late,
    "told": _told,
    "bulk": _bulk,
}
"""What clients do, by name, again and again until the point is reached."""


class CrashStack:
    """Processes that obey orders, on a stack of their own."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self.stack, self._directory = stack, directory
        self.ledger = directory / "ledger"
        stack.environment[LEDGER] = str(self.ledger)
        stack._settings |= {"handlers": KINDS} | TOLD_OF
        self.runners: list[tuple[str, CaseRunner]] = []

    async def open(self, apis: int, consumers: int) -> None:
        """Start one api without orders, and so many of each that obey."""
        await self.stack.start(consumers=0)
        plain_api = self.stack.apis[0]
        for number in range(apis):
            with self._orders_for(f"api-{number}") as file:
                api = self.stack.add_api()
            self.runners.append(("api", CaseRunner(self.stack, api, file, api)))
        for number in range(consumers):
            with self._orders_for(f"consumer-{number}") as file:
                consumer = self.stack.add_consumer()
            self.runners.append(("consumer", CaseRunner(self.stack, consumer, file, plain_api)))
        await asyncio.gather(*(each.ready() for each in self.stack.apis + self.stack.consumers))

    async def run(self, cases: list[Case]) -> dict[Case, str]:
        """Run the cases; return what went wrong in each, empty if nothing did."""
        left = {
            role: [case for case in cases if POINTS[case.point].role == role] for role in ("api", "consumer")
        }
        outcomes: dict[Case, str] = {}
        await asyncio.gather(
            *(self._run_cases(runner, left[role], outcomes) for role, runner in self.runners)
        )
        return outcomes

    @property
    def promises(self) -> dict[str, Promise]:
        """Return every key, and what its client was told."""
        return {key: promise for _, runner in self.runners for key, promise in runner.promises.items()}

    def handler_runs(self) -> list[HandlerRun]:
        """Return every run of a handler."""
        return read_ledger(self.ledger)

    async def _run_cases(self, runner: CaseRunner, left: list[Case], outcomes: dict[Case, str]) -> None:
        while left:
            case = left.pop(0)
            began = time.monotonic()
            try:
                await runner.run(case)
                outcomes[case] = ""
            except Exception as error:  # noqa: BLE001  it is told of the case, and the others go on
                outcomes[case] = "".join(traceback.format_exception(error))
                await runner.recover()
            print(f"{case} {time.monotonic() - began:.1f} s {outcomes[case]}")  # noqa: T201  shown when the test fails
        await runner.close()

    @contextmanager
    def _orders_for(self, name: str) -> Iterator[Path]:
        """Let what is started within the block obey the orders in this file."""
        file = self._directory / f"{name}.order"
        self.stack.launcher, self.stack.environment[VARIABLE] = ("-m", LAUNCHER), str(file)
        yield file
        self.stack.launcher = ("-m",)
        del self.stack.environment[VARIABLE]


def state_of(pid: int) -> str:
    """Return the state of a process as the kernel has it: R, S, T, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

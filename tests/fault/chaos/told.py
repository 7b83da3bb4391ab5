"""A tenant that is told of its jobs, by a webhook and by events, and cancels many by a bulk act, while everything breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any

import httpx2
import orjson

from tests.fault.chaos.client_log import ClientLog, RequestedJob
from tests.fault.chaos.client_requests import ClientRequests
from tests.fault.chaos.fault_injector import InjectedFault
from tests.fault.chaos.http_client import LoadBalancer, NoAnswer, NotSent
from tests.fault.chaos.told_checker import TO_CANCEL, Told, ToldRow, judge_told
from tests.fault.chaos.told_subscriber import ToldSubscriber, subscribed
from tests.support.servers import sql_session
from tests.support.webhook_receiver import WebhookReceiver, webhook_receiver

TENANT = "told"
SETTINGS: dict[str, object] = {"events": "kept", "webhook_allow": "127.0.0.0/8"}
FIRST = 10_000_000
"""The numbers of its jobs, which are nobody else's."""
EVERY_S = 0.5
JOBS, AT_ONCE, CANARY = 200, 8, 20
AN_HOUR = 3_600
NUDGE_S = 3.0
LOSES_QUEUES = frozenset({"rabbitmq-wipe", "wipe-and-flush"})

_ROWS = """
    select id::text, state, version, tags, extract(epoch from finished_at)::float8 from jobs where tenant = $1"""
_LEFT = """
    select (select count(*) from endings) + (select count(*) from webhook_deliveries where due is not null)
         + (select count(*) from bulk_acts where finished_at is null)"""
_NUDGE = """
    with awake as (update webhook_endpoints set rests_until = null)
    update webhook_deliveries set due = now(), taken_until = null where due > now()"""
"""What a process that died was sending comes again in 45 s, and what has failed twice in five minutes: at the end it comes now."""


class ToldTenant:
    """Submits jobs until told to stop; begins the bulk act as soon as its jobs are there, and sees to it that it goes on."""

    def __init__(
        self,
        url: str,
        balancer: LoadBalancer,
        key: str,
        log: ClientLog,
        receiver: WebhookReceiver,
        subscriber: ToldSubscriber,
    ) -> None:
        self._url, self._balancer, self._log = url, balancer, log
        self._receiver, self._subscriber = receiver, subscriber
        self._headers = {"authorization": f"Bearer {key}"}
        self._requests = ClientRequests(balancer, {TENANT: key}, log)
        self._next, self._secret, self._act = FIRST, "", dict[str, Any]()

    async def register(self, api_url: str) -> None:
        """Register the webhook, and wait until endings are kept for events; while everything is well."""
        async with httpx2.AsyncClient(base_url=api_url, headers=self._headers, verify=False) as client:
            made = await client.post("/v1/webhooks", json={"url": self._receiver.url})
        assert made.status_code == 201, made.text
        self._secret = made.json()["secret"]
        async with sql_session(self._url) as sql:
            while not await sql.fetchval("select count(*) from listeners"):  # noqa: ASYNC110  no event of this loop can be set there
                await asyncio.sleep(0.1)

    async def run(self, stop: asyncio.Event, seconds: float, quiesce_s: float) -> None:
        """Do all this. Returns once told to stop, and the act has ended or the time for it is over."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._submit_on(stop), name="told")
            act = group.create_task(self._cancel_many(seconds), name="bulk act")
            await stop.wait()
            await asyncio.wait({act}, timeout=quiesce_s)
            act.cancel()  # if it has not ended, the verdict says so

    async def judge(self, faults: Sequence[InjectedFault], within_s: float) -> dict[str, int]:
        """Compare, once all was told or the time for it is over; violations go to the log. Returns what was counted."""
        await until_told(self._url, within_s)
        async with sql_session(self._url) as sql:
            rows = [ToldRow(*row) for row in await sql.fetch(_ROWS, TENANT)]
        lost = [each for each in faults if each.fault.kind in LOSES_QUEUES]
        gaps = [self._subscriber.gap(each.began, each.ended) for each in lost]
        told = Told(rows, self._receiver.received, self._subscriber.heard, self._act, self._secret, gaps)
        return judge_told(told, self._log.violations)

    async def _submit_on(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._submit({}, once=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY_S)

    async def _cancel_many(self, seconds: float) -> None:
        """Submit jobs for later, and cancel them one after the other for about half of the time."""
        await asyncio.gather(*(self._submit_some(JOBS // AT_ONCE) for _ in range(AT_ONCE)))
        asked = {
            "act": "cancel",
            "filter": {"tag": TO_CANCEL},
            "dry_run": False,
            "canary": CANARY,
            "rate": 2 * JOBS / seconds,
        }
        self._act = await self._until_answered("POST", "/v1/bulk", asked, {"idempotency-key": "act"})
        url = self._act["links"]["self"]
        while self._act["state"] != "finished":
            if self._act["state"] == "waiting":
                await self._ask("POST", f"{url}/go")
            await asyncio.sleep(EVERY_S)
            self._act = await self._until_answered("GET", url)

    async def _submit_some(self, count: int) -> None:
        for _ in range(count):
            job = await self._submit({"delay_s": AN_HOUR, "tags": [TO_CANCEL]})
            job.cancel_requested = True

    async def _submit(self, options: Mapping[str, Any], once: bool = False) -> RequestedJob:
        """Submit a job: under a key until there is an answer, or `once`."""
        self._next += 1
        key = f"told-{self._next}"
        job = self._log.add_job(self._next, "chaos.sum", TENANT, key=None if once else key)
        headers = {} if once else {"idempotency-key": key}
        while True:
            try:
                if await self._requests.submit(job, options=options, headers=headers) or once:
                    return job
            except NotSent:
                self._log.not_sent += 1
                if once:
                    return job
            await asyncio.sleep(EVERY_S)

    async def _until_answered(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, more: Mapping[str, str] | None = None
    ) -> dict[str, Any]:  # fmt: skip
        while (answer := await self._ask(method, path, body, more)) is None:  # noqa: ASYNC110  a client asks again
            await asyncio.sleep(EVERY_S)
        return answer

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, more: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:  # fmt: skip
        """Ask once; None: it did not succeed."""
        sent = orjson.dumps(body) if body is not None else b""
        try:
            answer = await self._balancer.ask(method, path, sent, {**self._headers, **(more or {})})
        except (NotSent, NoAnswer):
            return None
        return answer.json if answer.status in (200, 202) else None


async def until_told(record: str, within_s: float) -> None:
    """Wait until the record at this URL has nothing left to tell, or the time for it is over."""
    until = monotonic() + within_s
    async with sql_session(record) as sql:
        while await sql.fetchval(_LEFT) and monotonic() < until:
            await asyncio.sleep(NUDGE_S)
            await sql.execute(_NUDGE)
    await asyncio.sleep(1)  # what RabbitMQ has confirmed is on its way


@asynccontextmanager
async def told_tenant(
    urls: tuple[str, str, str], balancer: LoadBalancer, key: str, log: ClientLog
) -> AsyncIterator[ToldTenant]:
    """Open the tenant for the block; `urls` are those of the record, of RabbitMQ and of an api."""
    record, rabbitmq, api = urls
    async with webhook_receiver() as receiver, subscribed(rabbitmq, TENANT) as subscriber:
        tenant = ToldTenant(record, balancer, key, log, receiver, subscriber)
        await tenant.register(api)
        yield tenant

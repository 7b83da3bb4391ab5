"""Tell webhooks of jobs that have ended: make deliveries of endings, and send what is due."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from random import uniform
from secrets import token_urlsafe
from time import monotonic, time

from consumer.failure_report import report_unforeseen
from consumer.keeper.prune_again import prune_again
from sluice.core.ending import WEBHOOKS
from sluice.core.errors import TRANSIENT
from sluice.core.peppers import Peppers
from sluice.core.ports import EndingStore, WebhookSender, WebhookStore
from sluice.core.runtime.tasks import cancel_and_wait
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.webhook import (
    CHALLENGE,
    VERIFICATION_TRIES,
    VERIFY,
    Answer,
    DueDelivery,
    make_secret,
    pause_s,
    sign,
    write_body,
)

TOLD_AT_ONCE = 500
TOLD_AGAIN = 20
"""How often at one turn: more can be told than jobs end."""
SENDING = 64
"""Deliveries that one consumer sends at once."""
LEASE_S = 45.0
"""Seconds for which a delivery is this process's: longer than any try takes."""
MORE_S = 0.2
"""Seconds after which a turn looks for more while something is on its way."""
KEEP_S = 7 * 24 * 3_600.0
"""Seconds for which deliveries are kept; the statement that looks for the keeper says the same."""
GIVEN_UP = 1_000
"""Deliveries to endpoints that are gone, given up at once."""
GIVE_UP_S = 2.0
"""Seconds after which a turn that goes on gives up more: while one endpoint is slow, a turn may have no end."""


class TellWebhooks:
    """Makes a delivery of each ending for each endpoint that asks for it."""

    def __init__(self, endings: EndingStore) -> None:
        self._endings = endings

    async def once(self) -> int:
        """Tell what there is; returns how many deliveries that made."""
        made = 0
        for _ in range(TOLD_AGAIN):
            found = await self._endings.next_endings(WEBHOOKS, TOLD_AT_ONCE)
            if found:
                made += await self._endings.tell_webhooks(
                    {each.number: write_body(each.job) for each in found}
                )
            if len(found) < TOLD_AT_ONCE:
                break
        return made


class SendWebhooks:
    """Sends what is due, at least once: a try of a process that dies is made again by another, with the same id."""

    def __init__(
        self, store: WebhookStore, sender: WebhookSender, peppers: Peppers, telemetry: Telemetry
    ) -> None:
        self._store, self._sender = store, sender
        self._peppers, self._telemetry = peppers, telemetry

    async def once(self) -> int:
        """Send until nothing is due; returns how many tries that were."""
        under_way: set[asyncio.Task[None]] = set()
        sent, give_up_at = 0, monotonic()
        try:
            while True:
                if monotonic() >= give_up_at:
                    await self._give_up()
                    give_up_at = monotonic() + GIVE_UP_S
                taken = await self._take(SENDING - len(under_way))
                sent += len(taken)
                under_way |= {asyncio.create_task(self._send(each), name="webhook") for each in taken}
                if not under_way:
                    break
                _, under_way = await asyncio.wait(
                    under_way, timeout=MORE_S, return_when=asyncio.FIRST_COMPLETED
                )
        except TRANSIENT:  # what is on its way may arrive, and can be written down once the record is back
            if under_way:
                await asyncio.wait(under_way)
            raise
        finally:
            await cancel_and_wait(under_way)
        await self._give_up()
        return sent

    async def prune(self) -> int:
        """Delete what was delivered or given up long ago."""
        return await prune_again(partial(self._store.prune_deliveries, KEEP_S))

    async def _give_up(self) -> None:
        await prune_again(self._store.give_up, GIVEN_UP)

    async def _take(self, most: int) -> Sequence[DueDelivery]:
        return await self._store.take_due(most, LEASE_S) if most else ()

    async def _send(self, delivery: DueDelivery) -> None:
        """Try once, and write what came of it. If that cannot be written, it is tried again once this process's time is over."""
        try:
            await self._try(delivery)
        except Exception as error:  # noqa: BLE001  whatever it is, it is due again
            if not isinstance(error, TRANSIENT):
                report_unforeseen(self._telemetry, "webhook", error)

    async def _try(self, delivery: DueDelivery) -> None:
        answer = await self._post(delivery)
        jitter = uniform(0.8, 1.2)  # noqa: S311  no secret
        pause = (
            pause_s(delivery.tries, answer.retry_after_s, jitter, VERIFICATION_TRIES)
            if delivery.event == VERIFY
            else pause_s(delivery.tries, answer.retry_after_s, jitter)
        )
        disabled = await self._store.mark(delivery, answer, pause)
        if answer.delivered:
            self._telemetry.emit(Event.WEBHOOK_DELIVERED)
        else:
            self._telemetry.emit(
                Event.WEBHOOK_FAILED, endpoint=delivery.endpoint, tries=delivery.tries, why=answer.outcome
            )
        if disabled:
            self._telemetry.emit(Event.WEBHOOK_DISABLED, endpoint=delivery.endpoint, why=disabled)

    async def _post(self, delivery: DueDelivery) -> Answer:
        """Post it, signed. A verification has a challenge that is new for each try, and is taken if that comes back."""
        newest = delivery.generation
        generations = [newest, newest - 1] if delivery.two_secrets and newest > 1 else [newest]
        peppers = self._peppers.all
        secrets = [make_secret(pepper, delivery.endpoint, each) for each in generations for pepper in peppers]
        headers = sign(secrets, delivery.id, int(time()), delivery.body)
        if delivery.event != VERIFY:
            return await self._sender.post(delivery.url, headers, delivery.body)
        challenge = token_urlsafe(32)
        answer = await self._sender.post(delivery.url, headers | {CHALLENGE: challenge}, delivery.body)
        return answer.judge_challenge(challenge)

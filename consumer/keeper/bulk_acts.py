"""Carry bulk acts on: look for the next jobs, change them and move the act in one statement, announce what was changed."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from consumer.keeper.prune_again import prune_again
from consumer.keeper.room_for_retries import RoomForRetries
from sluice.core.announcement import announce
from sluice.core.bulk import BulkAct
from sluice.core.errors import TRANSIENT, ServerAway
from sluice.core.job import JobState
from sluice.core.outbox_publisher import OutboxPublisher
from sluice.core.ports import BulkStepStore, DocumentCache, Matching
from sluice.core.runtime.ids import new_job_id
from sluice.core.runtime.telemetry import Event, Telemetry

ACTS_AT_ONCE = 20
"""Acts that a keeper takes: those of a hundred tenants take turns."""
OFF_S = 5.0
"""Seconds after which a step is tried again that has failed."""
PRUNED = 200


class CarryOnBulkActs:
    """Carries on the acts that are due, until none is due within a second. Nothing is done twice, whoever else is at it."""

    def __init__(
        self,
        store: BulkStepStore,
        cache: DocumentCache,
        publisher: OutboxPublisher,
        telemetry: Telemetry,
        keeper: str,
        room: RoomForRetries,
    ) -> None:
        self._room = room
        self._store, self._cache, self._publisher = store, cache, publisher
        self._telemetry, self._keeper = telemetry, keeper

    async def once(self) -> None:
        """Take the steps that are due, one after the other, the longest due first."""
        while acts := await self._store.take_due_acts(self._keeper, ACTS_AT_ONCE):
            acts.sort(key=lambda act: act.due_in_s or 0.0)
            await asyncio.sleep(max(0.0, acts[0].due_in_s or 0.0))
            for act in acts:
                if (act.due_in_s or 0.0) <= max(0.0, acts[0].due_in_s or 0.0):
                    await self._try_step(act)

    async def prune(self) -> int:
        """Delete acts after their retention time."""
        return await prune_again(self._store.prune_acts, PRUNED)

    async def _try_step(self, act: BulkAct) -> None:
        """Take a step. One that fails holds up no other act: it is tried again later."""
        try:
            await self._step(act)
        except Exception as error:  # noqa: BLE001  whatever it is, it is tried again
            if not isinstance(error, TRANSIENT):
                self._telemetry.emit(Event.DUTY_FAILED, duty="bulk", act=act.id, why=repr(error))
            await self._store.put_off_act(act.id, OFF_S)

    async def _step(self, act: BulkAct) -> None:
        if act.state == "watching":
            return await self._judge(act)
        found = await self._store.find_matching(act, act.at_once)
        if act.state == "counting":
            return await self._store.count_on(act, found)
        if act.act == "retry" and (full := await self._room.find(act.tenant, found.ids)):
            return await self._store.put_off_act(act.id, full.wait_s, full.reason)
        change = {"cancel": self._cancel, "retry": self._retry, "delete": self._delete}[act.act]
        changed = await change(act, found)
        self._telemetry.emit(Event.BULK_CHANGED, changed, act=act.id)
        return None

    async def _judge(self, act: BulkAct) -> None:
        if await self._store.judge_act(act) == "stopped":
            self._telemetry.emit(Event.BULK_STOPPED, act=act.id)

    async def _cancel(self, act: BulkAct, found: Matching) -> int:
        changed = await self._store.cancel_batch(act, found)
        finished = await announce(self._cache, self._telemetry, changed)
        self._telemetry.emit(Event.CANCELLED, len(finished))
        running = [job.id for job in changed if job.state == JobState.RUNNING]
        await asyncio.gather(*map(self._cache.ask_stop, running))
        return len(changed)

    async def _retry(self, act: BulkAct, found: Matching) -> int:
        messages = await self._store.retry_batch(act, found, {each: new_job_id() for each in found.ids})
        self._publisher.send(messages)
        made = sum(len(message.ids) for message in messages)
        self._telemetry.emit(Event.ACCEPTED, made)
        return made

    async def _delete(self, act: BulkAct, found: Matching) -> int:
        """Delete jobs after all copies of them, and what was copied meanwhile. While copies cannot be reached, nothing is deleted."""
        await self._cache.forget(*found.ids)
        gone = await self._store.delete_batch(act, found)
        with suppress(ServerAway):  # then they end with their time to live
            await self._cache.forget(*gone)
        return len(gone)

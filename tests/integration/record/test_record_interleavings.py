"""Every order of what two consumers, a rescue and a cancel can do to a job: 16,807 jobs, each with an order of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

import pytest

from sluice.adapters.postgres.lease_store import PostgresLeaseStore, Serves
from sluice.adapters.postgres.statements import load_queries
from sluice.core.job import Claim
from sluice.core.lifecycle import Transition, released, succeeded
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import new_jobs

STEPS = 5
CHUNK = 500


@dataclass
class Model:
    """What a job must be: written down from the promises, with no SQL in mind."""

    id: str
    order: tuple[str, ...]
    state: str = "queued"
    fence: int = 0
    attempt: int = 0
    version: int = 1
    crashes: int = 0
    solo_crashes: int = 0
    cancelling: bool = False
    held: dict[str, int] = field(default_factory=dict)
    """The fence that each consumer believes to hold."""

    @property
    def seen(self) -> tuple[object, ...]:
        """What the record shows of it."""
        counts = (self.fence, self.attempt, self.version, self.crashes, self.solo_crashes)
        return self.state, *counts, self.cancelling

    def claim(self, consumer: str) -> bool:
        if self.state != "queued":
            return False
        self._become("running")
        self.fence += 1
        self.attempt += 1
        self.held[consumer] = self.fence
        return True

    def holds(self, consumer: str) -> bool:
        return self.state == "running" and self.held.get(consumer) == self.fence

    def end(self, consumer: str, state: str) -> bool:
        if not self.holds(consumer):
            return False
        self.attempt -= state == "queued"
        self._become("cancelled" if self.cancelling else state)
        return True

    def beat(self, consumer: str) -> bool:
        self.version += self.holds(consumer)
        return self.holds(consumer)

    def rescue(self) -> bool:
        if self.state != "running":
            return False
        self.crashes += 1
        self.attempt -= 1
        self._become("cancelled" if self.cancelling else "queued")
        return True

    def cancel(self) -> None:
        if self.state == "queued":
            self.cancelling = True
            self._become("cancelled")
        elif self.state == "running" and not self.cancelling:
            self.cancelling = True
            self.version += 1

    def _become(self, state: str) -> None:
        self.state = state
        self.version += 1


class SimulatedSystem:
    """Two consumers and the record between them; each method does one thing to many jobs, and to their models."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.owners = {"a": record.another(), "b": record.another()}
        self.lease = PostgresLeaseStore(record.sql, self.owners["a"], Serves(["default"], KINDS), 3_600)
        self.stores = {name: record.other(owner) for name, owner in self.owners.items()}

    async def claim(self, consumer: str, models: Sequence[Model]) -> None:
        found = {job.id: job.fence for job in await self.stores[consumer].claim(ids(models), KINDS)}
        won = [model for model in models if model.claim(consumer)]
        assert found == {model.id: model.fence for model in won}

    async def settle(self, consumer: str, models: Sequence[Model]) -> None:
        ending: Callable[..., Transition] = released if consumer == "b" else lambda job: succeeded(job, b"{}")
        endings = [
            ending(Claim(model.id, model.held[consumer], self.owners[consumer].id))
            for model in models
            if consumer in model.held
        ]
        found = (
            {each.id: each.state for each in await self.stores[consumer].settle(endings)} if endings else {}
        )
        taken = [
            model for model in models if model.end(consumer, "queued" if consumer == "b" else "succeeded")
        ]
        assert found == {model.id: model.state for model in taken}

    async def beat(self, models: Sequence[Model]) -> None:
        held = [
            Claim(model.id, model.held["a"], self.owners["a"].id) for model in models if "a" in model.held
        ]
        found = await self.lease.store_progress(dict.fromkeys(held, b"{}")) if held else {}
        cancels = {claim.id for claim in await self.lease.find_cancels(held)}
        kept = [model for model in models if model.beat("a")]
        assert found == {model.id: model.version for model in kept}
        assert cancels & found.keys() == {model.id for model in kept if model.cancelling}

    async def rescue(self, models: Sequence[Model]) -> None:
        await self.record.expire(*ids(models))
        found = {job.id: job.state for job in await self.record.rescue()}
        assert found == {model.id: model.state for model in models if model.rescue()}

    async def cancel(self, models: Sequence[Model]) -> None:
        await self.record.sql.executemany(
            load_queries()["cancel"], [("acme", [each]) for each in ids(models)]
        )
        for model in models:
            model.cancel()

    async def compare(self, models: Sequence[Model]) -> None:
        """The record shows of every job what its model shows."""
        rows = await self.record.sql.fetch(
            "select id::text, state, fence, attempt, version, crash_count, solo_crashes, cancel_requested_at is not null from jobs"
        )
        shown = {row[0]: tuple(row)[1:] for row in rows}
        wrong = [
            (model.order, model.seen, shown[model.id]) for model in models if shown[model.id] != model.seen
        ]
        assert wrong == []

    @property
    def actions(self) -> dict[str, Callable[[Sequence[Model]], Awaitable[None]]]:
        """Everything that can happen to a job."""
        return {
            "a claims": lambda models: self.claim("a", models),
            "b claims": lambda models: self.claim("b", models),
            "a succeeds": lambda models: self.settle("a", models),
            "b gives back": lambda models: self.settle("b", models),
            "a beats": self.beat,
            "its lease runs out": self.rescue,
            "it is cancelled": self.cancel,
        }


def ids(models: Sequence[Model]) -> list[str]:
    return [model.id for model in models]


@pytest.fixture
def world(record: Record) -> SimulatedSystem:
    return SimulatedSystem(record)


@pytest.mark.timeout(600)
async def test_in_every_order_each_job_is_what_was_promised(world: SimulatedSystem) -> None:
    actions = world.actions
    jobs = new_jobs(len(actions) ** STEPS)
    models = [Model(job.id, order) for job, order in zip(jobs, product(actions, repeat=STEPS), strict=True)]
    for start in range(0, len(jobs), CHUNK):
        await world.record.accepted(*jobs[start : start + CHUNK])
    for step in range(STEPS):
        for name, act in actions.items():
            concerned = [model for model in models if model.order[step] == name]
            for start in range(0, len(concerned), CHUNK):
                await act(concerned[start : start + CHUNK])
        await world.compare(models)
    assert {model.state for model in models} == {"queued", "running", "succeeded", "cancelled"}

"""Bulk acts that retry wait while there is no room for their jobs, and say why; other acts go on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from consumer.keeper.bulk_acts import CarryOnBulkActs
from consumer.keeper.room_for_retries import NoRoom, RoomForRetries
from sluice.core.bulk import BulkAct
from sluice.core.errors import BacklogFull, WholeBacklogFull
from sluice.core.listing import Filter
from sluice.core.ports import Matching
from sluice.core.runtime.telemetry import Telemetry
from sluice.core.storage_cap import StorageCap
from sluice.errors import SluiceError
from tests.support.fake_storage_store import FakeStorageStore

AT = datetime(2026, 11, 28, tzinfo=UTC)
ACT = BulkAct("an-act", "acme", "retry", Filter(), 0, 100.0, 0.0, "running", None, 3, "f" * 8, None, 0, None, AT, None, 0.0)  # fmt: skip


class Steps:
    """A record with one job that an act would change, in a lane."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self.put_off: list[tuple[str, float, str | None]] = []

    async def find_matching(self, *_: object) -> Matching:
        return Matching(["a-job"], None)

    async def list_lanes(self, _: object) -> list[str]:
        return ["heavy"]

    async def retry_batch(self, *_: object) -> list[Any]:
        self.changed.append("retry")
        return []

    async def cancel_batch(self, *_: object) -> list[Any]:
        self.changed.append("cancel")
        return []

    async def ask_stop(self, _: object) -> None:
        """Nothing runs."""

    def send(self, _: object) -> None:
        """Nothing was made."""

    async def put_off_act(self, act_id: str, seconds: float, reason: str | None = None) -> None:
        self.put_off.append((act_id, seconds, reason))


class Check:
    """Raises what it is told to, and remembers what it was asked."""

    def __init__(self, error: SluiceError | None = None) -> None:
        self.error, self.asked = error, list[tuple[str, str, bool]]()

    def __call__(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.error:
            raise self.error


def carried(steps: Steps, check: Any, storage_cap: StorageCap | None = None) -> CarryOnBulkActs:
    store: Any = steps
    cap = storage_cap or StorageCap(FakeStorageStore(), 0)
    room = RoomForRetries(store, check, cap)
    return CarryOnBulkActs(store, store, store, Telemetry(), "keeper", room)


@pytest.mark.parametrize(
    ("error", "reason"), [(BacklogFull(7), "tenant-backlog-full"), (WholeBacklogFull(9), "backlog-full")]
)
async def test_a_retry_without_room_changes_nothing_and_looks_again(error: Any, reason: str) -> None:
    steps, check = Steps(), Check(error)
    await carried(steps, check)._step(ACT)
    assert steps.changed == []
    assert steps.put_off == [("an-act", error.retry_after_s, reason)]
    assert check.asked == [("acme", "heavy", True)]


async def test_other_acts_are_not_judged_and_a_retry_with_room_goes_on() -> None:
    steps, check = Steps(), Check(BacklogFull(7))
    duty = carried(steps, check)
    await duty._step(ACT._replace(act="cancel"))
    check.error = None
    await duty._step(ACT)
    assert (steps.changed, steps.put_off) == (["cancel", "retry"], [])


async def test_a_tenant_that_keeps_too_much_waits_and_what_is_kept_is_read_once_a_second() -> None:
    now, stored = [0.0], FakeStorageStore()
    stored.stored["acme"] = 950
    cap = StorageCap(stored, 1_000)
    store: Any = Steps()
    room = RoomForRetries(store, lambda tenant, _, bulk: cap.check(tenant, bulk), cap, lambda: now[0])
    assert await room.find("acme", ["a-job"]) == NoRoom("tenant-storage-full", 30.0)
    stored.stored.clear()
    assert await room.find("acme", ["a-job"])
    now[0] += 1
    assert await room.find("acme", ["a-job"]) is None

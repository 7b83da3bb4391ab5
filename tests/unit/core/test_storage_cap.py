"""How much may be kept for one tenant."""

from __future__ import annotations

import asyncio

import pytest

from sluice.core.errors import ServerAway, StorageFull
from sluice.core.runtime.tasks import cancel_and_wait
from sluice.core.storage_cap import JOBS, MIB, MOST_TENANTS, StorageCap
from tests.support.waiting import until


class Store:
    """A record that was added up."""

    def __init__(self) -> None:
        self.tenants: dict[str, int] = {}
        self.asked: list[tuple[int, ...]] = []
        self.away = False

    async def add_up(self, jobs: int, turn_s: float, walk_s: float) -> bool:
        if self.away:
            raise ServerAway("postgresql")
        self.asked.append((jobs,))
        return True

    async def list_large(self, size: int, limit: int) -> dict[str, int]:
        self.asked.append((size, limit))
        return {tenant: kept for tenant, kept in self.tenants.items() if kept >= size}


class Scene:
    """A cap of ten MiB over such a record."""

    def __init__(self) -> None:
        self.store = Store()
        self.cap = StorageCap(self.store, 10 * MIB)

    async def refused(self, kept: int, bulk: bool = False) -> bool:
        """Say whether a tenant that keeps so much is refused."""
        self.store.tenants = {"acme": kept}
        await self.cap.once()
        try:
            self.cap.check("acme", bulk)
        except StorageFull:
            return True
        return False


@pytest.mark.parametrize(
    ("kept", "single", "bulk"),
    [
        (0, False, False),
        (9 * MIB - 1, False, False),
        (9 * MIB, False, True),
        (10 * MIB - 1, False, True),
        (10 * MIB, True, True),
        (2**60, True, True),
    ],
)
async def test_a_tenant_is_refused_from_its_cap_on_and_its_batches_before(
    kept: int, single: bool, bulk: bool
) -> None:
    scene = Scene()
    assert await scene.refused(kept) is single
    assert await scene.refused(kept, bulk=True) is bulk
    assert scene.store.asked[:2] == [(JOBS,), (9 * MIB, MOST_TENANTS)]


async def test_others_are_taken_and_it_is_again_once_it_keeps_less() -> None:
    scene = Scene()
    assert await scene.refused(10 * MIB)
    scene.cap.check("other")
    assert not await scene.refused(10 * MIB - 1)


async def test_a_refusal_says_how_much_is_kept_of_how_much() -> None:
    scene = Scene()
    assert await scene.refused(12 * MIB)
    with pytest.raises(StorageFull, match="keeps 12 MiB of inputs and results, of 10 that"):
        scene.cap.check("acme")
    assert (scene.cap.full(), scene.cap.describe()) == (1, "tenants with 10 MiB or more: 1")
    assert StorageCap(Store(), 0).describe() == "no limit"


async def test_what_was_known_stays_while_the_record_is_away() -> None:
    scene = Scene()
    assert await scene.refused(10 * MIB)
    scene.store.away = True
    assert await scene.refused(0)


async def test_it_is_added_up_from_the_start_on() -> None:
    scene = Scene()
    following = asyncio.create_task(scene.cap.follow())
    await until(lambda: bool(scene.store.asked))
    await cancel_and_wait({following})


async def test_who_only_reads_adds_nothing_up_and_keeps_what_it_knew() -> None:
    scene = Scene()
    scene.store.tenants["acme"] = 10 * MIB
    await scene.cap.read()
    assert scene.store.asked == [(9 * MIB, MOST_TENANTS)]
    with pytest.raises(StorageFull):
        scene.cap.check("acme")
    await StorageCap(scene.store, 0).read()
    assert len(scene.store.asked) == 1

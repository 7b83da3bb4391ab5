"""In which queue a new job waits, so that tenants with much work let others go first."""

from __future__ import annotations

from collections import Counter

from sluice.core.count_lanes import KNOWN_S, CountLanes
from sluice.core.errors import BacklogFull
from sluice.core.fair_share import LATEST_S, MOST_NOTED, RECENT_S, SHARED_S, FairShare, any_room
from sluice.core.lanes import Lane
from sluice.core.queue_stats import LaneStatistics, write_statistics
from tests.support.fake_keeper_store import FakeKeeperStore
from tests.support.fakes import FakeCache
from tests.support.make_jobs import new_job
from tests.unit.api.in_memory_api import Clock
from tests.unit.core.test_estimates import lane

SLOTS = 8


class Scene:
    """A lane with eight slots of its own, `default`, and another, over a board and a clock of the test's own."""

    def __init__(self, most: int = 1_000_000) -> None:
        self.clock, self.board = Clock(), FakeCache()
        self.counts = CountLanes(FakeKeeperStore(), self.board, ["default"], self.clock)
        lanes = {name: Lane(name, SLOTS, 16) for name in ("default", "heavy")}
        self.share = FairShare(self.counts, lanes, most, self.clock)

    async def count(self, slots: int = SLOTS, per_second: float = 1.0, **tenants: int) -> None:
        """Have a keeper count so many waiting jobs, and the api read it."""
        found: LaneStatistics = lane(
            slots=slots, per_second=per_second, tenants=tenants, queued=sum(tenants.values())
        )
        await self.board.post_statistics(write_statistics({"default": found}), 60)
        assert await self.counts.read_board()

    def place(self, tenant: str, jobs: int = 1, name: str = "default", **asked: str) -> Counter[str]:
        """Place so many jobs; return how many went to each queue."""
        return Counter(
            self.share.place(new_job(tenant=tenant, lane=name, **asked)).priority for _ in range(jobs)
        )


def test_a_tenant_fills_the_slots_once_and_what_is_beyond_lets_others_go_first() -> None:
    scene = Scene()
    assert scene.place("small") == {"normal": 1}
    assert scene.place("large", 100) == {"normal": SLOTS, "overflow": 100 - SLOTS}
    assert scene.place("small", 20) == {"normal": 20}
    assert scene.place("large", priority="high") == {"overflow": 1}


def test_who_has_a_lane_alone_keeps_its_priorities() -> None:
    scene = Scene()
    assert scene.place("large", 100) == {"normal": 100}
    assert scene.place("small", name="heavy") == {"normal": 1}
    assert scene.place("large", 10) == {"normal": 10}
    scene.place("small")
    assert scene.place("large") == {"overflow": 1}
    scene.clock.now += SHARED_S - 1
    assert scene.place("large", 100)["overflow"]
    scene.clock.now += 1
    assert scene.place("large", 100) == {"normal": 100}


async def test_what_a_keeper_has_counted_is_known_without_a_submit_here() -> None:
    scene = Scene()
    await scene.count(large=1_000, small=40)
    assert scene.place("large") == {"overflow": 1}
    assert scene.place("small", 20) == {"normal": 20}
    assert scene.place("new", 20) == {"normal": 20}
    await scene.count(large=2, small=1)
    scene.clock.now += 2 * RECENT_S
    assert scene.place("large", 6) == {"normal": 6}


async def test_equal_tenants_are_treated_alike_however_many_there_are() -> None:
    scene = Scene(2_000_000)
    await scene.count(large=1_000_000, **{f"t{number}": 500 for number in range(100)})
    assert {tuple(scene.place(f"t{number}")) for number in range(100)} == {("normal",)}
    assert scene.place("large") == {"overflow": 1}


async def test_slots_of_all_consumers_count() -> None:
    scene = Scene()
    await scene.count(slots=50, small=1)
    scene.place("small")
    assert scene.place("large", 60) == {"normal": 50, "overflow": 10}
    scene = Scene()
    await scene.count(slots=0, small=1)
    scene.place("small")
    assert scene.place("large", 60) == {"normal": SLOTS, "overflow": 60 - SLOTS}


async def test_what_was_taken_is_added_to_a_count_that_is_older() -> None:
    scene = Scene()
    scene.place("small")
    scene.place("large", 100)
    await scene.count(small=1)
    assert scene.place("large") == {"overflow": 1}
    scene.clock.now += RECENT_S
    assert scene.place("large") == {"overflow": 1}
    scene.clock.now += RECENT_S
    assert scene.place("large") == {"normal": 1}, (
        "that is long enough: it is not in the count, so it has begun"
    )


def test_what_was_taken_is_forgotten_after_a_pause() -> None:
    scene = Scene()
    scene.place("small")
    scene.place("large", 100)
    scene.clock.now += 2 * RECENT_S
    assert scene.place("large") == {"normal": 1}


async def test_a_count_that_is_out_of_date_is_not_used() -> None:
    scene = Scene()
    await scene.count(large=1_000, small=1)
    assert scene.place("large") == {"overflow": 1}
    scene.clock.now += KNOWN_S
    assert scene.place("large") == {"normal": 1}


def test_no_more_tenants_are_noted_than_a_bounded_number() -> None:
    scene = Scene()
    for number in range(MOST_NOTED + 100):
        scene.place(f"t{number}")
    assert scene.place("late", 100) == {"normal": 100}
    assert scene.place("t0", 100) == {"normal": SLOTS - 1, "overflow": 101 - SLOTS}


async def refused(scene: Scene, tenant: str, name: str = "default", bulk: bool = False) -> int | None:
    """Return the seconds after which the tenant is to try again; None if its job is taken."""
    try:
        scene.share.place(new_job(tenant=tenant, lane=name), bulk)
    except BacklogFull as error:
        return error.retry_after_s
    return None


async def test_a_tenant_with_too_much_waiting_is_refused_until_four_fifths_wait() -> None:
    scene = Scene(most=100)
    await scene.count(large=99, per_second=10)
    assert await refused(scene, "large") is None
    for waits, retry_s in ((100, 2), (99, 2), (81, 1), (80, None), (99, None), (300, 22)):
        await scene.count(large=waits, small=10, per_second=10)
        assert (await refused(scene, "large"), waits) == (retry_s, waits)
        assert await refused(scene, "small") is None
        assert await refused(scene, "large", "heavy") is None


async def test_a_lane_where_nothing_ends_is_tried_again_after_a_while() -> None:
    scene = Scene(most=1_000)
    await scene.count(large=1_000, per_second=0)
    assert await refused(scene, "large") == LATEST_S
    scene.clock.now += KNOWN_S
    assert await refused(scene, "large") is None, "nobody knows any more"


async def test_what_was_taken_since_the_count_is_not_refused_as_it_may_have_begun() -> None:
    scene = Scene(most=100)
    await scene.count(large=1)
    assert scene.place("large", 1_000).total() == 1_000


async def test_batches_are_refused_before_single_jobs_and_until_the_same_moment() -> None:
    scene = Scene(most=100)
    for waits, single, batch in (
        (89, None, None), (90, None, 1), (81, None, 1), (80, None, None), (85, None, None), (100, 2, 2), (81, 1, 1)
    ):  # fmt: skip
        await scene.count(large=waits, per_second=10)
        told = await refused(scene, "large"), await refused(scene, "large", bulk=True)
        assert (waits, *told) == (waits, single, batch)


def test_jobs_of_a_lane_that_is_no_more_are_not_kept_from_a_retry() -> None:
    Scene().share.check("acme", "gone")
    any_room("acme", "gone", True)

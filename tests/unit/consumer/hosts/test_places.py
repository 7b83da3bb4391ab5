"""Where a job runs, and how the places are looked after."""

from __future__ import annotations

import asyncio

import pytest

from consumer.hosts.host_stats import HostStats
from consumer.hosts.hosts import Wear
from consumer.hosts.place import RENEWED_EVERY_S
from consumer.hosts.places import IDLE_S, LATE_S, MOST_PLACES, Places
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events
from tests.support.waiting import until
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.hosts.stub_host import Starter, StubHost
from tests.unit.consumer.make_attempts import an_attempt

BLOCKED_S = 10.0


class Setup:
    """Places with one shared host."""

    def __init__(self) -> None:
        self.events, self.starter = Events(), Starter()
        self.stats = HostStats(Telemetry(self.events))
        self.places = Places(self.starter, Wear(100, 500).reason, BLOCKED_S, self.stats)
        self.shared = StubHost()
        self.places.shared.put(self.shared.host)

    async def look(self) -> None:
        """Look after the hosts once, and let come what comes of it."""
        await self.places._tick()
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def setup() -> Setup:
    return Setup()


async def test_kinds_share_a_place_until_one_has_struck_twice(setup: Setup) -> None:
    places, attempt = setup.places, an_attempt(kinds.echo)
    for _ in range(2):
        assert places.find(attempt) is places.shared
        places.strike("t.echo")
    own = places.find(attempt)
    assert own is not places.shared
    assert own is places.find(an_attempt(kinds.echo)) is places.own("t.echo")
    assert places.find(an_attempt(kinds.nap)) is places.shared
    assert setup.events.fields(Event.QUARANTINED) == [{"kind": "t.echo"}]
    await own.wait()
    assert setup.starter.started[0].name == "t.echo"


async def test_a_host_in_which_a_handler_goes_on_is_renewed_while_its_neighbours_finish(setup: Setup) -> None:
    setup.shared.in_hand = 1
    late = an_attempt(kinds.in_thread)
    setup.places.replace_late(setup.shared.host, late)
    setup.places.replace_late(setup.shared.host, an_attempt(kinds.in_thread))
    await until(lambda: setup.starter.started)
    assert setup.places.shared.current is setup.starter.started[0].host
    assert not setup.shared.ending
    assert (setup.stats.stuck, setup.stats.replaced) == ({"t.thread": 2}, {"stuck": 1})
    assert setup.places.blame.quarantined("t.thread")
    assert setup.events.fields(Event.STUCK)[0]["job_id"] == late.job.id


async def test_a_late_handler_in_a_host_that_only_drains_starts_no_other(setup: Setup) -> None:
    setup.places.replace_late(StubHost().host, an_attempt(kinds.in_thread))
    await setup.look()
    assert (setup.starter.started, setup.stats.replaced) == ([], {})


async def test_a_silent_host_is_ended_once(setup: Setup) -> None:
    setup.shared.silent_s = BLOCKED_S - 0.1
    await setup.look()
    assert setup.shared.blocked_ends == 0
    setup.shared.silent_s = BLOCKED_S + 0.1
    await setup.look()
    setup.shared.gone.clear()
    await setup.look()
    assert setup.shared.blocked_ends == 1


async def test_a_silent_host_that_only_drains_is_ended_too(setup: Setup) -> None:
    setup.shared.in_hand = 1
    await setup.places.shared.renew()
    setup.shared.silent_s = BLOCKED_S + 0.1
    await setup.look()
    assert setup.shared.blocked_ends == 1


async def test_hosts_are_not_judged_by_a_consumer_that_was_held_up_itself(setup: Setup) -> None:
    setup.shared.silent_s = 3_600
    setup.places._ticked -= LATE_S + 1
    await setup.look()
    assert setup.shared.blocked_ends == 0
    await setup.look()
    assert setup.shared.blocked_ends == 1, "it has had its chance to be heard"


@pytest.mark.parametrize(
    ("field", "why"), [("started_jobs", "jobs"), ("memory", "memory"), ("spoilt", "spoilt")]
)
async def test_a_worn_host_is_renewed_once(setup: Setup, field: str, why: str) -> None:
    setup.starter.may.clear()
    if field == "memory":
        setup.shared.uses = setup.shared.uses._replace(memory_mib=500)
    elif field == "spoilt":
        setup.shared.spoilt = True
    else:
        setup.shared.started_jobs = 100
    for _ in range(3):
        await setup.look()
    assert setup.places.shared.current is setup.shared.host
    setup.starter.may.set()
    await until(lambda: setup.places.shared.current is not setup.shared.host)
    assert setup.stats.replaced == {why: 1}
    assert setup.events.fields(Event.HOST_RENEWED) == [{"host": "shared", "why": why}]


async def test_hosts_that_wear_out_fast_are_not_renewed_all_the_time(setup: Setup) -> None:
    setup.shared.spoilt = True
    await setup.look()
    (new,) = setup.starter.started
    new.spoilt = True
    await setup.look()
    assert setup.starter.started == [new], "what runs there gets time to end"
    setup.places.shared._fresh_until -= RENEWED_EVERY_S
    await setup.look()
    assert len(setup.starter.started) == 2


async def test_places_are_crowded_before_there_is_one_for_every_kind(setup: Setup) -> None:
    for number in range(MOST_PLACES - 1):
        assert not setup.places.crowded
        setup.places.own(f"t.{number}")
    assert setup.places.crowded


async def test_a_kind_that_holds_up_others_is_reported_once(setup: Setup) -> None:
    for _ in range(5):
        setup.places.hold_up("t.slow", 5)
    assert setup.events.fields(Event.QUARANTINED) == [{"kind": "t.slow"}]


async def test_a_host_that_is_not_worn_stays(setup: Setup) -> None:
    setup.shared.uses = setup.shared.uses._replace(memory_mib=499)
    setup.shared.started_jobs = 99
    await setup.look()
    assert (setup.starter.started, setup.stats.replaced) == ([], {})


async def test_a_shared_host_that_is_gone_is_replaced_although_nobody_wants_it(setup: Setup) -> None:
    setup.shared.gone.set()
    await setup.look()
    assert [host.name for host in setup.starter.started] == ["shared"]
    setup.places.shared._used -= IDLE_S + 1
    await setup.look()
    assert setup.places.shared.current is setup.starter.started[0].host


async def test_the_host_of_a_single_kind_ends_once_that_has_no_job_for_a_while(setup: Setup) -> None:
    own = setup.places.own("t.echo")
    host = await own.wait()
    await setup.look()
    assert not host.gone.is_set()
    own._used -= IDLE_S + 1
    setup.starter.started[0].in_hand = 1
    await setup.look()
    assert not host.gone.is_set()
    setup.starter.started[0].in_hand = 0
    await setup.look()
    assert host.gone.is_set()
    assert setup.places.own("t.echo") is not own
    assert setup.places.hosts == [setup.shared.host]


async def test_a_host_of_a_single_kind_that_is_gone_is_not_replaced_before_it_is_wanted(setup: Setup) -> None:
    await setup.places.own("t.echo").wait()
    setup.starter.started[0].gone.set()
    await setup.look()
    assert len(setup.starter.started) == 1


async def test_closing_ends_all_places(setup: Setup) -> None:
    own = await setup.places.own("t.echo").wait()
    await setup.places.close()
    assert setup.shared.gone.is_set()
    assert own.gone.is_set()
    assert "t" in repr(setup.places)

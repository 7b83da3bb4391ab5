"""Which queues are taken for lost, and that all that was lost is offered again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pytest

from consumer.keeper.find_lost_messages import AT_ONCE, FindLostMessages
from sluice.core.errors import ServerAway
from sluice.core.lanes import PRIORITIES, queue_name
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events
from tests.support.make_jobs import AT

NORMAL, LOW = ("default", "normal"), ("default", "low")


class Servers:
    """A record that has lost so many jobs, and a RabbitMQ with queues of these depths, or without any."""

    def __init__(self, lost: int = 0, depths: dict[tuple[str, str], int] | None = None) -> None:
        self.lost, self.queues = lost, depths
        self.asked: list[Mapping[tuple[str, str], datetime | None]] = []

    async def depths(self) -> dict[str, int]:
        if self.queues is None:
            raise ServerAway("RabbitMQ")
        return {queue_name(*queue): depth for queue, depth in self.queues.items()}

    async def offer_lost(self, newest: Mapping[tuple[str, str], datetime | None], limit: int) -> int:
        self.asked.append(dict(newest))
        found = min(self.lost, limit)
        self.lost -= found
        return found


def duty(
    servers: Servers, claimed: Mapping[tuple[str, str], datetime] | None = None
) -> tuple[FindLostMessages, Events]:
    events = Events()
    found = FindLostMessages(servers, servers.depths, claimed or {}, ["default"], Telemetry(events))  # type: ignore[arg-type]  # all it asks
    return found, events


async def test_a_queue_that_is_empty_is_judged_by_the_clock_and_others_by_what_was_claimed() -> None:
    servers = Servers(depths={NORMAL: 0, LOW: 3})
    await duty(servers, {NORMAL: AT, LOW: AT})[0].once()
    assert servers.asked == [{NORMAL: None, LOW: AT}]


async def test_queues_that_nobody_has_counted_or_claimed_from_are_left_alone() -> None:
    servers = Servers(lost=1, depths=dict.fromkeys([("default", each) for each in PRIORITIES], 7))
    assert await duty(servers)[0].once() == 0
    assert servers.asked == []


async def test_all_that_was_lost_is_offered_again_though_the_queue_fills_meanwhile() -> None:
    servers = Servers(lost=2 * AT_ONCE + 1, depths={NORMAL: 0})
    found, events = duty(servers)
    assert await found.once() == 2 * AT_ONCE + 1
    assert [count for event, count, _ in events if event == Event.REDISPATCHED] == [AT_ONCE, AT_ONCE, 1]


async def test_without_rabbitmq_nothing_is_taken_for_lost() -> None:
    servers = Servers(lost=1)
    with pytest.raises(ServerAway):
        await duty(servers, {NORMAL: AT})[0].once()
    assert servers.asked == []

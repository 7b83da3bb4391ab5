"""What every sluice.core.ports.LaneStore does: the record in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from datetime import UTC

import pytest

from sluice.core.access import Actor
from sluice.core.errors import ServerAway
from tests.contract.conftest import Record


async def test_a_lane_is_paused_until_it_is_resumed(record: Record) -> None:
    assert await record.lanes.list_pauses() == {}
    pause = await record.lanes.pause_lane("heavy", "the disk is full", "ops", Actor("a-key"))
    assert (pause.reason, pause.by, pause.since.tzinfo) == ("the disk is full", "a-key", UTC)
    assert await record.lanes.list_pauses() == {"heavy": pause}
    assert await record.lanes.resume_lane("heavy", "ops", Actor("key"))
    assert await record.lanes.list_pauses() == {}


async def test_one_that_is_paused_again_has_been_so_since_then_for_the_new_reason(record: Record) -> None:
    first = await record.lanes.pause_lane("heavy", "the disk is full", "ops", Actor("a-key"))
    again = await record.lanes.pause_lane("heavy", "it is being replaced", "ops", Actor("another"))
    assert again == first.model_copy(update={"reason": "it is being replaced", "by": "another"})
    assert await record.lanes.list_pauses() == {"heavy": again}


async def test_a_lane_that_is_not_paused_cannot_be_resumed_and_others_are_left_alone(record: Record) -> None:
    await record.lanes.pause_lane("heavy", "as asked", "ops", Actor("key"))
    assert not await record.lanes.resume_lane("default", "ops", Actor("key"))
    assert list(await record.lanes.list_pauses()) == ["heavy"]


async def test_a_record_that_is_away_says_so(record: Record) -> None:
    record.leave()
    for call in (
        record.lanes.list_pauses(),
        record.lanes.resume_lane("heavy", "ops", Actor("key")),
        record.lanes.pause_lane("heavy", "as asked", "ops", Actor("key")),
    ):
        with pytest.raises(ServerAway):
            await call

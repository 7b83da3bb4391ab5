"""What every sluice.core.ports.StorageStore does: the record in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

import pytest

from sluice.core.errors import ServerAway
from tests.contract.conftest import Record
from tests.support.make_jobs import aged_id, new_job

MOST = 1_000


async def test_inputs_of_each_tenant_are_added_up_and_those_with_most_are_listed(record: Record) -> None:
    sizes = {"small": [10], "large": [300, 5_000], "other": [400]}
    jobs = [
        new_job(id=aged_id(60), tenant=tenant, input=b"1" * size)
        for tenant, each in sizes.items()
        for size in each
    ]
    await record.accepted(*jobs)
    assert await record.storage.list_large(0, MOST) == {}
    assert await record.storage.add_up(MOST, 0, 0)
    assert await record.storage.list_large(0, MOST) == {"large": 5_300, "other": 400, "small": 10}
    assert await record.storage.list_large(400, MOST) == {"large": 5_300, "other": 400}
    assert list(await record.storage.list_large(400, 1)) == ["large"]


async def test_a_record_that_is_away_says_so(record: Record) -> None:
    record.leave()
    with pytest.raises(ServerAway):
        await record.storage.add_up(MOST, 0, 0)
    with pytest.raises(ServerAway):
        await record.storage.list_large(0, MOST)

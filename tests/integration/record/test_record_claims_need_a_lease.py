"""A job is claimed only under a lease that holds until long after the claim."""

from __future__ import annotations

import asyncio

import pytest

from sluice.core.errors import LeaseOver
from sluice.core.owner import claim_holds_s
from tests.integration.record.record_fixture import KINDS, Record

ENDS_IN = "update consumers set lease_until = clock_timestamp() + $2 * interval '1 second' where id = $1"


async def test_no_job_is_claimed_under_a_lease_that_is_about_to_end(record: Record) -> None:
    (job_id,) = await record.accepted()
    await record.sql.execute(ENDS_IN, record.owner.id, claim_holds_s(record.settings.lease_s) / 2)
    with pytest.raises(LeaseOver):
        await record.store.claim([job_id], KINDS)
    assert await record.sql.fetchval("select state from jobs") == "queued"


@pytest.mark.parametrize("name", ["claim", "pull", "recover_lost_claims", "recover_lane_claims"])
async def test_no_job_is_returned_under_a_lease_that_was_replaced_meanwhile(
    record: Record, name: str
) -> None:
    (job_id,) = await record.accepted()
    asked = {
        "claim": record.store.claim([job_id], KINDS),
        "pull": record.store.pull("default", 1, KINDS, {"normal": 0}),
        "recover_lost_claims": record.store.recover_lost_claims([job_id]),
        "recover_lane_claims": record.store.recover_lane_claims("default", KINDS),
    }
    asking = asyncio.create_task(asked.pop(name))
    for other in asked.values():
        other.close()
    await asyncio.sleep(0)
    record.owner.replace()
    with pytest.raises(LeaseOver):
        await asking

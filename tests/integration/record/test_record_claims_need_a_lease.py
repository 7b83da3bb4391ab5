"""A job is claimed only under a lease that holds until long after the claim."""

from __future__ import annotations

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

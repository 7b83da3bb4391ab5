"""What waits in vain is described: jobs in lanes that were taken out of the settings, and of kinds and versions that nobody serves."""

from __future__ import annotations

import pytest

from sluice.adapters import connections
from sluice.adapters.connections import open_connections
from sluice.adapters.postgres.unserved import describe_unserved
from sluice.core.owner import Owner
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.fakes import Events
from tests.support.leases import new_owner
from tests.support.make_jobs import new_job, new_jobs
from tests.support.waiting import until

LANES = ["default", "heavy"]
GONE = "the lane 'gone' is not in SLUICE_LANES and no consumer serves it, but 2 jobs wait in it. "
PARKED = (
    "no consumer serves the kind 'demo.sum' in version {} or newer in the lane 'default', and {} for one. "
)


async def found(record: Record, *, lanes_only: bool = False) -> list[str]:
    """Return what is said, without the remedies."""
    lines = await describe_unserved(record.server.ask, LANES, lanes_only=lanes_only)
    assert all("Remedy: " in line for line in lines)
    return [line.partition("Remedy: ")[0] for line in lines]


async def test_jobs_in_a_lane_that_is_not_configured_are_reported_while_nobody_serves_it(
    record: Record,
) -> None:
    waiting = new_jobs(2, lane="gone")
    await record.accepted(*waiting, *new_jobs(3), new_job(lane="heavy"), new_job(lane="later", delay_s=60))
    assert await found(record) == await found(record, lanes_only=True) == [GONE]
    owner = await new_owner(record.sql)
    await record.sql.execute("update consumers set lanes = '{gone}' where id = $1", owner.id)
    assert await found(record) == []
    await record.sql.execute("update consumers set lease_until = now() where id = $1", owner.id)
    assert await found(record) == [GONE]
    for each in waiting:
        await record.control.cancel("acme", each.id)
    assert await found(record) == []


async def test_parked_versions_are_reported_until_they_are_served(record: Record) -> None:
    await new_owner(record.sql, kinds=["demo.sum"])
    versions = (1, 2, 2, 4)
    ids = await record.accepted(*(new_job(handler_version=version) for version in versions))
    await record.store.defer_unclaimed(ids, KINDS)
    assert await found(record) == [PARKED.format(2, "2 jobs wait"), PARKED.format(4, "1 job waits")]
    assert await found(record, lanes_only=True) == []
    await new_owner(record.sql, kinds=["demo.sum"], version=3)
    assert await found(record) == [PARKED.format(4, "1 job waits")]
    await new_owner(record.sql, kinds=["demo.sum"], version=4)
    assert await found(record) == []


async def test_only_so_many_are_counted(record: Record) -> None:
    await record.accepted(*new_jobs(3, lane="gone"))
    (line,) = await describe_unserved(record.server.ask, LANES, most=2)
    assert "2 jobs or more wait in it" in line


async def test_a_process_reports_such_a_lane_when_it_starts(record: Record) -> None:
    await record.accepted(*new_jobs(2, lane="gone"))
    events = Events()
    async with open_connections(record.settings, "consumer", Owner(), Telemetry(events)) as opened:
        await until(lambda: bool(opened.config_problems.lines))
        assert [line.startswith(GONE) for line in opened.config_problems.lines] == [True]
    assert [fields["why"] for fields in events.fields(Event.DOUBTED)] == opened.config_problems.lines


async def test_a_process_reports_what_is_parked_once_others_could_say_what_they_serve(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job_id,) = await record.accepted(handler_version=2)
    await record.store.defer_unclaimed([job_id], KINDS)
    monkeypatch.setattr(connections, "CHECK_S", 0.01)
    async with open_connections(record.settings, "api", Owner(), Telemetry()) as opened:
        await until(lambda: bool(opened.config_problems.lines))
        assert opened.config_problems.lines[0].startswith(PARKED.format(2, "1 job waits"))

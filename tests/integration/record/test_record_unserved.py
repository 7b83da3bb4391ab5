"""What waits in vain is described: jobs in lanes that were taken out of the settings, and of kinds and versions that nobody serves."""

from __future__ import annotations

import pytest

from sluice.adapters import connections
from sluice.adapters.connections import open_connections
from sluice.adapters.postgres.unserved import describe_unserved
from sluice.core.owner import Owner
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.integration.record.record_fixture import Record
from tests.support.fakes import Events
from tests.support.leases import new_owner
from tests.support.make_jobs import new_job, new_jobs
from tests.support.waiting import until

LANES = ["default", "heavy"]
GONE = (
    "no consumer serves the kind 'demo.sum' in version 1 or newer in the lane 'gone', which is not in SLUICE_LANES."
    " Jobs that wait for one: 2. "
)
UNSERVED = "no consumer serves the kind 'demo.sum' in version {} or newer in the lane 'default'. Jobs that wait for one: {}. "


async def a_while_passes(record: Record) -> None:
    await record.sql.execute("update jobs set queued_at = queued_at - interval '2 minutes'")


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
    await a_while_passes(record)
    assert await found(record) == await found(record, lanes_only=True) == [GONE]
    owner = await new_owner(record.sql)
    await record.sql.execute("update consumers set lanes = '{gone}' where id = $1", owner.id)
    assert await found(record) == []
    await record.sql.execute("update consumers set lease_until = now() where id = $1", owner.id)
    assert await found(record) == [GONE]
    for each in waiting:
        await record.control.cancel("acme", each.id)
    assert await found(record) == []


async def test_what_waits_in_a_paused_lane_waits_for_an_operator(record: Record) -> None:
    await record.accepted(*new_jobs(2, lane="gone"))
    await a_while_passes(record)
    await record.sql.execute("insert into lanes (name, paused_at) values ('gone', now())")
    assert await found(record) == []
    await record.sql.execute("delete from lanes")
    assert await found(record) == [GONE]


async def test_versions_that_nobody_serves_are_reported_after_a_while_until_somebody_does(
    record: Record,
) -> None:
    await new_owner(record.sql, kinds=["demo.sum"])
    versions = (1, 2, 2, 4)
    await record.accepted(*(new_job(handler_version=version) for version in versions))
    assert await found(record) == []
    await a_while_passes(record)
    assert await found(record) == [UNSERVED.format(2, 2), UNSERVED.format(4, 1)]
    assert await found(record, lanes_only=True) == []
    await new_owner(record.sql, kinds=["demo.sum"], version=3)
    assert await found(record) == [UNSERVED.format(4, 1)]
    await new_owner(record.sql, kinds=["demo.sum"], version=4)
    assert await found(record) == []


async def test_only_so_many_are_counted(record: Record) -> None:
    await record.accepted(*new_jobs(3, lane="gone"))
    await a_while_passes(record)
    (line,) = await describe_unserved(record.server.ask, LANES, most=2)
    assert "Jobs that wait for one: 2 or more." in line


async def test_a_process_reports_such_a_lane_when_it_starts(record: Record) -> None:
    await record.accepted(*new_jobs(2, lane="gone"))
    await a_while_passes(record)
    events = Events()
    async with open_connections(record.settings, "consumer", Owner(), Telemetry(events)) as opened:
        await until(lambda: bool(opened.config_problems.lines))
        assert [line.startswith(GONE) for line in opened.config_problems.lines] == [True]
    assert [fields["why"] for fields in events.fields(Event.DOUBTED)] == opened.config_problems.lines


async def test_a_process_reports_what_nobody_serves_once_others_could_say_what_they_serve(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record.accepted(handler_version=2)
    await a_while_passes(record)
    monkeypatch.setattr(connections, "CHECK_S", 0.01)
    async with open_connections(record.settings, "api", Owner(), Telemetry()) as opened:
        await until(lambda: bool(opened.config_problems.lines))
        assert opened.config_problems.lines[0].startswith(UNSERVED.format(2, 1))

"""What is read from the record: jobs, fresh results, and who it is."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.migrate import migrate
from sluice.adapters.postgres.pool import Database
from sluice.core.errors import BadRow
from sluice.core.job import NewJob
from sluice.core.lifecycle import Failure, failed, succeeded
from sluice.core.runtime.telemetry import Telemetry
from tests.integration.record.record_fixture import Record
from tests.support.make_jobs import new_job

PRINT = b"p" * 32


async def test_unknown_ids_are_left_out(record: Record) -> None:
    (known,) = await record.accepted()
    assert set(await record.store.look_up([known, str(uuid4())])) == {known}
    assert await record.store.look_up([]) == {}


async def test_a_look_up_brings_result_and_error_but_never_the_input(record: Record) -> None:
    good, bad = await record.claimed(), await record.claimed()
    await record.store.settle([succeeded(good, b"[1]"), failed(bad, Failure("x", "y"))])
    jobs = await record.store.look_up([good.id, bad.id])
    assert (jobs[good.id].result, jobs[good.id].error) == (b"[1]", None)
    assert jobs[bad.id].error is not None
    assert {job.input for job in jobs.values()} == {None}


async def finished(record: Record, new: NewJob, age_s: float, result: bytes = b"{}") -> str:
    """A job that succeeded so many seconds ago."""
    job = await record.claimed(new)
    await record.change(job.id, "fence = fence")
    await record.sql.execute(
        """update jobs set state = 'succeeded', result = $2, owner = null, expires_at = now(),
           finished_at = now() - $3 * interval '1 second' where id = $1""",
        job.id,
        result,
        age_s,
    )
    return job.id


async def test_the_newest_result_that_is_young_enough_is_found(record: Record) -> None:
    pure = {"fingerprint": PRINT, "flight": True}
    await finished(record, new_job(**pure), 50)
    newest = await finished(record, new_job(**pure), 10, b"[2]")
    await finished(record, new_job(fingerprint=b"o" * 32), 1)
    found = await record.store.find_same({PRINT: 60.0, b"unknown": 60.0})
    assert {print_: (job.id, job.result) for print_, job in found.items()} == {PRINT: (newest, b"[2]")}
    assert await record.store.find_same({PRINT: 5.0}) == {}


async def test_work_under_way_is_found_where_there_is_no_result_and_after_one_that_is_too_old(
    record: Record,
) -> None:
    pure = {"fingerprint": PRINT, "flight": True}
    done = await finished(record, new_job(**pure), 30)
    (waiting,) = await record.accepted(new_job(**pure))
    for age, job_id in ((60.0, done), (10.0, waiting)):
        assert (await record.store.find_same({PRINT: age}))[PRINT].id == job_id
    await record.claim(waiting)
    assert (await record.store.find_same({PRINT: 10.0}))[PRINT].state == "running"


async def test_each_result_has_an_age_of_its_own(record: Record) -> None:
    other = b"o" * 32
    await finished(record, new_job(fingerprint=PRINT), 30)
    await finished(record, new_job(fingerprint=other), 30)
    assert set(await record.store.find_same({PRINT: 60.0, other: 10.0})) == {PRINT}


async def test_failures_and_unfinished_work_are_no_results(record: Record) -> None:
    failing = await record.claimed(new_job(fingerprint=PRINT))
    await record.store.settle([failed(failing, Failure("x", "y"))])
    await record.accepted(new_job(fingerprint=PRINT))  # not to be shared
    assert await record.store.find_same({PRINT: 60.0}) == {}


async def test_the_identity_is_the_same_for_everybody_and_another_for_another_database(
    record: Record, servers: Servers
) -> None:
    here = await identity_of(record.database)
    assert here == await identity_of(record.database)
    await record.sql.execute("create database elsewhere")
    url = servers.postgres.url.removesuffix("sluice") + "elsewhere"
    database = Database(url, "tests", Telemetry(), size=1)
    try:
        await migrate(url)
        assert await identity_of(database) != here
    finally:
        await database.close()
        await record.sql.execute("drop database elsewhere")


async def identity_of(database: Database) -> str:
    (found,) = await database.fetch("server_settings", False, [], [], budget_s=5)
    return str(found["identity"])


async def test_a_sign_of_life(record: Record) -> None:
    assert repr(record.database) == "<Database tests: 0 connections>"
    await record.server.ping()
    assert repr(record.database) == "<Database tests: 1 connections>"


@pytest.mark.parametrize("ids", [set(), frozenset(), dict[str, int]().keys()])
async def test_the_driver_takes_only_lists_and_tuples_for_arrays(record: Record, ids: Sequence[str]) -> None:
    """If it asks more than these two types again, an api spends 7 % of its time on that."""
    empty: tuple[Sequence[str], ...] = ([], ())
    for array in empty:
        assert await record.store.look_up(array) == {}
    with pytest.raises(BadRow, match="iterable container expected"):
        await record.store.look_up(ids)

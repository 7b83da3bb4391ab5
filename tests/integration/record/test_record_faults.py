"""The border of the record: whatever happens to PostgreSQL is said in our words, in time, and heals by itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from time import monotonic
from uuid import UUID

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres import pool
from sluice.adapters.postgres.connecting import SETTINGS, connect_to_primary
from sluice.adapters.postgres.pool import Database
from sluice.core.errors import BadRow, OutcomeUnknown, ServerAway, TryAgain
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.integration.record.record_fixture import KINDS, Record
from tests.support.make_jobs import new_job
from tests.support.servers import frozen
from tests.support.waiting import Stopwatch, until

SLACK_S = 0.8
"""What a busy machine may add to a deadline."""
SOME_ID = str(UUID(int=7))


async def seconds_of(call: Awaitable[object], error: type[Exception]) -> float:
    """How long the call takes to fail so."""
    async with Stopwatch.running() as watch:
        with pytest.raises(error):
            await call
    return watch.seconds


async def works_again(record: Record) -> None:
    """Return once a statement is answered; the breaker lets one through now and then."""
    while True:
        try:
            return await record.server.ping()
        except ServerAway:
            await asyncio.sleep(0.02)


async def until_connected(record: Record, count: int) -> None:
    """Open so many connections, however long the machine takes for that."""
    while repr(record.database) != f"<Database tests: {count} connections>":
        await works_again(record)
        await asyncio.gather(*(record.server.ping() for _ in range(count)), return_exceptions=True)


async def test_a_read_from_a_frozen_server_fails_within_its_budget(record: Record, servers: Servers) -> None:
    await record.server.ping()
    with frozen(servers.postgres):
        began = monotonic()
        took = await seconds_of(record.store.look_up([SOME_ID]), ServerAway)
        assert took < record.settings.record_budget_s + SLACK_S
        assert monotonic() - began >= record.settings.record_budget_s
    await works_again(record)


async def test_reads_that_a_frozen_server_swallowed_hold_no_connection_for_ever(
    record: Record, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "RELEASE_S", 0.1)
    await until_connected(record, 10)
    with frozen(servers.postgres):
        reads = [record.store.look_up([SOME_ID]) for _ in range(10)]
        found = await asyncio.gather(*reads, return_exceptions=True)
        assert {type(each) for each in found} == {ServerAway}
        await until(lambda: not any(task.get_name() == "release" for task in asyncio.all_tasks()))
        assert repr(record.database) == "<Database tests: 0 connections>"
    await works_again(record)


async def test_connections_that_nobody_needs_are_closed(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_S", 0.2)
    await until_connected(record, 2)
    await until(lambda: repr(record.database) == "<Database tests: 0 connections>")
    await record.server.ping()


async def test_an_accept_that_a_frozen_server_took_has_an_unknown_outcome(
    record: Record, servers: Servers
) -> None:
    await record.server.ping()
    with frozen(servers.postgres):
        took = await seconds_of(record.store.accept([new_job()]), OutcomeUnknown)
        assert took < record.settings.accept_budget_s + SLACK_S
    await works_again(record)


async def test_an_accept_that_was_never_sent_is_known_not_to_have_happened(
    record: Record, servers: Servers
) -> None:
    servers.postgres.kill()
    await seconds_of(record.store.accept([new_job()]), ServerAway)


async def test_an_accept_whose_reply_was_lost_may_have_happened(record: Record) -> None:
    job = new_job()
    slow = "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(10); return new; end $$"
    await record.sql.execute(f"{slow}; create trigger slow before insert on jobs execute function slow()")
    try:
        accepting = asyncio.create_task(record.store.accept([job]))
        ended = 0
        while not ended:
            ended = await record.sql.fetchval(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity where wait_event = 'PgSleep'"
            )
        with pytest.raises(OutcomeUnknown):
            await accepting
    finally:
        await record.sql.execute("drop function slow cascade")


async def test_a_killed_server_is_away_at_once_and_works_again_after_its_restart(
    record: Record, servers: Servers
) -> None:
    (job_id,) = await record.accepted()
    servers.postgres.kill()
    calls: list[Callable[[], Awaitable[object]]] = [
        record.server.ping,
        lambda: record.store.look_up([job_id]),
        lambda: record.store.claim([job_id], KINDS),
    ]
    for call in calls:
        assert await seconds_of(call(), ServerAway) < SLACK_S
    servers.postgres.start()
    await works_again(record)
    assert (await record.store.look_up([job_id]))[job_id].state == "queued"
    assert [job.id for job in await record.store.claim([job_id], KINDS)] == [job_id]


async def test_a_process_starts_without_postgresql_and_finds_it_later(
    record: Record, servers: Servers
) -> None:
    servers.postgres.kill()
    await seconds_of(record.server.ping(), ServerAway)
    assert repr(record.database) == "<Database tests: 0 connections>"
    servers.postgres.start()
    await works_again(record)


async def test_after_a_few_failures_nobody_waits_for_a_deadline_any_more(
    record: Record, servers: Servers
) -> None:
    await record.server.ping()
    with frozen(servers.postgres):
        for _ in range(3):
            await seconds_of(record.server.ping(), ServerAway)
        assert await seconds_of(record.server.ping(), ServerAway) < 0.1
    assert record.events.count(Event.SERVER_AWAY) == 1
    await works_again(record)
    assert record.events.count(Event.SERVER_BACK) == 1


async def test_a_refused_row_does_not_make_the_server_look_away(record: Record) -> None:
    for _ in range(5):
        with pytest.raises(BadRow):
            await record.store.accept([new_job(priority="urgent")])
    await record.server.ping()
    assert record.events.count(Event.SERVER_AWAY) == 0


async def test_a_caller_that_leaves_gives_its_connection_back(record: Record) -> None:
    (job_id,) = await record.accepted()
    async with record.locked("select from jobs where id = $1 for update", job_id):
        for _ in range(12):  # more than there are connections
            leaving = asyncio.create_task(record.store.claim([job_id], KINDS))
            await record.until_waiting()
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
    await record.server.ping()


async def test_a_deadlock_asks_to_try_again(record: Record) -> None:
    first, second = sorted(await record.accepted(new_job(), new_job()))
    update = "update jobs set tags = 'x' where id = $1"
    async with record.locked(update, second) as rival:
        claiming = asyncio.create_task(record.store.claim([first, second], KINDS))
        await record.until_waiting()
        await rival.execute("select pg_sleep(0.3)")  # whoever began to wait first looks for a deadlock first
        crossing = asyncio.create_task(rival.execute(update, first))
        with pytest.raises(TryAgain):
            await claiming
        await crossing
    assert len(await record.store.claim([first, second], KINDS)) == 2


async def test_a_lock_that_is_not_given_asks_to_try_again(
    servers: Servers, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job_id,) = await record.accepted()
    monkeypatch.setitem(SETTINGS, "lock_timeout", "50ms")
    impatient = Database(servers.postgres.url, "tests", Telemetry(), size=1)
    store = type(record.store)(impatient, record.another(), record.settings)
    async with record.locked("select from jobs where id = $1 for update", job_id):
        with pytest.raises(TryAgain):
            await store.claim([job_id], KINDS)
    assert len(await store.claim([job_id], KINDS)) == 1
    await impatient.close()


async def test_closing_cuts_off_what_is_stuck(servers: Servers) -> None:
    database = Database(servers.postgres.url, "tests", Telemetry(), size=2)
    await database.close()
    await database.fetch("ping", budget_s=5)
    with frozen(servers.postgres):
        stuck = asyncio.create_task(database.fetch("ping", budget_s=60))
        await asyncio.sleep(0)
        async with Stopwatch.running() as watch:
            await database.close()
        assert watch.seconds < 2 + SLACK_S
        with pytest.raises(ServerAway):
            await stuck


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone has it")
async def test_what_postgresql_does_not_take_is_not_sent_to_it_a_minute_later(record: Record) -> None:
    """A claim that came so late would be in nobody's hand."""
    connection = await connect_to_primary(record.settings.postgres_url.get_secret_value())
    sock = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # the driver's own
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5_000
    await connection.close()

"""Servers that answer but are set up badly: what only a person can change ends the process, the rest is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx2
import pytest
import redis.asyncio as redis

from infra.local.servers import Servers
from sluice.adapters import connections
from sluice.adapters.connections import Connections, open_connections
from sluice.adapters.postgres.connecting import SETTINGS
from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.migrate import migrate
from sluice.adapters.postgres.pool import Database
from sluice.adapters.postgres.server import PostgresServer
from sluice.adapters.postgres.server_checks import NEWEST_REVISION, Fetch, ServerChecks, describe_crowding
from sluice.adapters.postgres.statements import load_queries
from sluice.adapters.redis.connection import RedisConnection
from sluice.adapters.server_checks import ConfigProblems
from sluice.core.errors import OutcomeUnknown, ServerAway, ServerUnfit
from sluice.core.owner import Owner
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Telemetry
from sluice.errors import StartRefused
from tests.integration.test_http import run, sluice
from tests.support.make_jobs import new_job
from tests.support.misconfigured_servers import by_default, full_redis, weakened
from tests.support.servers import settings_for, sql_session
from tests.support.stack import Process, Stack
from tests.support.waiting import until, until_found

ANY_PORTS = {"SLUICE_API_PORT": "0", "SLUICE_API_PRIVATE_PORT": "0", "SLUICE_CONSUMER_PRIVATE_PORT": "0"}


@asynccontextmanager
async def open_for(servers: Servers, **settings: object) -> AsyncIterator[Connections]:
    """Open the connections of a process."""
    async with open_connections(settings_for(servers, **settings), "api", Owner(), Telemetry()) as found:
        yield found


async def refused_start(servers: Servers, process: str) -> str:
    """Start a process that refuses to; return the line that says why."""
    status, out, err = await run(servers, process, **ANY_PORTS)
    line = err.splitlines()[-1]
    assert (status, out, line[:8]) == (2, "", "sluice: "), err
    return line


async def check(process: Process) -> dict[str, Any]:
    """Return what it reports about itself; nothing if it does not listen yet."""
    async with httpx2.AsyncClient() as client:
        try:
            return dict((await client.get(f"{process.private_url}/check")).json())
        except httpx2.TransportError:
            return {}


@pytest.mark.parametrize("process", ["api", "consumer"])
async def test_a_process_ends_where_postgresql_may_lose_what_it_accepted(
    servers: Servers, process: str
) -> None:
    async with weakened(servers, fsync="off", full_page_writes="off"):
        line = await refused_start(servers, process)
    assert "fsync = off, full_page_writes = off" in line
    assert line.endswith(
        "ALTER SYSTEM SET fsync = on; ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();"
    )


async def test_a_key_is_not_made_either_where_it_may_be_lost(servers: Servers) -> None:
    async with weakened(servers, synchronous_commit="off"):
        status, out, err = await sluice(servers, "keys", "create", "--tenant", "acme")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();" in err


@pytest.mark.parametrize("owner", ["role sluice", "database sluice"])
async def test_a_setting_of_the_role_or_the_database_is_seen_and_its_remedy_works(
    servers: Servers, owner: str
) -> None:
    config_problems = ConfigProblems(Telemetry())
    database = Database(servers.postgres.url, "tests", Telemetry(), 1, ServerChecks(config_problems))
    async with by_default(servers, owner, "synchronous_commit", "off"):
        with pytest.raises(ServerUnfit) as unfit:
            await database.fetch("ping", budget_s=5)
        remedy = str(unfit.value).rpartition("Remedy: ")[2]
        assert remedy == f"ALTER {owner.upper().replace('SLUICE', 'sluice')} RESET synchronous_commit;"
        connection = await asyncpg.connect(servers.postgres.url)
        await connection.execute(remedy)
        await connection.close()
        await database.fetch("ping", budget_s=5)
    await database.close()


@pytest.mark.parametrize(("accept", "commits"), [(False, "on"), (True, "off")])
async def test_sessions_stay_safe_whatever_the_server_is_set_to_later_unless_that_was_accepted(
    servers: Servers, accept: bool, commits: str
) -> None:
    config_problems = ConfigProblems(Telemetry())
    inspection = ServerChecks(config_problems, accept=accept)
    database = Database(servers.postgres.url, "tests", Telemetry(), 1, inspection)
    await database.fetch("ping", budget_s=5)
    config_problems.check()
    assert config_problems.lines == []

    async def has_heard() -> bool:
        return bool(
            (await database.fetch("server_settings", False, [], [], budget_s=5))[0]["full_page_writes"]
            == "off"
        )

    async with weakened(servers, synchronous_commit="off", full_page_writes="off"):
        await until_found(has_heard)
        assert (await database.fetch("server_settings", False, [], [], budget_s=5))[0][
            "synchronous_commit"
        ] == commits
    await database.close()


async def test_an_option_of_the_address_that_nobody_knows_ends_the_process(servers: Servers) -> None:
    problems = ConfigProblems(Telemetry())
    url = f"{servers.postgres.url}?no_such_setting=1"
    database = Database(url, "tests", Telemetry(), 1, ServerChecks(problems))
    with pytest.raises(ServerUnfit):
        await database.fetch("ping", budget_s=5)
    with pytest.raises(StartRefused, match=r"SLUICE_POSTGRES_URL has an option .*no_such_setting"):
        problems.check()
    await database.close()


@pytest.mark.parametrize(("by_role", "refused"), [(False, True), (True, False)])
async def test_a_session_that_has_lost_what_it_was_given_is_refused_unless_its_role_gives_the_same(
    servers: Servers, by_role: bool, refused: bool
) -> None:
    async with sql_session(servers.postgres.url) as sql:
        for name, value in SETTINGS.items() if by_role else ():
            await sql.execute(f"alter role sluice set {name} = '{value}'")
    problems = ConfigProblems(Telemetry())
    try:
        async with sql_session(servers.postgres.url) as shared:
            found = None
            try:
                queries = load_queries()
                await ServerChecks(problems).check(lambda query, *args: shared.fetch(queries[query], *args))
            except ServerUnfit as unfit:
                found = str(unfit)
    finally:
        async with sql_session(servers.postgres.url) as sql:
            await sql.execute("alter role sluice reset all")
    assert (found is not None) == refused
    if refused:
        with pytest.raises(
            StartRefused, match=r"pool_mode = session.*ALTER ROLE … SET enable_seqscan = 'off';"
        ):
            problems.check()


async def test_a_server_that_comes_back_weak_gets_no_job(servers: Servers) -> None:
    config_problems = ConfigProblems(Telemetry())
    database = Database(servers.postgres.url, "weak", Telemetry(), 2, ServerChecks(config_problems))
    store = PostgresJobStore(database, Owner(), settings_for(servers))
    sql = await asyncpg.connect(servers.postgres.url)
    await store.accept([new_job()])
    async with weakened(servers, fsync="off"):
        await sql.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'weak'"
        )
        for _ in range(3):
            with pytest.raises((ServerAway, OutcomeUnknown)):  # the latter on the connection that was cut
                await store.accept([new_job()])
        assert await sql.fetchval("select count(*) from jobs") == 1
        with pytest.raises(StartRefused, match="fsync = off"):
            config_problems.check()
    await database.close()
    await sql.close()


async def test_a_running_process_notices_a_server_that_is_weakened(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CHECK_S", 0.02)
    async with open_for(servers) as opened:
        await opened.pings["postgresql"]()
        told = asyncio.Event()
        opened.config_problems.on_refusal(told.set)
        async with weakened(servers, fsync="off"):
            await told.wait()
        with pytest.raises(StartRefused, match="fsync = off"):
            opened.config_problems.check()


async def test_who_accepts_a_weak_server_is_warned_at_the_start_and_shown_so(bare_stack: Stack) -> None:
    async with weakened(bare_stack.servers, fsync="off", synchronous_commit="off"):
        api = bare_stack.add_api(unsafe_durability="accept")
        await api.ready()
        shown = await check(api)
        assert shown["status"] == "degraded"
        assert ["fsync = off, synchronous_commit = off" in line for line in shown["doubts"]] == [True]
        assert api.log.read_text().count('"settings_doubted"') == 1
        assert api.stop() == 0


@pytest.fixture
async def fresh(servers: Servers) -> AsyncIterator[str]:
    """Make a database without a schema; yield its address."""
    connection = await asyncpg.connect(servers.postgres.url)
    await connection.execute("drop database if exists unmigrated")
    await connection.execute("create database unmigrated")
    yield servers.postgres.url.removesuffix("sluice") + "unmigrated"
    # Not `with (force)`: it needs rights over the account of a running autovacuum, which a plain drop makes leave.
    ours = "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'unmigrated' and usename = current_user"
    await connection.fetch(ours)
    await connection.execute("drop database unmigrated")
    await connection.close()


async def test_a_schema_that_is_missing_is_waited_for_and_the_command_is_named(
    bare_stack: Stack, fresh: str
) -> None:
    api = bare_stack.add_api(postgres_url=fresh)

    why = ""

    async def unfit() -> bool:
        nonlocal why
        found = (await check(api)).get("dependencies", {}).get("postgresql", {})
        why = found.get("why", "")
        return bool(found.get("status") == "unfit")

    await until_found(unfit)
    assert f"revision none, this release needs {NEWEST_REVISION}" in why
    assert "run sluice migrate" in why
    await migrate(fresh)
    await api.ready()
    assert api.stop() == 0


async def test_an_older_schema_is_waited_for_and_a_newer_one_is_good(servers: Servers, fresh: str) -> None:
    assert await migrate(fresh) == NEWEST_REVISION
    sql = await asyncpg.connect(fresh)
    database = Database(fresh, "tests", Telemetry(), 1)
    await sql.execute("update alembic_version set version_num = '0000'")
    with pytest.raises(ServerUnfit, match="revision 0000"):
        await database.fetch("ping", budget_s=5)
    await sql.execute("update alembic_version set version_num = '9999'")
    await database.fetch("ping", budget_s=5)
    await database.close()
    await sql.close()


async def test_a_server_that_takes_no_writes_is_waited_for(servers: Servers) -> None:
    config_problems = ConfigProblems(Telemetry())
    database = Database(servers.postgres.url, "tests", Telemetry(), 1, ServerChecks(config_problems))
    async with by_default(servers, "role sluice", "default_transaction_read_only", "on"):
        with pytest.raises(ServerUnfit, match="takes no writes"):
            await database.fetch("ping", budget_s=5)
    await database.fetch("ping", budget_s=5)
    await database.close()
    config_problems.check()


async def test_a_server_that_stops_taking_writes_is_not_ready(servers: Servers) -> None:
    database = Database(servers.postgres.url, "tests", Telemetry(), 1)
    server = PostgresServer(database, settings_for(servers).record_budget_s)
    await server.ping()
    async with weakened(servers, default_transaction_read_only="on"):

        async def unfit() -> bool:
            try:
                await server.ping()
            except ServerUnfit:
                return True
            return False

        await until_found(unfit)
    await until_found(lambda: _answers(server))
    await database.close()


async def test_who_is_connected_and_may_open_too_many_connections_is_counted(servers: Servers) -> None:
    names = ["sluice-lease", *["sluice-api"] * 3, "psql"]
    database = Database(servers.postgres.url, "sluice-consumer", Telemetry(), 1)
    server = PostgresServer(database, 5)
    before = (await server.ask("count_sessions"))[0]
    sessions = [
        await asyncpg.connect(servers.postgres.url, server_settings={"application_name": each})
        for each in names
    ]
    try:
        found = (await server.ask("count_sessions"))[0]
        assert [now - then for now, then in zip(found, before, strict=True)] == [1, 3, 1, 0]
        assert await describe_crowding(server.ask, 2) == []
        (line,) = await describe_crowding(server.ask, found["most"])
    finally:
        for session in sessions:
            await session.close()
        await database.close()
    assert "1 consumers, 1 apis or more and" in line


async def _answers(server: PostgresServer) -> bool:
    try:
        await server.ping()
    except ServerAway:
        return False
    return True


async def test_an_inspection_without_an_answer_takes_no_longer_than_the_call_may(servers: Servers) -> None:
    class Endless(ServerChecks):
        async def check(self, fetch: Fetch) -> None:
            await fetch("sleep")

    database = Database(servers.postgres.url, "tests", Telemetry(), 1, Endless())
    database._queries = {**database._queries, "sleep": "select pg_sleep(60)"}
    async with asyncio.timeout(10):
        with pytest.raises(ServerAway):
            await database.fetch("ping", budget_s=0.2)
        await database.close()


async def test_a_process_ends_where_redis_will_surprise(servers: Servers) -> None:
    async with full_redis(servers):
        line = await refused_start(servers, "api")
    assert "maxmemory-policy = noeviction" in line
    assert "CONFIG SET maxmemory-policy allkeys-lru" in line


async def test_a_redis_that_comes_later_with_bad_settings_is_only_reported(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CHECK_S", 0.02)
    await asyncio.to_thread(servers.redis.stop)
    try:
        async with open_for(servers) as opened:
            await opened.pings["postgresql"]()
            await asyncio.sleep(0.1)
            await asyncio.to_thread(servers.redis.start)
            async with full_redis(servers):
                await until(lambda: opened.config_problems.lines)
                assert "noeviction" in opened.config_problems.lines[0]
            await until(lambda: not opened.config_problems.lines)
            opened.config_problems.check()
    finally:
        await asyncio.to_thread(servers.redis.start)


async def test_a_redis_that_keeps_its_settings_to_itself_is_taken_as_it_is(servers: Servers) -> None:
    client = redis.Redis.from_url(servers.redis.url)
    await client.acl_setuser(
        "shy", enabled=True, passwords=["+secret"], keys=["*"], channels=["*"], categories=["+@all"],
        commands=["-info", "-config"],
    )  # fmt: skip
    shy = RedisConnection(
        f"redis://shy:secret@127.0.0.1:{servers.redis.port}/0", "tests", Telemetry(), 0.5, RecordIdentity()
    )
    try:
        assert await shy.settings() == {}
        await shy.ping()
    finally:
        await shy.close()
        await client.acl_deluser("shy")
        await client.aclose()

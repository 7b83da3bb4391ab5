"""Which settings of a server are weak, and what the operator is told to do."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.adapters.postgres.server_checks import NEWEST_REVISION, ServerChecks, describe_crowding
from sluice.adapters.redis.server_checks import is_cluster, refuses_writes, stops_after_snapshot
from sluice.adapters.server_checks import ConfigProblems
from sluice.core.errors import ServerUnfit
from sluice.core.runtime.record_identity import RecordIdentity
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.errors import StartRefused
from tests.support.fakes import Events

GOOD = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "read_only": False,
    "release": 150_018,
    "revision": NEWEST_REVISION,
    "standby_may_lag": False,
    "identity": "one",
    "lost": [],
}
FILE = "configuration file"


async def check(inspection: ServerChecks, source: str = FILE, **changes: object) -> None:
    """As if a server had answered so."""

    async def ask(query: str, *args: Any) -> list[Any]:
        if query == "server_settings":
            return [GOOD | changes]
        return [{"name": name, "source": source, "role": "sluice", "database": "jobs"} for name in args[0]]

    await inspection.check(ask)


async def final(source: str = FILE, **changes: object) -> str:
    """The line with which the process ends."""
    config_problems = ConfigProblems(Telemetry())
    with pytest.raises(ServerUnfit):
        await check(ServerChecks(config_problems), source, **changes)
    with pytest.raises(StartRefused) as refused:
        config_problems.check()
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "source", "remedy"),
    [
        ("fsync", "off", FILE, "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();"),
        ("full_page_writes", "off", FILE, "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();"),
        ("synchronous_commit", "off", FILE, "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();"),
        ("synchronous_commit", "local", FILE, "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();"),
        ("synchronous_commit", "off", "user", "ALTER ROLE sluice RESET synchronous_commit;"),
        ("synchronous_commit", "off", "database", "ALTER DATABASE jobs RESET synchronous_commit;"),
        ("synchronous_commit", "off", "database user", "ALTER ROLE sluice IN DATABASE jobs RESET synchronous_commit;"),
        ("synchronous_commit", "off", "client",
         "take synchronous_commit out of the options of SLUICE_POSTGRES_URL;"),
        ("fsync", "off", "command line", "start the server without fsync on its command line;"),
    ],
)  # fmt: skip
async def test_a_setting_that_may_lose_jobs_is_final_and_comes_with_its_remedy(
    name: str, value: str, source: str, remedy: str
) -> None:
    line = await final(source, **{name: value})
    assert f"{name} = {value}" in line
    assert line.endswith(f"Remedy: {remedy}")


async def test_one_line_names_all_that_is_weak() -> None:
    line = await final(fsync="off", full_page_writes="off")
    assert "fsync = off, full_page_writes = off" in line
    assert line.endswith(
        "ALTER SYSTEM SET fsync = on; ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();"
    )


async def test_a_session_that_loses_its_settings_is_shared_by_a_pooler_and_refused() -> None:
    line = await final(lost=["statement_timeout", "lock_timeout"])
    assert "pool_mode = session" in line
    assert line.endswith("ALTER ROLE … SET statement_timeout = '5s'; ALTER ROLE … SET lock_timeout = '2s';")


@pytest.mark.parametrize("value", ["on", "remote_write", "remote_apply"])
async def test_a_commit_that_waits_for_the_disk_is_good(value: str) -> None:
    config_problems = ConfigProblems(Telemetry())
    await check(ServerChecks(config_problems), synchronous_commit=value)
    config_problems.check()
    assert config_problems.lines == []


async def test_a_server_that_is_too_old_is_final_whatever_is_accepted() -> None:
    line = await final(release=140_022)
    assert "release 14; it has to be 15 or newer" in line
    assert line.endswith("upgrade it")
    with pytest.raises(ServerUnfit):
        await check(ServerChecks(accept=True), release=140_022)


async def test_the_oldest_server_that_is_taken_is_good() -> None:
    await check(ServerChecks(), release=150_000)


async def test_weak_settings_that_were_accepted_are_noted_and_said() -> None:
    events = Events()
    config_problems = ConfigProblems(Telemetry(events))
    await check(ServerChecks(config_problems, accept=True), fsync="off")
    config_problems.check()
    (line,) = config_problems.lines
    assert "fsync = off" in line
    assert events.count(Event.DOUBTED) == 1
    await check(ServerChecks(config_problems, accept=True))
    assert config_problems.lines == []


async def test_a_standby_is_waited_for() -> None:
    config_problems = ConfigProblems(Telemetry())
    with pytest.raises(ServerUnfit, match="takes no writes"):
        await check(ServerChecks(config_problems), read_only=True)
    config_problems.check()


@pytest.mark.parametrize(
    ("found", "surprises"),
    [
        ({"maxmemory": "1000", "maxmemory_policy": "noeviction"}, True),
        ({"maxmemory": "0", "maxmemory_policy": "noeviction"}, False),
        ({"maxmemory_policy": "noeviction"}, False),
        ({"maxmemory": "1000", "maxmemory_policy": "allkeys-lru"}, False),
        ({"maxmemory": "1000", "maxmemory_policy": "volatile-ttl"}, False),
        ({}, False),
    ],
)
def test_a_redis_that_refuses_writes_when_it_is_full_surprises(
    found: dict[str, str], surprises: bool
) -> None:
    assert ("CONFIG SET maxmemory-policy allkeys-lru" in refuses_writes(found)) is surprises


@pytest.mark.parametrize(
    ("found", "surprises"),
    [
        ({"save": "3600 1", "stop-writes-on-bgsave-error": "yes"}, True),
        ({"save": "", "stop-writes-on-bgsave-error": "yes"}, False),
        ({"save": "3600 1", "stop-writes-on-bgsave-error": "no"}, False),
        ({}, False),
    ],
)
def test_a_redis_that_refuses_writes_after_a_snapshot_failed_surprises(
    found: dict[str, str], surprises: bool
) -> None:
    assert ('CONFIG SET save ""' in stops_after_snapshot(found)) is surprises


@pytest.mark.parametrize(("told", "lines"), [(False, 1), (True, 0)])
async def test_a_standby_that_may_lag_is_a_problem_unless_it_is_known(told: bool, lines: int) -> None:
    config_problems = ConfigProblems(Telemetry())
    await check(ServerChecks(config_problems, standby_may_lag=told), standby_may_lag=True)
    config_problems.check()
    assert len(config_problems.lines) == lines
    assert all("synchronous_standby_names" in line for line in config_problems.lines)


async def test_the_identity_of_a_server_that_does_not_pass_is_not_learned() -> None:
    identity = RecordIdentity()
    checks = ServerChecks(identity=identity)
    with pytest.raises(ServerUnfit):
        await check(checks, read_only=True, identity=None)
    assert identity.current == ""
    await check(checks)
    assert identity.current == "one"


@pytest.mark.parametrize(("of_apis", "most", "lines"), [(0, 45, 0), (0, 44, 1), (11, 65, 0), (11, 64, 1)])
async def test_a_fleet_that_may_open_more_connections_than_there_are_is_a_problem(
    of_apis: int, most: int, lines: int
) -> None:
    async def ask(query: str, *_: Any) -> list[Any]:
        return [(3, of_apis, 9, most)] if query == "count_sessions" else []

    found = await describe_crowding(ask, 10)
    assert len(found) == lines
    assert all("SLUICE_POSTGRES_CONNECTIONS (now 10)" in each for each in found)


@pytest.mark.parametrize(
    ("found", "cluster"), [({"cluster_enabled": "1"}, True), ({"cluster_enabled": "0"}, False), ({}, False)]
)
def test_a_redis_cluster_is_told_from_a_redis(found: dict[str, str], cluster: bool) -> None:
    assert ("redis+sentinel://" in is_cluster(found)) == cluster

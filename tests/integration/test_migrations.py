"""Migrations: any number of processes may bring the schema up at once, and doing it again changes nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from yarl import URL

from infra.local.servers import Servers
from sluice.adapters.postgres.migrate import LOCK, migrate
from sluice.cli import main
from sluice.core.errors import CredentialsRefused
from sluice.core.runtime.given_settings import PREFIX
from tests.integration.test_http import sluice
from tests.support.servers import urls
from tests.support.waiting import until_found

FRESH = "fresh"
HEAD = "0012"
TABLES = {
    "alembic_version", "api_keys", "attempts", "audit", "batches", "bulk_acts", "consumers", "duties", "endings", "error_marks", "idempotency_keys", "inputs", "jobs", "lanes", "listeners", "logs", "outbox", "schedules", "stored_bytes", "stored_walk", "webhook_deliveries", "webhook_endpoints", "webhook_verifications",
}  # fmt: skip


@pytest.fixture
async def url(servers: Servers) -> AsyncIterator[str]:
    """Make an empty database."""
    connection = await asyncpg.connect(servers.postgres.url)
    await connection.execute(f"drop database if exists {FRESH}")
    await connection.execute(f"create database {FRESH}")
    yield servers.postgres.url.removesuffix("sluice") + FRESH
    # Not `with (force)`: it needs rights over the account of a running autovacuum, which a plain drop makes leave.
    ours = (
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and usename = current_user"
    )
    await connection.fetch(ours, FRESH)
    await connection.execute(f"drop database {FRESH}")
    await connection.close()


async def schema(url: str) -> list[tuple[str, str, str]]:
    """Return every column there is."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "select table_name, column_name, data_type from information_schema.columns where table_schema = 'public'"
            " order by 1, 2"
        )
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


async def test_the_schema_is_made_and_making_it_again_changes_nothing(url: str) -> None:
    assert await migrate(url) == HEAD
    made = await schema(url)
    assert {table for table, _, _ in made} == TABLES
    assert await migrate(url) == HEAD
    assert await schema(url) == made


async def test_processes_that_start_together_migrate_one_after_the_other(url: str) -> None:
    assert await asyncio.gather(*(migrate(url) for _ in range(6))) == [HEAD] * 6
    assert {table for table, _, _ in await schema(url)} == TABLES


async def test_whoever_migrates_is_waited_for_however_long_it_takes(url: str) -> None:
    rival = await asyncpg.connect(url)
    await rival.execute("select pg_advisory_lock($1)", LOCK)
    migrating = asyncio.create_task(migrate(url))
    asked = "select count(*) from pg_stat_activity where datname = $1 and query like '%pg_try_advisory_lock%'"
    await until_found(lambda: rival.fetchval(asked, FRESH))
    assert await schema(url) == []
    await rival.close()
    assert await migrating == HEAD


async def test_the_command_says_what_it_did(url: str, servers: Servers) -> None:
    for _ in range(2):
        done = await sluice(servers, "migrate", SLUICE_POSTGRES_URL=url)
        assert done == (0, f"record at revision {HEAD}\n", "")


def test_the_command_names_the_setting_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    assert main(["migrate"]) == 2
    said, complained = capsys.readouterr()
    assert said == ""
    assert complained.startswith("sluice: ")
    assert "SLUICE_POSTGRES_URL" in complained
    assert complained.count("\n") == 1


@pytest.mark.parametrize(
    ("part", "wrong"),
    [("@127.0.0.1", "@127.0.0.2"), ("://sluice:", "://sluice:not"), ("/sluice", "/nothing")],
)
def test_the_command_fails_in_one_line_where_it_cannot_come_in(
    servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    part: str,
    wrong: str,
) -> None:
    for name, value in urls(servers).items():
        monkeypatch.setenv(name, value)
    head, _, tail = servers.postgres.url.rpartition(part)
    monkeypatch.setenv("SLUICE_POSTGRES_URL", head + wrong + tail)
    assert main(["migrate"]) == 2
    complained = capsys.readouterr().err
    assert complained.startswith("sluice: ")
    assert complained.count("\n") == 1
    assert servers.postgres.password not in complained


async def test_a_wrong_password_is_said_by_the_name_of_its_setting(url: str) -> None:
    with pytest.raises(CredentialsRefused, match="the password in SLUICE_POSTGRES_URL"):
        await migrate(str(URL(url).with_password("wrong")))

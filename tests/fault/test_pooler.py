"""PgBouncer stands before PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from infra.local.programs import apt_line, missing
from infra.local.run_as import temporary_directory
from infra.local.servers import Servers
from sluice.adapters.postgres.connecting import SETTINGS
from sluice.adapters.postgres.migrate import migrate
from sluice.adapters.postgres.pool import connect
from sluice.adapters.postgres.server_checks import NEWEST_REVISION
from sluice.adapters.postgres.verifier import PostgresVerifier
from sluice.errors import SluiceError
from tests.fault.claims import check_claims
from tests.support.job_client import SUM
from tests.support.load import Load
from tests.support.pgbouncer import PgBouncer
from tests.support.servers import settings_for
from tests.support.stack import Stack

pytestmark = pytest.mark.skipif(
    bool(missing(["pgbouncer"])), reason=f"pgbouncer is not installed: {apt_line(['pgbouncer'])}"
)


@pytest.fixture
def pooler(servers: Servers, request: pytest.FixtureRequest) -> Iterator[PgBouncer]:
    """Run PgBouncer in the mode that is the parameter."""
    started = PgBouncer(temporary_directory("sluice-pooler-"), servers.postgres, request.param)
    try:
        started.start()
        yield started
    finally:
        started.stop()
        shutil.rmtree(started.directory)


@pytest.mark.parametrize("pooler", ["session"], indirect=True)
async def test_behind_a_pooler_in_session_mode_all_works_and_its_restart_loses_nothing(
    servers: Servers, pooler: PgBouncer, tmp_path: Path
) -> None:
    with Stack(servers, tmp_path, postgres_url=pooler.url) as stack:
        await stack.start(consumers=2)
        load = Load(stack)
        async with load.running():
            await load.more(60)
            await asyncio.to_thread(pooler.kill)
            await asyncio.to_thread(pooler.start)
            await load.more(60)
        await load.check()
        await check_claims(stack)


@pytest.mark.parametrize("pooler", ["session"], indirect=True)
async def test_behind_a_pooler_a_session_has_its_settings(pooler: PgBouncer) -> None:
    connection = await connect(pooler.url, "tests")
    found = {name: await connection.fetchval(f"show {name}") for name in SETTINGS}
    assert found == SETTINGS
    await connection.close()


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
async def test_a_process_ends_behind_a_pooler_that_loses_prepared_statements_or_settings(
    servers: Servers, pooler: PgBouncer, tmp_path: Path
) -> None:
    with Stack(servers, tmp_path, postgres_url=pooler.url) as stack:
        with suppress(AssertionError):  # it may end before it is ready
            await stack.start(consumers=0)
        api = stack.apis[0]
        assert api.process is not None
        async with stack.client() as client:
            while api.process.poll() is None:
                asked = (client.post("/v1/jobs", json=SUM) for _ in range(16))
                await asyncio.gather(*asked, return_exceptions=True)
        assert api.process.returncode == 2
        said = api.log.read_text().splitlines()[-1]
        assert "max_prepared_statements" in said or "pool_mode = session" in said


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
async def test_a_migration_behind_a_pooler_that_shares_sessions_is_refused(pooler: PgBouncer) -> None:
    with pytest.raises(SluiceError, match="run sluice migrate past it"):
        await migrate(pooler.url)


@pytest.mark.parametrize("pooler", ["session"], indirect=True)
async def test_a_migration_and_a_look_at_the_invariants_work_in_session_mode(
    servers: Servers, pooler: PgBouncer
) -> None:
    assert await migrate(pooler.url) == NEWEST_REVISION
    verifier = PostgresVerifier(pooler.url, settings_for(servers))
    assert [each for each in await verifier.verify(100) if each.offenders] == []

"""What every LeaseStore does: the one in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import asyncpg
import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.control_store import PostgresControlStore
from sluice.adapters.postgres.job_store import PostgresJobStore
from sluice.adapters.postgres.lease_store import Serves, open_lease_store
from sluice.adapters.postgres.pool import Database
from sluice.core.errors import ServerAway
from sluice.core.job import Claim
from sluice.core.lifecycle import released
from sluice.core.owner import Owner
from sluice.core.ports import LeaseStore
from tests.contract.conftest import KINDS
from tests.support.fake_lease_store import FakeLeaseStore
from tests.support.leases import new_owner
from tests.support.make_jobs import new_job
from tests.support.servers import settings_for


class Leasing(NamedTuple):
    """A store that holds no lease, two claims, and what may become of a claim and of a lease."""

    store: LeaseStore
    claims: tuple[Claim, Claim]
    lose: Callable[[Claim], Awaitable[object]]
    ask_to_cancel: Callable[[Claim], Awaitable[object]]
    end_lease: Callable[[], Awaitable[object]]
    leave: Callable[[], object]


@pytest.fixture
async def leasing(servers: Servers | None, database: Database | None) -> AsyncIterator[Leasing]:
    """A store, and two claims."""
    if servers is None or database is None:
        yield _in_memory()
        return
    owner = Owner()
    store = await open_lease_store(servers.postgres.url, owner, Serves(["default"], KINDS), 60)
    sql = await asyncpg.connect(servers.postgres.url)
    yield await _on_postgresql(servers, database, store, sql, owner)
    await store.close()
    sql.terminate()


def _in_memory() -> Leasing:
    fake = FakeLeaseStore()

    async def lose(claim: Claim) -> None:
        fake.lost.add(claim)

    async def ask_to_cancel(claim: Claim) -> None:
        fake.cancelled.add(claim)

    async def end_lease() -> None:
        fake.over = True

    claims = Claim(new_job().id, 1, UUID(int=1)), Claim(new_job().id, 1, UUID(int=1))
    return Leasing(fake, claims, lose, ask_to_cancel, end_lease, lambda: setattr(fake, "away", True))


async def _on_postgresql(
    servers: Servers,
    database: Database,
    store: LeaseStore,
    sql: asyncpg.Connection[asyncpg.Record],
    owner: Owner,
) -> Leasing:
    settings = settings_for(servers)
    jobs = PostgresJobStore(database, await new_owner(sql), settings)
    control = PostgresControlStore(database, settings)
    accepted = await jobs.accept([new_job(), new_job()])
    first, second = await jobs.claim([*accepted.ids], KINDS)
    held = {job.claim: job for job in (first, second)}
    return Leasing(
        store,
        (first.claim, second.claim),
        lambda claim: jobs.settle([released(held[claim])]),
        lambda claim: control.cancel("acme", claim.id),
        lambda: sql.execute("update consumers set lease_until = now() where id = $1", owner.id),
        servers.postgres.kill,
    )


async def test_a_lease_is_taken_and_renewed_until_it_is_over(leasing: Leasing) -> None:
    assert not await leasing.store.renew(b"{}")
    await leasing.store.take()
    assert await leasing.store.renew(b'{"default":{}}')
    await leasing.end_lease()
    assert not await leasing.store.renew(b"{}")


async def test_a_lease_that_was_never_taken_can_be_ended(leasing: Leasing) -> None:
    await leasing.store.end()
    assert not await leasing.store.renew(b"{}")


async def test_progress_makes_a_version_where_the_claim_holds(leasing: Leasing) -> None:
    kept, lost = leasing.claims
    await leasing.lose(lost)
    assert await leasing.store.store_progress({kept: b'{"percent":1}', lost: b"1"}) == {kept.id: 3}
    assert await leasing.store.store_progress({kept: b"2"}) == {kept.id: 4}


async def test_cancels_are_found_where_the_claim_holds(leasing: Leasing) -> None:
    wanted, other = leasing.claims
    assert await leasing.store.find_cancels([]) == []
    await leasing.ask_to_cancel(wanted)
    assert await leasing.store.find_cancels([wanted, other]) == [wanted]
    strange = wanted._replace(fence=9), wanted._replace(owner=UUID(int=9))
    assert await leasing.store.find_cancels([other, *strange]) == []


async def test_a_record_that_is_away_says_so(leasing: Leasing) -> None:
    leasing.leave()
    with pytest.raises(ServerAway):
        await leasing.store.renew(b"{}")

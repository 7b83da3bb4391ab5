"""Leases in a real record, as consumers and keepers have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import asyncpg

from sluice.core.job import Job
from sluice.core.owner import Owner
from sluice.core.ports import KeeperStore

KINDS = ("demo.sum", "demo.sleep")
Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def new_owner(
    sql: Sql, lease_s: float = 3_600, kinds: Sequence[str] = KINDS, version: int = 1
) -> Owner:
    """Take a lease for a process of the test; with a negative one, it has died."""
    owner = Owner()
    await give_lease(sql, owner, lease_s, kinds, version)
    return owner


async def give_lease(
    sql: Sql, owner: Owner, lease_s: float = 3_600, kinds: Sequence[str] = KINDS, version: int = 1
) -> None:
    """Take a lease under this id, for a consumer that serves these kinds in the usual lanes."""
    await sql.execute(
        "insert into consumers (id, host, pid, release, lanes, kinds, versions, lease_until)"
        " values ($1, 'test', 1, 'test', '{default,heavy}', $3, $4, clock_timestamp() + $2 * interval '1 second')",
        owner.id, lease_s, list(kinds), [version] * len(kinds),
    )  # fmt: skip


async def expire(sql: Sql, *job_ids: str) -> None:
    """Let these running jobs have been claimed by a consumer that has died."""
    owner = await new_owner(sql, -1)
    held = "update jobs set owner = $2 where id = any($1::uuid[]) and state = 'running'"
    await sql.execute(held, list(job_ids), owner.id)


async def rescue(keeper: KeeperStore) -> list[Job]:
    """Rescue every job of every dead consumer, as the duty does."""
    leases = await keeper.take_dead_leases()
    rescued = await keeper.rescue(await keeper.find_held_jobs(leases), leases) if leases else []
    await keeper.drop_leases(leases)
    return rescued

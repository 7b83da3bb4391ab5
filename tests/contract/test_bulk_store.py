"""What every BulkStore does: the one in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from infra.local.servers import Servers
from sluice.adapters.postgres.bulk_store import PostgresBulkStore
from sluice.adapters.postgres.pool import Database
from sluice.core.access import OPERATOR, Actor
from sluice.core.bulk import MOST_UNFINISHED, BulkAct, NewBulkAct
from sluice.core.job import IdempotencyKeyUse
from sluice.core.listing import ABOVE_ALL, Filter
from sluice.core.ports import BulkStore
from sluice.core.runtime.ids import new_job_id
from tests.support.fake_bulk_store import FakeBulkStore
from tests.support.fake_record import FakeRecord
from tests.support.servers import settings_for

BY = Actor("abcdefabcdef", "a-request")
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
WANTED = Filter(("failed", "queued"), "demo.sum", "nightly", AT, None, "0123456789abcdef")


@pytest.fixture
def store(servers: Servers | None, database: Database | None) -> BulkStore:
    """An empty one."""
    if servers is None or database is None:
        return FakeBulkStore(FakeRecord())
    return PostgresBulkStore(database, settings_for(servers))


def new(**changes: Any) -> NewBulkAct:
    made = NewBulkAct(new_job_id(), "acme", "cancel", WANTED, 5, 2.5, 0.25, True, 3_600)
    return made._replace(**changes)


async def begun(store: BulkStore, **changes: Any) -> BulkAct:
    """An act that is there now."""
    act = await store.open_act(new(**changes), BY)
    assert act
    return act


async def test_an_act_is_kept_as_it_was_asked_for(store: BulkStore) -> None:
    act = await begun(store)
    assert act[1:14] == ("acme", "cancel", WANTED, 5, 2.5, 0.25, "counting", None, 1, ABOVE_ALL, 0, 0, None)
    assert act.finished_at is None
    assert act.due_in_s is not None
    found = await store.find_act("acme", act.id)
    assert found
    assert found[:-1] == act[:-1]
    assert await store.find_act("other", act.id) is None
    assert await store.find_act("acme", new_job_id()) is None


async def test_it_begins_with_what_was_asked_for(store: BulkStore) -> None:
    assert (await begun(store, dry_run=False)).state == "canary"
    act = await begun(store, dry_run=False, canary=0)
    assert (act.state, act.matched) == ("running", None)


async def test_acts_are_listed_newest_first_page_by_page(store: BulkStore) -> None:
    ids = [(await begun(store)).id for _ in range(5)]
    await begun(store, tenant="other")
    first = [act.id for act in await store.list_acts("acme", ABOVE_ALL, 2)]
    rest = [act.id for act in await store.list_acts("acme", first[-1], 9)]
    assert [*first, *rest] == ids[::-1]
    assert await store.list_acts("nobody", ABOVE_ALL, 9) == []


async def test_a_key_stands_for_the_first_act_of_its_tenant(store: BulkStore) -> None:
    first = await begun(store, key="k", request_hash=b"h")
    assert await store.open_act(new(key="k", request_hash=b"h"), BY) is None
    await begun(store, tenant="other", key="k", request_hash=b"h")
    assert await store.find_act_by_key("acme", "k") == IdempotencyKeyUse(b"h", first.id)
    assert await store.find_act_by_key("acme", "unused") is None


async def test_a_tenant_has_so_many_that_have_not_ended(store: BulkStore) -> None:
    acts = [await begun(store) for _ in range(MOST_UNFINISHED)]
    assert await store.open_act(new(), BY) is None
    await begun(store, tenant="other")
    await store.abort("acme", acts[0].id, OPERATOR)
    await begun(store)


async def test_only_one_that_waits_can_be_let_go_on(store: BulkStore) -> None:
    act = await begun(store)
    assert await store.go("acme", act.id, None, BY) is None
    assert await store.go("acme", new_job_id(), None, BY) is None


async def test_an_act_is_aborted_once_by_its_tenant(store: BulkStore) -> None:
    act = await begun(store)
    assert await store.abort("other", act.id, BY) is None
    aborted = await store.abort("acme", act.id, BY)
    assert aborted
    assert (aborted.state, aborted.version, aborted.due_in_s) == ("aborted", 2, None)
    assert aborted.finished_at
    assert await store.abort("acme", act.id, BY) is None

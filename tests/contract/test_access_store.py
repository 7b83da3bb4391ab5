"""What every AccessStore does: the one in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from sluice.adapters.postgres.access_store import PostgresAccessStore
from sluice.adapters.postgres.pool import Database
from sluice.core.access import MOST_KEYS, OPERATOR, Actor, ListedKey, NewApiKey
from sluice.core.ports import AccessStore
from tests.support.fake_access_store import FakeAccessStore
from tests.support.fake_record import FakeRecord

BY = Actor("abcdefabcdef", "a-request")
ADMIN = frozenset({"admin", "read"})
DAY = timedelta(days=1)


@pytest.fixture
def store(database: Database | None) -> AccessStore:
    """An empty one."""
    return FakeAccessStore(FakeRecord()) if database is None else PostgresAccessStore(database, 5)


def new(number: int, tenant: str = "acme", scopes: frozenset[str] = ADMIN, **more: Any) -> NewApiKey:
    return NewApiKey(f"{number:012}", tenant, scopes, b"h" * 32, **more)


async def made(store: AccessStore, number: int, **changes: Any) -> ListedKey:
    """A key that is there now."""
    found = await store.insert_api_key(new(number, **changes), BY)
    assert found
    return found


async def test_a_key_is_kept_and_shown_to_its_tenant(store: AccessStore) -> None:
    key = await made(store, 1, name="importer", expires_days=3)
    assert key[:4] == ("000000000001", "acme", "importer", ["admin", "read"])
    assert key.expires_at == key.created_at + 3 * DAY
    assert key[6:] == (None, None, None, True, None)
    assert await store.show_api_key("acme", key.key_id) == key
    assert await store.show_api_key("other", key.key_id) is None
    assert (await made(store, 2)).expires_at is None


async def test_keys_are_listed_newest_first_page_by_page(store: AccessStore) -> None:
    keys = [await made(store, number) for number in range(5)]
    await made(store, 9, tenant="other")
    first = await store.page_api_keys("acme", "", 2)
    rest = await store.page_api_keys("acme", first[-1].key_id, 9)
    assert [*first, *rest] == keys[::-1]
    assert await store.page_api_keys("nobody", "", 9) == []


async def test_a_key_is_revoked_once_by_its_tenant(store: AccessStore) -> None:
    key = await made(store, 1, scopes=frozenset({"read"}))
    assert not await store.revoke_api_key("other", key.key_id, BY)
    assert not await store.revoke_api_key("acme", "unknown", BY)
    assert await store.revoke_api_key("acme", key.key_id, BY)
    (gone,) = await store.page_api_keys("acme", "", 9)
    assert (gone.usable, gone.revoked_at is not None) == (False, True)
    assert not await store.revoke_api_key("acme", key.key_id, BY, even_last=True)
    assert await store.page_api_keys("acme", "", 9) == [gone]


async def test_the_last_good_admin_stays_unless_it_is_meant(store: AccessStore) -> None:
    first, second = await made(store, 1), await made(store, 2)
    await made(store, 3, tenant="other")
    await made(store, 4, scopes=frozenset({"read"}))
    assert await store.revoke_api_key("acme", first.key_id, BY)
    assert not await store.revoke_api_key("acme", second.key_id, BY)
    assert await store.show_api_key("acme", second.key_id) == second
    assert await store.revoke_api_key("acme", second.key_id, BY, even_last=True)


async def test_a_rotated_key_has_a_successor_and_ends_soon(store: AccessStore) -> None:
    old = await made(store, 1, name="importer", expires_days=3)
    found = await store.rotate_api_key(old.key_id, new(2), 600, BY)
    assert found
    successor, ends = found
    assert successor[:4] == ("000000000002", "acme", "importer", ["admin", "read"])
    assert successor.expires_at == successor.created_at + 3 * DAY
    assert ends == successor.created_at + timedelta(seconds=600)
    shown = await store.show_api_key("acme", old.key_id)
    assert shown == old._replace(expires_at=ends, replaced_by=successor.key_id)


async def test_a_key_rotated_twice_ends_no_later_and_its_successors_live_as_long(store: AccessStore) -> None:
    old = await made(store, 1)
    first = await store.rotate_api_key(old.key_id, new(2), 600, BY)
    second = await store.rotate_api_key(old.key_id, new(3), 6_000, BY)
    assert first
    assert second
    assert second[1] == first[1]
    assert (first[0].expires_at, second[0].expires_at) == (None, None)


async def test_only_a_good_key_of_the_tenant_with_no_other_scopes_is_rotated(store: AccessStore) -> None:
    old = await made(store, 1)
    assert await store.rotate_api_key(old.key_id, new(2, tenant="other"), 600, BY) is None
    assert await store.rotate_api_key(old.key_id, new(2, scopes=frozenset({"read"})), 600, BY) is None
    await store.revoke_api_key("acme", old.key_id, BY, even_last=True)
    assert await store.rotate_api_key(old.key_id, new(2), 600, BY) is None
    assert len(await store.page_api_keys("acme", "", 9)) == 1


async def test_what_is_done_is_listed_newest_first_with_who_did_it(store: AccessStore) -> None:
    old = await made(store, 1)
    await made(store, 9, tenant="other")
    await store.rotate_api_key(old.key_id, new(2), 600, BY)
    await store.revoke_api_key("acme", old.key_id, OPERATOR)
    assert not await store.revoke_api_key("acme", old.key_id, BY)
    entries = await store.list_audit("acme", 2**63 - 1, 9)
    assert [(each.key_id, each.action, each.object) for each in entries] == [
        (None, "key.revoke", f"key/{old.key_id}"),
        (BY.key_id, "key.rotate", f"key/{old.key_id}"),
        (BY.key_id, "key.create", f"key/{old.key_id}"),
    ]
    assert orjson.loads(entries[1].detail)["request_id"] == "a-request"
    assert "request_id" not in orjson.loads(entries[0].detail)
    assert await store.list_audit("acme", entries[0].id, 1) == entries[1:2]
    assert len(await store.list_audit("other", 2**63 - 1, 9)) == 1


async def test_a_tenant_has_so_many_good_keys_at_most(store: AccessStore) -> None:
    keys = [await made(store, number) for number in range(MOST_KEYS)]
    assert await store.insert_api_key(new(MOST_KEYS), BY) is None
    assert await store.rotate_api_key(keys[0].key_id, new(MOST_KEYS), 600, BY) is None
    await made(store, 9_999, tenant="other")
    await store.revoke_api_key("acme", keys[0].key_id, BY)
    await made(store, MOST_KEYS)

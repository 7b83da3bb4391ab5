"""API keys in the record: how they end, who is told of, and that of those who revoke each other one stays."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from sluice.adapters.postgres.access_store import PostgresAccessStore
from sluice.adapters.postgres.api_key_store import PostgresApiKeyStore
from sluice.adapters.postgres.lane_store import PostgresLaneStore
from sluice.core.access import OPERATOR, Actor, NewApiKey
from sluice.core.ports import ApiKeyRecord
from tests.integration.record.record_fixture import Record

NEW = NewApiKey("abcdefghijkl", "acme", frozenset({"submit", "read"}), b"\x01" * 32)
ADMIN = NEW._replace(scopes=frozenset({"admin"}))
FOUND = ApiKeyRecord(*NEW[:4], usable=True)
BY = Actor("mnopqrstuvwx", "a-request")


@pytest.fixture
def keys(record: Record) -> PostgresApiKeyStore:
    return PostgresApiKeyStore(record.database, 5)


@pytest.fixture
def access(record: Record) -> PostgresAccessStore:
    return PostgresAccessStore(record.database, 5)


async def audit(record: Record) -> list[tuple[Any, ...]]:
    """What was written down, oldest first."""
    rows = await record.sql.fetch("select key_id, tenant, action, object, detail from audit order by id")
    return [(*row[:4], orjson.loads(row["detail"])) for row in rows]


async def test_a_key_is_found_as_it_was_kept(keys: PostgresApiKeyStore, access: PostgresAccessStore) -> None:
    await access.insert_api_key(NEW, OPERATOR)
    assert await keys.find_api_key(NEW.key_id, NEW.secret_hmac) == FOUND
    assert await keys.find_api_key("nobodyskeyid", NEW.secret_hmac) is None


async def test_a_revoked_or_expired_key_is_found_but_not_usable(
    keys: PostgresApiKeyStore, access: PostgresAccessStore, record: Record
) -> None:
    await access.insert_api_key(NEW._replace(expires_days=1), OPERATOR)
    found = await keys.find_api_key(NEW.key_id, NEW.secret_hmac)
    assert found
    assert found.lasts_s
    assert found._replace(lasts_s=None) == FOUND
    assert 86_400 - 120 < found.lasts_s <= 86_400
    await record.sql.execute("update api_keys set expires_at = now()")
    found = await keys.find_api_key(NEW.key_id, NEW.secret_hmac)
    assert found
    assert found.lasts_s is not None
    assert found._replace(lasts_s=None) == FOUND._replace(usable=False)
    assert -120 < found.lasts_s <= 0
    other = NEW._replace(key_id="mnopqrstuvwx")
    await access.insert_api_key(other, OPERATOR)
    await access.revoke_api_key("acme", other.key_id, OPERATOR)
    gone = await keys.find_api_key(other.key_id, NEW.secret_hmac)
    assert gone == FOUND._replace(key_id=other.key_id, usable=False)


async def test_only_a_good_key_with_its_secret_is_in_use_and_that_is_written_seldom(
    keys: PostgresApiKeyStore, access: PostgresAccessStore, record: Record
) -> None:
    used = "select last_used_at from api_keys"
    await access.insert_api_key(NEW, OPERATOR)
    await keys.find_api_key(NEW.key_id, b"\x02" * 32)
    assert await record.sql.fetchval(used) is None
    await keys.find_api_key(NEW.key_id, NEW.secret_hmac)
    at = await record.sql.fetchval(used)
    assert at is not None
    await keys.find_api_key(NEW.key_id, NEW.secret_hmac)
    assert await record.sql.fetchval(used) == at
    await record.sql.execute("update api_keys set last_used_at = now() - interval '61 seconds'")
    await keys.find_api_key(NEW.key_id, NEW.secret_hmac)
    assert await record.sql.fetchval(used) >= at
    await record.sql.execute("update api_keys set last_used_at = null, expires_at = now()")
    await keys.find_api_key(NEW.key_id, NEW.secret_hmac)
    assert await record.sql.fetchval(used) is None


async def test_every_key_is_listed_newest_first(
    keys: PostgresApiKeyStore, access: PostgresAccessStore
) -> None:
    await access.insert_api_key(NEW, OPERATOR)
    await access.insert_api_key(NEW._replace(key_id="mnopqrstuvwx", tenant="other"), OPERATOR)
    newer, older = await keys.list_api_keys()
    assert (newer.key_id, newer.tenant) == ("mnopqrstuvwx", "other")
    assert older == await access.show_api_key("acme", NEW.key_id)


async def test_what_is_done_with_keys_is_written_down_with_it(
    access: PostgresAccessStore, record: Record
) -> None:
    await access.insert_api_key(ADMIN._replace(name="importer"), OPERATOR)
    second = ADMIN._replace(key_id="000000000002")
    rotated = await access.rotate_api_key(ADMIN.key_id, second, 60, BY)
    assert rotated
    await access.revoke_api_key("acme", ADMIN.key_id, BY)
    old = f"key/{ADMIN.key_id}"
    created, turned, gone = await audit(record)
    assert created == (None, "acme", "key.create", old, {"name": "importer", "scopes": ["admin"]})
    ends = turned[-1].pop("ends_at")
    assert ends.startswith(rotated[1].isoformat()[:19])
    about = {"replaced_by": second.key_id, "request_id": "a-request"}
    assert turned == (BY.key_id, "acme", "key.rotate", old, about)
    assert gone == (
        BY.key_id, "acme", "key.revoke", old, {"name": "importer", "request_id": "a-request"}
    )  # fmt: skip


async def test_pauses_and_resumes_of_lanes_are_written_down_with_them(record: Record) -> None:
    lanes = PostgresLaneStore(record.database, 5)
    await lanes.resume_lane("heavy", "ops", BY)  # it was not paused
    await lanes.pause_lane("heavy", "the disk is full", "ops", BY)
    await lanes.resume_lane("heavy", "ops", BY)
    request = {"request_id": "a-request"}
    assert await audit(record) == [
        (BY.key_id, "ops", "lane.pause", "lane/heavy", {"reason": "the disk is full"} | request),
        (BY.key_id, "ops", "lane.resume", "lane/heavy", request),
    ]


async def test_what_is_not_done_is_not_written_down(access: PostgresAccessStore, record: Record) -> None:
    await access.insert_api_key(ADMIN, OPERATOR)
    assert not await access.revoke_api_key("acme", ADMIN.key_id, BY)
    assert not await access.revoke_api_key("other", ADMIN.key_id, BY)
    narrow = NEW._replace(key_id="000000000002", scopes=frozenset({"read"}))
    assert await access.rotate_api_key(ADMIN.key_id, narrow, 60, BY) is None
    assert [row[2] for row in await audit(record)] == ["key.create"]


async def test_an_expired_admin_is_none(access: PostgresAccessStore, record: Record) -> None:
    await access.insert_api_key(ADMIN, OPERATOR)
    await access.insert_api_key(ADMIN._replace(key_id="000000000002", expires_days=1), OPERATOR)
    await record.sql.execute("update api_keys set expires_at = now() where key_id = '000000000002'")
    assert not await access.revoke_api_key("acme", ADMIN.key_id, BY)
    assert await access.revoke_api_key("acme", "000000000002", BY)


async def test_of_admins_that_are_revoked_at_the_same_time_one_stays(
    access: PostgresAccessStore, record: Record
) -> None:
    await access.insert_api_key(ADMIN, OPERATOR)
    await access.insert_api_key(ADMIN._replace(key_id="000000000002"), OPERATOR)
    revoked = "update api_keys set revoked_at = now() where key_id = $1"
    async with record.locked(revoked, ADMIN.key_id) as rival:
        revoking = asyncio.create_task(access.revoke_api_key("acme", "000000000002", BY))
        await record.until_waiting()
        await rival.execute("commit")
        assert not await revoking
    assert await record.sql.fetchval("select count(*) from api_keys where revoked_at is null") == 1


async def test_a_key_that_is_revoked_at_the_same_time_is_not_rotated(
    access: PostgresAccessStore, record: Record
) -> None:
    await access.insert_api_key(ADMIN, OPERATOR)
    revoked = "update api_keys set revoked_at = now() where key_id = $1"
    async with record.locked(revoked, ADMIN.key_id) as rival:
        rotating = asyncio.create_task(
            access.rotate_api_key(ADMIN.key_id, ADMIN._replace(key_id="000000000002"), 60, BY)
        )
        await record.until_waiting()
        await rival.execute("commit")
        assert await rotating is None
    assert await record.sql.fetchval("select count(*) from api_keys") == 1

"""Hashes of API keys that are made anew while the pepper is changed, and what still hangs on which pepper."""

from __future__ import annotations

import asyncio

import pytest

from sluice.adapters.postgres.access_store import PostgresAccessStore
from sluice.adapters.postgres.api_key_store import PostgresApiKeyStore
from sluice.adapters.postgres.webhook_store import PostgresWebhookStore
from sluice.core.access import OPERATOR, NewApiKey
from tests.integration.record.record_fixture import Record

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
KEY = NewApiKey("abcdefghijkl", "acme", frozenset({"admin"}), OLD, pepper_id="old")
KEPT = "select secret_hmac, pepper_id from api_keys where key_id = 'abcdefghijkl'"


@pytest.fixture
def keys(record: Record) -> PostgresApiKeyStore:
    return PostgresApiKeyStore(record.database, 5)


@pytest.fixture
def access(record: Record) -> PostgresAccessStore:
    return PostgresAccessStore(record.database, 5)


async def kept(record: Record) -> tuple[bytes, str | None]:
    """The hash of the key, and by which pepper."""
    row = await record.sql.fetchrow(KEPT)
    assert row
    return row[0], row[1]


async def test_a_hash_by_the_other_pepper_is_replaced_and_returned_as_it_was(
    keys: PostgresApiKeyStore, access: PostgresAccessStore, record: Record
) -> None:
    await access.insert_api_key(KEY, OPERATOR)
    found = await keys.find_api_key(KEY.key_id, NEW, OLD, "new")
    assert (found and found.secret_hmac) == OLD
    assert await kept(record) == (NEW, "new")
    found = await keys.find_api_key(KEY.key_id, NEW, OLD, "new")
    assert (found and found.secret_hmac) == NEW
    (listed,) = await keys.list_api_keys()
    assert listed.pepper_id == "new"


async def test_a_wrong_secret_replaces_nothing_and_no_other_pepper_neither(
    keys: PostgresApiKeyStore, access: PostgresAccessStore, record: Record
) -> None:
    await access.insert_api_key(KEY, OPERATOR)
    await keys.find_api_key(KEY.key_id, NEW, OTHER, "new")
    await keys.find_api_key(KEY.key_id, NEW, None, "new")
    await keys.find_api_key("mnopqrstuvwx", NEW, OLD, "new")
    assert await kept(record) == (OLD, "old")


async def test_a_key_that_has_ended_keeps_its_hash(
    keys: PostgresApiKeyStore, access: PostgresAccessStore, record: Record
) -> None:
    await access.insert_api_key(KEY, OPERATOR)
    await access.revoke_api_key("acme", KEY.key_id, OPERATOR, even_last=True)
    await keys.find_api_key(KEY.key_id, NEW, OLD, "new")
    assert await kept(record) == (OLD, "old")


async def test_of_a_hash_of_before_it_is_learned_by_which_pepper_it_is(
    keys: PostgresApiKeyStore, access: PostgresAccessStore, record: Record
) -> None:
    await access.insert_api_key(KEY._replace(pepper_id=None), OPERATOR)
    await keys.find_api_key(KEY.key_id, OLD)  # by the release before
    assert await kept(record) == (OLD, None)
    await keys.find_api_key(KEY.key_id, OTHER, None, "another")
    assert await kept(record) == (OLD, None)
    await keys.find_api_key(KEY.key_id, OLD, None, "old")
    assert await kept(record) == (OLD, "old")


async def test_a_hash_that_another_process_has_replaced_meanwhile_is_left_alone(
    keys: PostgresApiKeyStore, access: PostgresAccessStore, record: Record
) -> None:
    await access.insert_api_key(KEY, OPERATOR)
    replaced = "update api_keys set secret_hmac = $2, pepper_id = 'third' where key_id = $1"
    async with record.locked(replaced, KEY.key_id, OTHER) as rival:
        looking = asyncio.create_task(keys.find_api_key(KEY.key_id, NEW, OLD, "new"))
        await record.until_waiting()
        await rival.execute("commit")
        await looking
    assert await kept(record) == (OTHER, "third")


async def test_good_keys_and_webhooks_are_counted_by_their_peppers(
    keys: PostgresApiKeyStore, access: PostgresAccessStore, record: Record
) -> None:
    for number, pepper in enumerate(["old", "old", "new", None, "old"]):
        await access.insert_api_key(KEY._replace(key_id=f"{number:012}", pepper_id=pepper), OPERATOR)
    await access.revoke_api_key("acme", f"{4:012}", OPERATOR)
    await access.rotate_api_key(f"{2:012}", KEY._replace(key_id=f"{5:012}", pepper_id="new"), 60, OPERATOR)
    hooks = PostgresWebhookStore(record.database, 5)
    made = [
        await hooks.add_endpoint("acme", "https://a.example", [["job.failed"], [], []], OPERATOR, "old")
        for _ in range(3)
    ]
    for endpoint, overlap_s in zip(made, (60, 0), strict=False):
        assert endpoint
        await hooks.rotate_secret("acme", endpoint.id, overlap_s, OPERATOR, "new")
    await record.sql.execute(
        "insert into webhook_endpoints (id, tenant, url, events) values (gen_random_uuid(), 'b', '', '{}')"
    )
    found = [(each.pepper_id, each.keys, each.webhooks) for each in await keys.count_peppers()]
    assert found == [("new", 2, 2), ("old", 2, 2), (None, 1, 1)]

"""What every ApiKeyStore does: the one in memory that unit tests use, and the one on PostgreSQL."""

from __future__ import annotations

from sluice.core.ports import ApiKeyRecord
from tests.contract.conftest import Record

KEY = ApiKeyRecord("abcdefabcdef", "acme", frozenset({"read", "submit"}), b"h" * 32, usable=True)


async def test_a_key_is_found_by_its_id(record: Record) -> None:
    await record.add_key(KEY)
    await record.add_key(KEY._replace(key_id="another", tenant="other"))
    assert await record.api_keys.find_api_key(KEY.key_id, KEY.secret_hmac) == KEY
    assert await record.api_keys.find_api_key(KEY.key_id, b"wrong") == KEY, "whose secret is to be compared"
    assert await record.api_keys.find_api_key("unknown", b"") is None


async def test_a_hash_by_the_other_pepper_is_replaced_once_it_is_looked_up(record: Record) -> None:
    await record.add_key(KEY)
    assert await record.api_keys.find_api_key(KEY.key_id, b"n" * 32, b"x" * 32, "new") == KEY
    assert await record.api_keys.find_api_key(KEY.key_id, b"n" * 32, KEY.secret_hmac, "new") == KEY
    anew = KEY._replace(secret_hmac=b"n" * 32)
    assert await record.api_keys.find_api_key(KEY.key_id, b"", None, "new") == anew

"""Keys over HTTP: shown once, no wider than the caller's, and the last administrator stays."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from api.keys.api_key import hash_secret, parse_key
from sluice.core.errors import OutcomeUnknown
from tests.unit.api.in_memory_api import InMemoryApi

KEYS = "/v1/keys"
WRONG: dict[str, tuple[Any, str]] = {
    "no scope": ({"scopes": []}, "/scopes"),
    "none given": ({}, "/scopes"),
    "an unknown scope": ({"scopes": ["root"]}, "/scopes/0"),
    "one twice": ({"scopes": ["read", "read"]}, "/scopes"),
    "a scope alone": ({"scopes": "read"}, "/scopes"),
    "no time": ({"scopes": ["read"], "expires_days": 0}, "/expires_days"),
    "ages": ({"scopes": ["read"], "expires_days": 36_501}, "/expires_days"),
    "a fraction": ({"scopes": ["read"], "expires_days": 1.5}, "/expires_days"),
    "a name that is none": ({"scopes": ["read"], "name": "\u001b[31m"}, "/name"),
    "a long name": ({"scopes": ["read"], "name": "x" * 65}, "/name"),
    "another tenant": ({"scopes": ["read"], "tenant": "other"}, "/tenant"),
    "a secret of their own": ({"scopes": ["read"], "key": "slc_"}, "/key"),
}


@pytest.fixture
def admin(api: InMemoryApi) -> InMemoryApi:
    """The api, for an administrator."""
    api.client.headers.update(api.as_tenant("acme", "submit", "read", "admin"))
    return api


async def made(api: InMemoryApi, **more: Any) -> dict[str, Any]:
    """A new key that may only read."""
    answer = await api.client.post(KEYS, json={"scopes": ["read"]} | more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def told(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"]


async def test_a_key_is_shown_once(admin: InMemoryApi) -> None:
    answer = await admin.client.post(KEYS, json={"scopes": ["read"], "name": "importer", "expires_days": 3})
    shown = answer.json()
    key = parse_key(shown.pop("key").encode())
    assert key
    assert (answer.status_code, shown["id"], answer.headers["cache-control"]) == (201, key.key_id, "no-store")
    assert (shown["name"], shown["scopes"], shown["usable"]) == ("importer", ["read"], True)
    assert (shown["expires_at"] > shown["created_at"], shown["last_used_at"]) == (True, None)
    listed = await admin.client.get(KEYS)
    assert listed.json() == {"keys": [shown], "next_page_token": None}
    assert key.secret.decode() not in listed.text


@pytest.mark.parametrize(("body", "pointer"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_named_and_no_key_is_made(admin: InMemoryApi, body: Any, pointer: str) -> None:
    answer = await admin.client.post(KEYS, json=body)
    assert told(answer) == (422, "invalid")
    assert pointer in [flaw["pointer"] for flaw in answer.json()["errors"]]
    assert (await admin.client.get(KEYS)).json()["keys"] == []


async def test_nobody_makes_a_key_that_permits_more_than_his_own(api: InMemoryApi) -> None:
    wide = (await _with(api, "submit", "read", "admin").client.post(KEYS, json={"scopes": ["submit"]})).json()
    _with(api, "admin", "read")
    for answer in (
        await api.client.post(KEYS, json={"scopes": ["read", "submit"]}),
        await api.client.post(f"{KEYS}/{wide['id']}/rotate", json={}),
    ):
        assert told(answer) == (403, "forbidden")
        assert "submit" in answer.headers["www-authenticate"]
    assert len((await api.client.get(KEYS)).json()["keys"]) == 1


async def test_an_administrator_of_a_tenant_makes_no_key_for_what_all_tenants_share(api: InMemoryApi) -> None:
    admin = _with(api, "submit", "read", "payloads", "admin")
    answer = await admin.client.post(KEYS, json={"scopes": ["operate"]})
    assert told(answer) == (403, "forbidden")
    assert "operate" in answer.json()["detail"]
    operator = _with(api, "admin", "operate")
    assert (await made(operator, scopes=["operate"]))["scopes"] == ["operate"]


def _with(api: InMemoryApi, *scopes: str) -> InMemoryApi:
    api.client.headers.update(api.as_tenant("acme", *scopes))
    return api


async def test_a_key_is_rotated(admin: InMemoryApi) -> None:
    old = await made(admin, name="importer")
    answer = await admin.client.post(f"{KEYS}/{old['id']}/rotate", json={"overlap_s": 60})
    new = answer.json()
    assert (answer.status_code, new["replaces"], new["name"], new["scopes"]) == (
        201,
        old["id"],
        "importer",
        ["read"],
    )
    assert new["key"] != old["key"]
    first, second = sorted(
        (await admin.client.get(KEYS)).json()["keys"], key=lambda key: key["id"] != old["id"]
    )
    assert (first["replaced_by"], first["expires_at"], first["usable"]) == (
        new["id"],
        new["old_ends_at"],
        True,
    )
    assert second["id"] == new["id"]


@pytest.mark.parametrize("overlap_s", [0, 59, 2_592_001, "60", None, True])
async def test_an_old_key_stays_good_for_a_minute_to_a_month(admin: InMemoryApi, overlap_s: Any) -> None:
    old = await made(admin)
    answer = await admin.client.post(f"{KEYS}/{old['id']}/rotate", json={"overlap_s": overlap_s})
    assert told(answer) == (422, "invalid")


async def test_a_key_that_has_ended_is_not_rotated(admin: InMemoryApi) -> None:
    old = await made(admin)
    for _ in range(2):
        assert (await admin.client.delete(f"{KEYS}/{old['id']}")).status_code == 204
    answer = await admin.client.post(f"{KEYS}/{old['id']}/rotate", json={})
    assert told(answer) == (409, "key-ended")
    assert "POST /v1/keys" in answer.json()["detail"]


async def test_the_last_administrator_is_revoked_only_by_a_word(admin: InMemoryApi) -> None:
    last = (await admin.client.post(KEYS, json={"scopes": ["admin"]})).json()["id"]
    refused = await admin.client.delete(f"{KEYS}/{last}")
    assert told(refused) == (409, "last-admin-key")
    assert "?last=true" in refused.json()["detail"]
    for word in ("last=false", "last=yes", "last=true&last=true", "lst=true", "last="):
        assert (await admin.client.delete(f"{KEYS}/{last}?{word}")).status_code in (409, 422)
    assert (await admin.client.get(KEYS)).json()["keys"][0]["usable"]
    assert (await admin.client.delete(f"{KEYS}/{last}?last=true")).status_code == 204


async def test_a_revoked_key_is_asked_for_again_at_once_where_it_was_revoked(admin: InMemoryApi) -> None:
    key = await made(admin)
    theirs = {"authorization": f"Bearer {key['key']}"}
    stored = admin.record.keys[parse_key(admin.key.encode()).key_id]  # type: ignore[union-attr]  # it is a key
    parsed = parse_key(key["key"].encode())
    assert parsed
    pepper = admin.state.settings.key_pepper.get_secret_value().encode()
    admin.record.keys[key["id"]] = stored._replace(
        key_id=key["id"], secret_hmac=hash_secret(parsed.secret, pepper)
    )
    assert (await admin.client.get("/v1/kinds", headers=theirs)).status_code == 200
    await admin.client.delete(f"{KEYS}/{key['id']}")
    admin.record.keys[key["id"]] = stored._replace(usable=False)
    assert (await admin.client.get("/v1/kinds", headers=theirs)).status_code == 401


@pytest.mark.parametrize("key_id", ["x", "0" * 12, "%00", "é" * 12])
async def test_an_unknown_key_is_unknown_however_it_is_written(admin: InMemoryApi, key_id: str) -> None:
    for answer in (
        await admin.client.delete(f"{KEYS}/{key_id}"),
        await admin.client.post(f"{KEYS}/{key_id}/rotate", json={}),
    ):
        assert told(answer) == (404, "key-unknown")


async def test_keys_are_listed_page_by_page(admin: InMemoryApi) -> None:
    ids = {(await made(admin))["id"] for _ in range(3)}
    seen, token = [], ""
    while token is not None:
        page = (await admin.client.get(KEYS, params={"page_size": 2, "page_token": token})).json()
        seen += [key["id"] for key in page["keys"]]
        token = page["next_page_token"]
    assert (len(seen), set(seen)) == (3, ids)
    for query in (
        "page_size=0",
        "page_size=1001",
        "page_size=x",
        "page_token=x",
        f"page_token={'0' * 12}",
        "state=x",
    ):
        answer = await admin.client.get(f"{KEYS}?{query}")
        assert (told(answer), answer.json()["errors"][0]["pointer"]) == (
            (422, "invalid"),
            "?" + query.split("=")[0],
        )


async def test_a_lost_reply_is_not_called_nothing(
    admin: InMemoryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise OutcomeUnknown

    monkeypatch.setattr(admin.state.key_admin._store, "insert_api_key", lost)
    answer = await admin.client.post(KEYS, json={"scopes": ["read"]})
    assert (told(answer), answer.json()["retryable"]) == ((503, "outcome-unknown"), True)
    assert "may or may not" in answer.json()["detail"]


async def test_what_was_done_is_listed_page_by_page(admin: InMemoryApi) -> None:
    ids = [(await made(admin))["id"] for _ in range(3)]
    seen, token = [], ""
    while token is not None:
        page = (await admin.client.get("/v1/audit", params={"page_size": 2, "page_token": token})).json()
        seen += [(each["action"], each["object"]) for each in page["entries"]]
        token = page["next_page_token"]
    assert seen == [("key.create", f"key/{key_id}") for key_id in reversed(ids)]
    assert set(page["entries"][0]) == {"at", "key_id", "action", "object", "detail"}
    for query in (
        "page_size=0",
        "page_token=x",
        "page_token=-1",
        "page_token=0",
        f"page_token={'9' * 19}",
        "key=x",
    ):
        answer = await admin.client.get(f"/v1/audit?{query}")
        assert told(answer) == (422, "invalid")

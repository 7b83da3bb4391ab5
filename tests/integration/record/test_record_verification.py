"""The suite of sluice.core.ports.WebhookStore, continued: endpoints that have to prove that they want what is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import orjson
import pytest

from sluice.adapters.postgres.statements import load_queries
from sluice.adapters.postgres.webhook_store import PostgresWebhookStore
from sluice.core.access import Actor
from sluice.core.ports import WebhookStore
from sluice.core.webhook import MOST_VERIFICATIONS, Answer, Endpoint, Verification
from tests.integration.record.record_fixture import Record

BY = Actor("abcdefghijkl", "a-request")
ASKS: tuple[list[str], ...] = (["job.succeeded"], [], [])
URL, OTHER_URL = "https://hooks.example.com/", "https://other.example.com/"
VERIFY, ONLY_NEW = Verification(b"prove it"), Verification(b"prove it", only_new=True)
OK, BAD = Answer(200, "answered 200"), Answer(200, "answered 200 with no answer", unproved=True)


@pytest.fixture
def store(record: Record) -> WebhookStore:
    return PostgresWebhookStore(record.database, 5)


async def added(store: WebhookStore, verification: Verification | None = VERIFY) -> Endpoint:
    made = await store.add_endpoint("acme", URL, ASKS, BY, None, verification)
    assert made
    return made


async def found(store: WebhookStore, endpoint: Endpoint) -> Endpoint:
    shown = await store.find_endpoint("acme", endpoint.id)
    assert shown
    return shown


async def replaced(
    store: WebhookStore, endpoint: Endpoint, url: str, verification: Verification | None
) -> Endpoint:
    shown = await store.replace_endpoint("acme", endpoint.id, url, ASKS, BY, verification)
    assert shown
    return shown


async def answer(store: WebhookStore, said: Answer, pause_s: float | None = None) -> list[tuple[str, str]]:
    """Take what is due and answer all of it; return what each was and where it went."""
    taken = await store.take_due(99, 30)
    for each in taken:
        await store.mark(each, said, pause_s)
    return [(each.event, each.url) for each in taken]


ASKED = ("webhook.verify", URL)


async def test_one_that_is_to_be_verified_gets_nothing_else_and_goes_on_when_it_is(
    store: WebhookStore, record: Record
) -> None:
    endpoint = await added(store)
    assert endpoint.disabled_why == "its URL is not verified"
    assert await store.add_test("acme", endpoint.id, b"{}", BY) is None
    assert await store.redeliver("acme", endpoint.id, None, endpoint.created_at, BY) is None
    assert await store.give_up(99) == 0
    assert await answer(store, BAD, 5) == [ASKED]
    shown = await found(store, endpoint)
    assert (shown.verified_at, shown.verification_failed) == (None, "answered 200 with no answer")
    assert shown.failing_since is None
    assert await store.give_up(99) == 0
    await record.sql.execute("update webhook_deliveries set due = now()")
    assert await answer(store, OK) == [ASKED]
    shown = await found(store, endpoint)
    assert (shown.disabled_at, shown.disabled_why, shown.verification_failed) == (None, None, None)
    assert shown.verified_at is not None
    assert await store.add_test("acme", endpoint.id, b"{}", BY)


async def test_only_the_newest_question_proves_anything_and_only_of_the_url_that_is_there(
    store: WebhookStore,
) -> None:
    endpoint = await added(store)
    (first,) = await store.take_due(9, 30)
    assert await store.verify_endpoint("other", endpoint.id, b"prove it", BY) is None
    second = await store.verify_endpoint("acme", endpoint.id, b"prove it", BY)
    await store.mark(first, OK, None)
    assert (await found(store, endpoint)).verified_at is None
    (taken,) = await store.take_due(9, 30)
    assert taken.id == second
    for url in (OTHER_URL, URL):
        assert (await replaced(store, endpoint, url, VERIFY)).disabled_why
    await store.mark(taken, OK, None)
    shown = await found(store, endpoint)
    assert (shown.verified_at, shown.disabled_why) == (None, "its URL is not verified")


async def test_replacing_what_is_not_verified_lets_nothing_through(
    store: WebhookStore, record: Record
) -> None:
    endpoint = await added(store)
    assert (await replaced(store, endpoint, URL, ONLY_NEW)).disabled_why
    assert (await replaced(store, endpoint, URL, VERIFY)).disabled_why
    assert await record.sql.fetchval("select count(*) from webhook_deliveries") == 1
    assert await answer(store, OK) == [ASKED]
    assert (await replaced(store, endpoint, URL, VERIFY)).verified_at is not None
    assert await answer(store, OK) == []
    moved = await replaced(store, endpoint, OTHER_URL, ONLY_NEW)
    assert (moved.verified_at, moved.disabled_why) == (None, "its URL is not verified")
    assert await store.give_up(99) == 0
    assert await answer(store, OK) == [("webhook.verify", OTHER_URL)]


async def test_one_from_before_stays_as_it_is_until_its_url_is_changed(store: WebhookStore) -> None:
    endpoint = await added(store, None)
    assert (await replaced(store, endpoint, URL, ONLY_NEW)).disabled_at is None
    assert (await replaced(store, endpoint, OTHER_URL, ONLY_NEW)).disabled_why
    assert (await replaced(store, endpoint, URL, ONLY_NEW)).disabled_why
    assert (await replaced(store, endpoint, URL, None)).disabled_at is None


async def test_one_that_was_disabled_goes_on_when_it_is_verified_and_one_that_does_not_answer_is_not_disabled(
    store: WebhookStore, record: Record
) -> None:
    endpoint = await added(store, None)
    await store.verify_endpoint("acme", endpoint.id, b"prove it", BY)
    assert await answer(store, Answer(410, "answered 410")) == [ASKED]
    shown = await found(store, endpoint)
    assert (shown.disabled_at, shown.failing_since, shown.verification_failed) == (None, None, "answered 410")
    await store.add_test("acme", endpoint.id, b"{}", BY)
    assert await answer(store, Answer(410, "answered 410")) == [("webhook.test", URL)]
    assert (await found(store, endpoint)).disabled_why == "it answered 410"
    await store.verify_endpoint("acme", endpoint.id, b"prove it", BY)
    assert await answer(store, OK) == [ASKED]
    assert (await found(store, endpoint)).disabled_at is None
    since = datetime.now(UTC) - timedelta(hours=1)
    assert await store.redeliver("acme", endpoint.id, None, since, BY) == 1
    detail = "select action from audit where action like 'webhook.ver%'"
    assert len(await record.sql.fetch(detail)) == 2


async def test_what_waits_for_an_endpoint_is_given_up_when_its_url_is_to_be_verified(
    store: WebhookStore,
) -> None:
    endpoint = await added(store, None)
    await store.add_test("acme", endpoint.id, b"{}", BY)
    await replaced(store, endpoint, OTHER_URL, VERIFY)
    assert await answer(store, OK) == []
    assert await store.give_up(99) == 1
    assert await answer(store, OK) == [("webhook.verify", OTHER_URL)]
    assert await answer(store, OK) == []


async def test_a_tenant_may_ask_so_often_in_an_hour_however_many_endpoints_it_deletes(
    store: WebhookStore, record: Record
) -> None:
    for _ in range(MOST_VERIFICATIONS):
        assert await store.count_verification("acme")
    assert not await store.count_verification("acme")
    await store.delete_endpoint("acme", (await added(store)).id, BY)
    assert not await store.count_verification("acme")
    assert await store.count_verification("other")
    await record.sql.execute("update webhook_verifications set since = since - interval '1 hour'")
    assert await store.count_verification("acme")


async def test_a_look_costs_the_same_however_much_waits_for_who_is_disabled(
    store: WebhookStore, record: Record
) -> None:
    endpoint = await added(store)
    await record.sql.execute(
        "insert into webhook_deliveries (id, endpoint, tenant, event, body, due)"
        " select gen_random_uuid(), $1, 'acme', 'x', '', now() from generate_series(1, 20000)",
        endpoint.id,
    )
    plan = await _buffers(record.sql)
    assert plan < 500, plan
    assert await answer(store, BAD, 5) == []
    await store.give_up(20_000)
    assert await answer(store, BAD, 5) == [ASKED]


async def _buffers(sql: asyncpg.Connection) -> int:
    """Count the pages that a look for what is due reads."""
    await sql.execute("analyze webhook_deliveries")
    text = load_queries()["take_due"].replace("$1", "9").replace("$2", "30.0")
    (top,) = (row[0] for row in await sql.fetch(f"explain (analyze, buffers, format json) {text}"))
    root = orjson.loads(top)[0]["Plan"]
    return int(root["Shared Hit Blocks"] + root["Shared Read Blocks"])

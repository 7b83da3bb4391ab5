"""The suite of sluice.core.ports.WebhookStore: endpoints, who sends what when, and what is done when it does not arrive."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from sluice.adapters.postgres.statements import load_queries
from sluice.adapters.postgres.webhook_store import PostgresWebhookStore
from sluice.core.access import Actor
from sluice.core.ports import WebhookStore
from sluice.core.webhook import MOST_ENDPOINTS, Answer, DueDelivery, Endpoint
from tests.integration.record.record_fixture import Record

BY = Actor("abcdefghijkl", "a-request")
ASKS: tuple[list[str], ...] = (["job.succeeded"], ["demo.sum"], [])
OK, BAD, GONE = Answer(200, "answered 200", b"ok"), Answer(500, "answered 500"), Answer(410, "answered 410")
NOTHING = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def store(record: Record) -> WebhookStore:
    return PostgresWebhookStore(record.database, 5)


async def added(store: WebhookStore, tenant: str = "acme") -> Endpoint:
    """An endpoint that is there now."""
    made = await store.add_endpoint(tenant, "https://hooks.example.com/", ASKS, BY)
    assert made
    return made


async def to_send(store: WebhookStore, endpoint: Endpoint, count: int = 1) -> list[str]:
    """So many deliveries to it."""
    made = [await store.add_test(endpoint.tenant, endpoint.id, b"{}", BY) for _ in range(count)]
    return [each for each in made if each]


async def states(store: WebhookStore, endpoint: Endpoint) -> dict[str, str]:
    """The state of each delivery."""
    return {each.id: each.state for each in await store.list_tries(endpoint.tenant, endpoint.id, "", 99)}


async def make_due(record: Record) -> None:
    await record.sql.execute("update webhook_deliveries set due = now() where due is not null")
    await record.sql.execute("update webhook_endpoints set rests_until = null")


async def take(store: WebhookStore, limit: int = 99) -> list[DueDelivery]:
    return await store.take_due(limit, 30)


async def test_those_that_submits_name_are_found_for_their_tenant_alone(store: WebhookStore) -> None:
    mine, others = await added(store), await added(store, "other")
    named = [("acme", mine.id), ("other", others.id), ("acme", others.id), ("acme", NOTHING)]
    assert await store.find_named(named) == set(named[:2])


async def test_endpoints_belong_to_their_tenant_and_every_change_is_written_down(
    store: WebhookStore, record: Record
) -> None:
    made = await added(store)
    assert made[1:7] == ("acme", "https://hooks.example.com/", *ASKS, 1)
    assert await store.find_endpoint("acme", made.id) == made
    assert await store.list_endpoints("acme") == [made]
    assert await store.find_endpoint("other", made.id) is None
    assert await store.replace_endpoint("other", made.id, "https://x.example/", ASKS, BY) is None
    assert await store.rotate_secret("other", made.id, 60, BY) is None
    assert await store.add_test("other", made.id, b"{}", BY) is None
    assert await store.redeliver("other", made.id, None, datetime.now(UTC), BY) is None
    assert not await store.delete_endpoint("other", made.id, BY)
    replaced = await store.replace_endpoint("acme", made.id, "https://x.example/", ([], [], ["a"]), BY)
    assert replaced == made._replace(url="https://x.example/", events=[], kinds=[], tags=["a"])
    rotated = await store.rotate_secret("acme", made.id, 60, BY)
    assert rotated
    assert (rotated.generation, rotated.old_until is None) == (2, False)
    await to_send(store, made)
    await store.redeliver("acme", made.id, NOTHING, None, BY)
    assert await store.delete_endpoint("acme", made.id, BY)
    assert await store.list_endpoints("acme") == []
    rows = await record.sql.fetch("select key_id, action, object, detail from audit order by id")
    acts = ["create", "replace", "rotate", "test", "redeliver", "delete"]
    assert [tuple(row)[:3] for row in rows] == [
        (BY.key_id, f"webhook.{act}", f"webhook/{made.id}") for act in acts
    ]
    assert {orjson.loads(row["detail"])["request_id"] for row in rows} == {"a-request"}


async def test_a_tenant_has_so_many_at_most(store: WebhookStore) -> None:
    for _ in range(MOST_ENDPOINTS):
        await added(store)
    assert await store.add_endpoint("acme", "https://hooks.example.com/", ASKS, BY) is None
    await added(store, "other")


async def test_what_is_due_is_taken_once_and_again_when_its_sender_has_died(
    store: WebhookStore, record: Record
) -> None:
    endpoint = await added(store)
    (sent,) = await to_send(store, endpoint)
    async with record.locked("select from webhook_deliveries for update"):
        assert await take(store) == []
    taken = [each for found in await asyncio.gather(*(take(store) for _ in range(5))) for each in found]
    (delivery,) = taken
    assert delivery == DueDelivery(sent, endpoint.id, endpoint.url, 1, False, "webhook.test", b"{}", 1)
    assert await states(store, endpoint) == {sent: "sending"}
    await record.sql.execute("update webhook_deliveries set due = now(), taken_until = now()")
    (again,) = await take(store)
    assert again == delivery._replace(tries=2)
    await store.mark(delivery, BAD, None)
    assert await states(store, endpoint) == {sent: "sending"}
    await store.mark(again, OK, 5)
    await store.mark(again, BAD, 5)
    (shown,) = await store.list_tries("acme", endpoint.id, "", 9)
    assert (shown.state, shown.tries, shown.status, shown.answer, shown.due) == (
        "delivered",
        2,
        200,
        b"ok",
        None,
    )
    assert await take(store) == []


async def test_four_are_under_way_to_an_endpoint_and_none_waits_for_another(
    store: WebhookStore, record: Record
) -> None:
    slow, quick = await added(store), await added(store, "other")
    await to_send(store, slow, 10)
    await to_send(store, quick, 2)
    taken = await take(store)
    assert [len([each for each in taken if each.endpoint == one.id]) for one in (slow, quick)] == [4, 2]
    assert await take(store) == []
    await store.mark(next(each for each in taken if each.endpoint == slow.id), OK, None)
    assert len(await take(store)) == 1
    await record.sql.execute(
        "update webhook_deliveries set taken_until = null, due = now() where done_at is null"
    )
    assert len(await take(store, 3)) == 3


async def test_what_fails_waits_and_after_the_last_try_it_has_failed(
    store: WebhookStore, record: Record
) -> None:
    endpoint = await added(store)
    (sent,) = await to_send(store, endpoint)
    (delivery,) = await take(store)
    await store.mark(delivery, BAD, 300)
    assert await states(store, endpoint) == {sent: "waiting"}
    (shown,) = await store.list_tries("acme", endpoint.id, "", 9)
    assert shown.due is not None
    assert 290 < (shown.due - datetime.now(UTC)).total_seconds() < 310
    assert await take(store) == []
    found = await store.find_endpoint("acme", endpoint.id)
    assert found
    assert found.failing_since is not None
    await make_due(record)
    (delivery,) = await take(store)
    await store.mark(delivery, BAD, None)
    assert await states(store, endpoint) == {sent: "failed"}


async def test_an_endpoint_that_fails_rests_and_is_then_tried_with_one(
    store: WebhookStore, record: Record
) -> None:
    endpoint = await added(store)
    await to_send(store, endpoint, 8)
    for delivery in [*await take(store)]:
        await store.mark(delivery, BAD, 300)
    for delivery in (await take(store))[:1]:
        await store.mark(delivery, BAD, 300)
    await record.sql.execute("update webhook_deliveries set taken_until = null, due = now()")
    assert await take(store) == []
    await record.sql.execute("update webhook_endpoints set rests_until = now()")
    (only,) = await take(store)
    await store.mark(only, OK, None)
    found = await store.find_endpoint("acme", endpoint.id)
    assert found
    assert found.failing_since is None
    assert len(await take(store)) == 4


async def test_an_endpoint_that_is_gone_or_fails_for_days_is_disabled_and_goes_on_when_it_is_replaced(
    store: WebhookStore, record: Record
) -> None:
    for answer, since in ((GONE, timedelta()), (BAD, timedelta(days=6))):
        endpoint = await added(store)
        ids = await to_send(store, endpoint, 3)
        await record.sql.execute("update webhook_endpoints set failing_since = now() - $1::interval", since)
        first, *others = await take(store)
        assert await store.mark(first, answer, 300)
        for delivery in others:
            await store.mark(delivery, BAD, 300)
        found = await store.find_endpoint("acme", endpoint.id)
        assert found
        assert found.disabled_why
        told = await record.sql.fetch(
            "select tenant, key_id, object, detail ->> 'why' from audit where action = 'webhook.disable' order by id desc"
        )
        assert tuple(told[0]) == ("acme", None, f"webhook/{endpoint.id}", found.disabled_why)
        assert await store.add_test("acme", endpoint.id, b"{}", BY) is None
        assert await store.redeliver("acme", endpoint.id, ids[0], None, BY) is None
        await make_due(record)
        assert await take(store) == []
        await store.give_up(99)
        assert set((await states(store, endpoint)).values()) == {"failed"}
        await store.replace_endpoint("acme", endpoint.id, endpoint.url, ASKS, BY)
        assert await store.redeliver("acme", endpoint.id, None, endpoint.created_at, BY) == 3
        again = await take(store)
        assert len(again) == 3
        for delivery in again:
            await store.mark(delivery, BAD, 300)
        await store.delete_endpoint("acme", endpoint.id, BY)
        assert await store.give_up(99) == 3


async def test_what_is_being_sent_is_not_given_up(store: WebhookStore) -> None:
    endpoint = await added(store)
    await to_send(store, endpoint, 6)
    gone, good, bad, silent = await take(store)
    assert await store.mark(gone, GONE, 300)
    assert await store.give_up(99) == 2
    await store.mark(good, OK, None)
    await store.mark(bad, BAD, 300)
    assert await store.give_up(99) == 1
    found = await states(store, endpoint)
    assert [found[each.id] for each in (gone, good, bad, silent)] == [
        "failed",
        "delivered",
        "failed",
        "sending",
    ]
    await store.delete_endpoint("acme", endpoint.id, BY)
    assert await store.give_up(99) == 0


async def test_what_a_url_answers_that_was_replaced_meanwhile_says_nothing_about_the_one_that_is_there(
    store: WebhookStore,
) -> None:
    endpoint, moved = await added(store), "https://moved.example.com/"
    await to_send(store, endpoint, 4)
    gone, bad, good, later = await take(store)
    await store.replace_endpoint("acme", endpoint.id, moved, ASKS, BY)
    assert await store.mark(gone, GONE, 0) is None
    await store.mark(bad, BAD, 300)
    shown = await store.find_endpoint("acme", endpoint.id)
    assert shown
    assert (shown.disabled_why, shown.failing_since) == (None, None)
    (again,) = await take(store)
    assert (again.id, again.url) == (gone.id, moved)
    await store.mark(again, BAD, 300)
    await store.mark(good, OK, None)
    shown = await store.find_endpoint("acme", endpoint.id)
    assert shown
    assert shown.failing_since
    await store.delete_endpoint("acme", endpoint.id, BY)
    assert await store.mark(later, GONE, 300) is None


async def test_one_delivery_or_those_that_failed_are_sent_again_with_the_same_id(
    store: WebhookStore, record: Record
) -> None:
    endpoint = await added(store)
    good, bad, waiting = await to_send(store, endpoint, 3)
    taken = {each.id: each for each in await take(store)}
    await store.mark(taken[good], OK, None)
    await store.mark(taken[bad], BAD, None)
    await store.mark(taken[waiting], BAD, 300)
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert await store.redeliver("acme", endpoint.id, None, later, BY) == 0
    assert await store.redeliver("acme", endpoint.id, None, endpoint.created_at, BY) == 1
    assert await states(store, endpoint) == {good: "delivered", bad: "waiting", waiting: "waiting"}
    assert await store.redeliver("acme", endpoint.id, good, None, BY) == 1
    assert await store.redeliver("acme", endpoint.id, waiting, None, BY) == 0
    assert await store.redeliver("acme", endpoint.id, NOTHING, None, BY) == 0
    assert {each.id: each.tries for each in await take(store)} == {good: 1, bad: 1}


async def test_two_secrets_sign_until_the_old_one_ends(store: WebhookStore) -> None:
    endpoint = await added(store)
    for overlap_s, both in ((60, True), (0, False)):
        await store.rotate_secret("acme", endpoint.id, overlap_s, BY)
        await to_send(store, endpoint)
        (delivery,) = await take(store)
        assert delivery.two_secrets == both
    assert delivery.generation == 3


async def test_what_is_done_is_listed_page_by_page_and_goes_in_time(
    store: WebhookStore, record: Record
) -> None:
    endpoint = await added(store)
    ids = await to_send(store, endpoint, 4)
    first = await store.list_tries("acme", endpoint.id, "", 3)
    rest = await store.list_tries("acme", endpoint.id, first[-1].id, 3)
    assert [each.id for each in (*first, *rest)] == ids[::-1]
    assert await store.list_tries("other", endpoint.id, "", 3) == []
    taken = await take(store)
    for delivery in taken[:3]:
        await store.mark(delivery, OK, None)
    old = "update webhook_deliveries set created_at = now() - interval '8 days' where id = any($1::uuid[])"
    await record.sql.execute(old, [each.id for each in (*taken[:2], taken[3])])
    assert await store.prune_deliveries(7 * 86_400, 99) == 2
    assert set((await states(store, endpoint)).values()) == {"delivered", "sending"}


async def test_a_turn_costs_the_same_however_many_are_done_and_whatever_statistics_say(
    store: WebhookStore, record: Record
) -> None:
    endpoint = await added(store)
    await record.sql.execute(
        "insert into webhook_deliveries (id, endpoint, tenant, event, body, done_at, failed, created_at)"
        " select gen_random_uuid(), $1, 'acme', 'x', '', now(), false, now() from generate_series(1, 20000)",
        endpoint.id,
    )
    await to_send(store, endpoint)
    for name, args in (("take_due", (9, 30.0)), ("give_up", (9,)), ("prune_deliveries", (7.0, 9))):
        plan = await (await record.sql.prepare(load_queries()[name])).explain(*args)
        assert "'Seq Scan', 'Relation Name': 'webhook_deliveries'" not in _scans(plan), name


def _scans(plan: Any) -> str:
    """Write down which node reads what."""
    if isinstance(plan, list):
        return " ".join(map(_scans, plan))
    if not isinstance(plan, dict):
        return ""
    own = {name: plan[name] for name in ("Node Type", "Relation Name") if name in plan}
    return f"{list(own.items())} {own} ".replace("'Node Type': ", "") + " ".join(map(_scans, plan.values()))

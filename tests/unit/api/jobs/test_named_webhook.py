"""The option `webhook` of a submit: an endpoint of the tenant, by its id, or nothing is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest

from api.jobs.idempotency_key import IdempotencyKey
from api.jobs.make_job import SubmitRequest
from api.jobs.named_webhook import NamedWebhooks
from api.jobs.schemas import SubmitOptions
from sluice.core.errors import Invalid, ServerAway
from tests.unit.api.jobs.submit_setup import SubmitSetup, flaws

HOOK = "5c1f9d0e-5b1e-4cc3-98c4-dc0c0c07398f"


class KnownWebhooks(NamedWebhooks):
    """Knows one, of one tenant; `looks` has what was asked for at once."""

    def __init__(self) -> None:
        super().__init__(self)  # type: ignore[arg-type]  # of the store it is only asked this
        self.known = {("acme", HOOK)}
        self.looks: list[set[tuple[str, str]]] = []
        self.away = False

    async def find_named(self, named: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Find it."""
        self.looks.append(set(named))
        if self.away:
            raise ServerAway("postgresql", "away")
        return self.known & set(named)


@pytest.fixture
def known() -> KnownWebhooks:
    return KnownWebhooks()


@pytest.fixture
async def setup(known: KnownWebhooks) -> AsyncIterator[SubmitSetup]:
    setup = SubmitSetup(webhooks=known)
    yield setup
    await asyncio.wait_for(setup.submission.drain(), 5)


async def test_a_webhook_of_the_tenant_is_taken_and_goes_to_the_record(setup: SubmitSetup) -> None:
    request = SubmitRequest("demo.sum", {"values": [1]}, SubmitOptions(webhook=HOOK))
    assert setup.submission.prepare("acme", request).job.webhook == HOOK
    answer = await setup.submit(1, webhook=HOOK)
    assert setup.job(answer).state == "queued"


@pytest.mark.parametrize(
    ("tenant", "webhook"),
    [
        ("other", HOOK),
        ("acme", "00000000-0000-4000-8000-000000000000"),
        ("acme", "https://hooks.example.com/"),
        ("acme", "x"),
    ],
)
async def test_any_other_is_refused_with_a_remedy_and_nothing_is_accepted(
    setup: SubmitSetup, tenant: str, webhook: str
) -> None:
    with pytest.raises(Invalid) as error:
        await setup.submit(1, tenant=tenant, webhook=webhook)
    assert flaws(error) == [("/options/webhook", "unknown-webhook")]
    assert "GET /v1/webhooks" in error.value.flaws[0].detail
    assert not setup.record.jobs


async def test_where_nobody_keeps_webhooks_there_is_none() -> None:
    with pytest.raises(Invalid):
        await SubmitSetup().submit(1, webhook=HOOK)


async def test_submits_without_one_ask_nobody_and_those_at_once_ask_together(
    setup: SubmitSetup, known: KnownWebhooks
) -> None:
    await setup.submit(1)
    assert known.looks == []
    await asyncio.gather(*(setup.submit(number, webhook=HOOK) for number in range(100)))
    assert len(known.looks) <= 5
    assert set().union(*known.looks) == known.known


async def test_a_record_that_is_away_is_told_and_nothing_is_accepted(
    setup: SubmitSetup, known: KnownWebhooks
) -> None:
    known.away = True
    with pytest.raises(ServerAway):
        await setup.submit(1, webhook=HOOK)
    assert not setup.record.jobs


async def test_pure_work_with_one_joins_nobody_and_is_joined_by_nobody(setup: SubmitSetup) -> None:
    plain = await setup.submit(1, kind="demo.pure")
    told = await setup.submit(1, kind="demo.pure", webhook=HOOK)
    joins = await setup.submit(1, kind="demo.pure")
    assert told.document.id != plain.document.id == joins.document.id
    assert (told.coalesced, joins.coalesced) == (False, True)


async def test_a_key_that_was_used_answers_though_its_webhook_is_gone(
    setup: SubmitSetup, known: KnownWebhooks
) -> None:
    request = SubmitRequest("demo.sum", {"values": [1]}, SubmitOptions(webhook=HOOK))
    key = IdempotencyKey("k", b"h")
    first = await setup.submission.submit("acme", request, key=key)
    known.known.clear()
    again = await setup.submission.submit("acme", request, key=key)
    assert (again.replayed, again.document.id) == (True, first.document.id)

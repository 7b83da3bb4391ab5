"""What a tenant without webhooks is told, and one that may have no more."""

from __future__ import annotations

import pytest

from sluice.searchable import LONGEST_PATH, LONGEST_VALUE
from tests.unit.api.in_memory_api import InMemoryApi

UNKNOWN = "/v1/webhooks/0190f3c2-5b1e-4cc3-98c4-dc0c0c07398f"


async def test_a_tenant_that_has_as_many_as_it_may_is_told_what_to_do(api: InMemoryApi) -> None:
    hook = {"url": "https://hooks.example.com/sluice", "events": ["job.failed"]}
    answer = await api.client.post("/v1/webhooks", json=hook, headers=api.as_tenant("acme", "admin"))
    assert (answer.status_code, answer.json()["type"]) == (409, "too-many-webhooks")
    assert "DELETE /v1/webhooks/{id}" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/verify"), ("GET", "/tries")],
)
@pytest.mark.parametrize("webhook", [UNKNOWN, "/v1/webhooks/none"])
async def test_a_webhook_that_is_not_there_is_unknown(
    api: InMemoryApi, webhook: str, method: str, path: str
) -> None:
    answer = await api.client.request(method, f"{webhook}{path}", headers=api.as_tenant("acme", "admin"))
    assert (answer.status_code, answer.json()["type"]) == (404, "webhook-unknown")


async def test_a_tenant_that_has_asked_for_too_many_verifications_is_told_so(api: InMemoryApi) -> None:
    hook = {"url": "https://hooks.example.com/sluice", "verify": True}
    answer = await api.client.post("/v1/webhooks", json=hook, headers=api.as_tenant("acme", "admin"))
    assert (answer.status_code, answer.json()["type"]) == (429, "too-many-verifications")
    assert answer.headers["retry-after"] == "600"


async def test_the_longest_tag_that_a_job_may_have_can_be_asked_for(api: InMemoryApi) -> None:
    longest = f"{'p' * LONGEST_PATH}={'v' * LONGEST_VALUE}"
    for tag, status in ((longest, 409), (f"{longest}v", 422)):
        hook = {"url": "https://hooks.example.com/sluice", "tags": [tag]}
        answer = await api.client.post("/v1/webhooks", json=hook, headers=api.as_tenant("acme", "admin"))
        assert answer.status_code == status, answer.text

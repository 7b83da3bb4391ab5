"""The OpenAPI document says what answers carry."""

from __future__ import annotations

from typing import Any

from api.http.openapi import REF
from tests.unit.api.in_memory_api import InMemoryApi


def test_every_operation_says_how_long_it_took(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            names = [each["name"] for each in operation["parameters"]]
            assert names.count("timing") == 1, path
            for answer in operation["responses"].values():
                assert "Server-Timing" in answer["headers"], path


def test_what_is_made_says_where_it_is(document: dict[str, Any]) -> None:
    for path in ("/v1/jobs", "/v1/batches", "/v1/bulk", "/v1/schedules", "/v1/webhooks"):
        [answer] = [
            each
            for status, each in document["paths"][path]["post"]["responses"].items()
            if status in ("201", "202")
        ]
        assert "Location" in answer["headers"], path
    assert "Location" in document["paths"]["/v1/schedules/{name}"]["put"]["responses"]["201"]["headers"]


def test_a_refused_batch_has_its_items(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/batches"]["post"]["responses"]["422"]["content"]
    assert content == {
        "application/problem+json": {
            "schema": {"anyOf": [{"$ref": REF + "RefusedBatch"}, {"$ref": REF + "Problem"}]}
        }
    }
    assert document["components"]["schemas"]["RefusedBatch"]["properties"].keys() > {"type", "items"}


UNDESCRIBED = {
    "cache-control", "content-length", "content-security-policy", "content-type", "referrer-policy", "vary", "x-content-type-options",
}  # fmt: skip
"""What every answer has, and no program decides by."""


async def test_no_answer_carries_a_header_that_is_not_described(
    api: InMemoryApi, document: dict[str, Any]
) -> None:
    pure = {"kind": "demo.pure", "input": {"values": [1]}}
    client, wait = api.client, {"prefer": "wait=0"}
    first = await client.post("/v1/jobs?timing=1", json=pure, headers=wait | {"idempotency-key": "k"})
    again = await client.post("/v1/jobs", json=pure, headers={"idempotency-key": "k"})
    joined = await client.post("/v1/jobs", json=pure)
    path = f"/v1/jobs/{first.json()['id']}"
    answers = [("/v1/jobs", "post", each) for each in (first, again, joined)]
    answers += [
        (f"/v1/jobs/{{job_id}}{last}", "get", await client.get(f"{path}{last}?timing=1", headers=wait))
        for last in ("", "/result")
    ]
    api.record.finish(first.json()["id"])
    answers.append(("/v1/jobs", "post", await client.post("/v1/jobs", json=pure)))
    for last in ("", "/result"):
        answers.append((f"/v1/jobs/{{job_id}}{last}", "get", await client.get(f"{path}{last}")))
        known = {"if-none-match": answers[-1][2].headers["etag"]}
        answers.append(
            (f"/v1/jobs/{{job_id}}{last}", "get", await client.get(f"{path}{last}", headers=known))
        )
    answers.append(("/v1/jobs", "post", await client.post("/v1/jobs", content=b"x")))
    for template, method, answer in answers:
        told = document["paths"][template][method]["responses"][str(answer.status_code)]["headers"]
        assert answer.headers.keys() - UNDESCRIBED <= {name.lower() for name in told}, (
            template,
            answer.status_code,
        )

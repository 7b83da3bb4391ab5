"""Every type and model configuration, through the whole product: each place shows and takes the same names and values."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import orjson
import pytest

from infra.local.servers import Servers
from sluice.handler_io import write_output
from sluice.testing import run_handler
from tests.support.job_client import WAIT, until_ended
from tests.support.stack import Stack, stack_on_empty_servers
from tests.support.typed_kinds import KINDS, ROWS, WRONG_OUTPUTS, Row


@pytest.fixture(scope="module")
def stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start one of each for the whole module."""
    settings = {"handlers": "tests.support.typed_kinds", "docs": True}
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("logs"), **settings) as stack:
        asyncio.run(stack.start())
        yield stack


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_every_place_shows_and_takes_the_same(stack: Stack, row: Row) -> None:
    async with stack.client() as client:
        answer = await client.post("/v1/jobs", json={"kind": row.name, "input": row.given})
        assert answer.status_code == 202, answer.text
        job = await until_ended(client, answer.json()["links"]["self"])
        bare = (await client.post(f"/v1/kinds/{row.name}/jobs", json=row.given, headers=WAIT)).json()
        result = (await client.get(job["links"]["result"])).json()
        kind = (await client.get(f"/v1/kinds/{row.name}")).json()
        document = (await client.get("/openapi.json")).json()
    assert job["error"] is None
    assert job["result"] == bare["result"] == result == row.answered
    assert run_as_users_test(row) == result
    for side, value in (("input", row.given), ("output", result)):
        check(kind[side], value)
        check(in_document(document, f"{row.name}.{side}"), value)
    check(in_document(document, f"{row.name}.submit"), {"kind": row.name, "input": row.given})
    check(in_document(document, f"{row.name}.job"), job)


@pytest.mark.parametrize(("what", "pointer"), WRONG_OUTPUTS.items())
async def test_a_result_that_cannot_be_sent_ends_its_job_at_once(
    stack: Stack, what: str, pointer: str
) -> None:
    async with stack.client() as client:
        answer = await client.post("/v1/jobs", json={"kind": "typed.wrong", "input": {"what": what}})
        job = await until_ended(client, answer.json()["links"]["self"])
    assert (job["state"], job["attempt"], job["error"]["type"]) == ("failed", 1, "bad-output")
    assert job["error"]["detail"].startswith(f"{pointer}: ")


@pytest.mark.parametrize(
    ("exact", "status"),
    [
        ('"0.12345678901234567890"', 202),
        ("7", 202),
        ("100.10", 422),
        ("9007199254740993.1", 422),
        ("1e3", 422),
    ],
)
async def test_a_decimal_keeps_its_digits_or_is_refused(stack: Stack, exact: str, status: int) -> None:
    given = '{"item":{"a":' + exact + "}}"
    bodies = {"/v1/jobs": '{"kind":"typed.of","input":' + given + "}", "/v1/kinds/typed.of/jobs": given}
    async with stack.client() as client:
        for path, body in bodies.items():
            answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == status, answer.text
            if status == 422:
                (flaw,) = answer.json()["errors"]
                assert flaw["pointer"].endswith("/item/a")
                assert "as a string" in flaw["detail"]
            else:
                job = await until_ended(client, answer.json()["links"]["self"])
                assert job["result"] == {"item": {"a": exact.strip('"')}}


def run_as_users_test(row: Row) -> Any:
    """What the testing helper gives back for the same input, as JSON."""
    kind = KINDS[row.name]
    return orjson.loads(write_output(kind, run_handler(kind, row.given)))


def in_document(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A schema of the OpenAPI document, with what it refers to."""
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


def check(schema: dict[str, Any], value: Any) -> None:
    """Fail unless the value is what the schema says."""
    jsonschema_rs.validator_for(schema, validate_formats=False, offline=True).validate(value)

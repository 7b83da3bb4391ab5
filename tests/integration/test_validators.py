"""Validators that stumble or go on for ever: the input is refused, whichever way it came, and the api goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infra.local.servers import Servers
from tests.support.job_client import until_ended
from tests.support.stack import Stack, stack_on_empty_servers

SOURCE = Path(__file__).with_name("stumbling_kinds.py")
ENDS = {
    "divide": ("input_check_failed", "check-failed", "ZeroDivisionError"),
    "key": ("input_check_failed", "check-failed", "KeyError"),
    "attribute": ("input_check_failed", "check-failed", "AttributeError"),
    "recurse": ("input_check_failed", "check-failed", "RecursionError"),
    "surrogate": ("input_check_failed", "check-failed", "UnicodeEncodeError"),
    "group": ("input_check_failed", "check-failed", "BaseExceptionGroup"),
    "exit": ("input_check_failed", "check-failed", "SystemExit"),
    "sleep": ("input_check_cut_off", "check-too-long", "CheckCutOff"),
    "spin": ("input_check_cut_off", "check-too-long", "CheckCutOff"),
}


@pytest.fixture(scope="module")
def stack(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Start one of each for the whole module."""
    settings = {"handlers": "tests.integration.stumbling_kinds"}
    with stack_on_empty_servers(shared_servers, tmp_path_factory.mktemp("logs"), **settings) as stack:
        asyncio.run(stack.start())
        yield stack


def routes(given: dict[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, str], str]]:
    """Every way in which an input can come: path, body, headers, and the pointer to the input."""
    submit = {"kind": "own.checked", "input": given}
    schedule = submit | {"name": "never", "cron": "0 0 1 1 *"}
    return [
        ("/v1/jobs", submit, {}, "/input"),
        ("/v1/jobs", submit, {"Idempotency-Key": "one"}, "/input"),
        ("/v1/kinds/own.checked/jobs", given, {}, ""),
        ("/v1/schedules", schedule, {}, "/input"),
    ]


def logged(stack: Stack, message: str) -> list[dict[str, Any]]:
    """The api's lines of this kind."""
    lines = map(json.loads, stack.apis[0].log.read_text().splitlines())
    return [line for line in lines if line["message"] == message]


@pytest.mark.parametrize("how", ENDS)
async def test_an_input_on_which_a_validator_does_not_end_well_is_refused(stack: Stack, how: str) -> None:
    message, code, name = ENDS[how]
    before, pid = len(logged(stack, message)), stack.apis[0].pid
    async with stack.client() as client:
        for path, body, headers, pointer in routes({"how": how}):
            answer = await client.post(path, json=body, headers=headers)
            problem = answer.json()
            assert (answer.status_code, problem["type"], problem["retryable"]) == (422, "invalid", False)
            (flaw,) = problem["errors"]
            assert (flaw["pointer"], flaw["code"]) == (pointer, code)
        good = await client.post("/v1/jobs", json={"kind": "own.checked", "input": {}})
    assert good.status_code in (200, 202)
    assert stack.apis[0].pid == pid
    lines = logged(stack, message)[before:]
    assert [(line["kind"], line["error"]) for line in lines] == [("own.checked", name)] * 4
    assert all(line["where"].startswith(f"{SOURCE}:") for line in lines)
    assert logged(stack, "unforeseen") == []


async def test_others_are_answered_while_one_validator_hangs_and_after_it(stack: Stack) -> None:
    async with stack.client() as client, httpx2.AsyncClient() as other:
        hanging = asyncio.create_task(
            client.post("/v1/jobs", json={"kind": "own.checked", "input": {"how": "sleep"}})
        )
        probes = [other.get(f"{stack.apis[0].private_url}/livez", timeout=20) for _ in range(5)]
        assert {answer.status_code for answer in await asyncio.gather(*probes)} == {200}
        assert (await hanging).status_code == 422


async def test_an_input_over_which_a_newer_validator_stumbles_fails_its_job_at_once(
    stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "there"
    async with stack.client() as client:
        submit = {"kind": "own.checked", "input": {"unless": str(file)}, "options": {"delay_s": 2}}
        answer = await client.post("/v1/jobs", json=submit)
        file.touch()
        job = await until_ended(client, answer.json()["links"]["self"])
    assert (answer.status_code, job["state"], job["attempt"]) == (202, "failed", 1)
    assert (job["error"]["type"], job["error"]["retryable"]) == ("bad-input", False)

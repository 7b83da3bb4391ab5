"""What `make run` says of a sample that does not end is what the api knows of it; one that is held back does not fail it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import httpx2
from rich.console import Console

from infra.local.display import show_results
from infra.local.run import _refuse_failures
from infra.local.sample_jobs import Sample
from infra.local.sample_run import SampleRun, client_for, run_samples, why
from infra.local.stack import Stack as LocalStack
from tests.integration.test_paused_lanes import told
from tests.support.stack import Stack

NO_STACK = LocalStack(Path("/nowhere"), {})
SAMPLE = Sample("demo.sum", {"values": [1]}, str)


async def test_a_sample_in_a_paused_lane_is_not_waited_for_and_says_so(stack: Stack) -> None:
    async with client_for(stack.url, stack.key) as client:
        (await client.post("/v1/lanes/default/pause", json={"reason": "out for lunch"})).raise_for_status()
        try:
            for each in (*stack.apis, *stack.consumers):
                await told(each, "default, since ")
            submitted = await client.post("/v1/jobs", json={"kind": SAMPLE.kind, "input": SAMPLE.input})
            reason = await why(client, SampleRun(SAMPLE, submitted.json()))
            [held] = await run_samples(stack.url, stack.key, [SAMPLE], lambda _: None)
        finally:
            (await client.post("/v1/lanes/default/resume")).raise_for_status()
        assert reason.startswith(": ")
        assert "out for lunch" in reason
        assert held.is_held
        _refuse_failures([held], NO_STACK)
        shown = Console(record=True, width=200, file=StringIO())
        show_results(shown, [held])
        assert "the lane default is paused. sluice lanes resume default" in shown.export_text()


async def test_what_nobody_can_say_is_left_out(stack: Stack) -> None:
    async with client_for(stack.url, stack.key) as client:
        assert await why(client, SampleRun(SAMPLE)) == ""
        assert await why(client, SampleRun(SAMPLE, {"id": "01a1fd35-8e99-748d-a037-87a48d2b4e9e"})) == ""
    async with httpx2.AsyncClient(base_url="http://127.0.0.1:9", trust_env=False) as nobody:
        assert await why(nobody, SampleRun(SAMPLE, {"id": "01a1fd35-8e99-748d-a037-87a48d2b4e9e"})) == ""

"""Runs the samples over HTTP, as a client would: submit a job of every kind, wait, look at what came back."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2

from infra.local.sample_jobs import Sample

_TERMINAL = {"succeeded", "failed", "cancelled"}
_PATIENCE_S = 180.0
_AGAIN = 5
_WAIT_S = 0.5  # short, so that states and progress are seen to change

Document = dict[str, Any]


@dataclass(slots=True)
class SampleRun:
    """The job of one sample; `document` is the last answer about it."""

    sample: Sample
    document: Document = field(default_factory=dict)
    problem: str = ""
    took_s: float = 0.0

    @property
    def state(self) -> str:
        """The job's state, or how far the request is while there is none."""
        return "no answer" if self.problem else str(self.document.get("state", "submitting"))

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return bool(self.problem) or self.state in _TERMINAL or self.is_held

    @property
    def is_held(self) -> bool:
        """Whether it waits in a lane that somebody has paused: that is meant, and nothing to wait for."""
        return self.document.get("waiting_on") == "lane-paused"

    @property
    def succeeded(self) -> bool:
        """Whether the job did what it was asked."""
        return self.state == "succeeded"


OnChange = Callable[[SampleRun], None]


async def run_samples(
    url: str, key: str, samples: list[Sample], watch: OnChange, patience_s: float = _PATIENCE_S
) -> list[SampleRun]:
    """Submit all samples at once and follow each to its end, or for `patience_s`; `watch` is called at every change."""
    async with client_for(url, key) as client:
        runs = [SampleRun(sample) for sample in samples]
        async with asyncio.TaskGroup() as tasks:
            for run in runs:
                tasks.create_task(_follow(client, run, watch, patience_s))
        return runs


async def kinds(url: str, key: str) -> list[str] | None:
    """Return the names of the kinds the API offers; None when it does not accept the key."""
    async with client_for(url, key) as client:
        answer = await client.get("/v1/kinds")
    if answer.status_code in {401, 403}:
        return None
    answer.raise_for_status()
    return [entry["kind"] for entry in answer.json()["kinds"]]


def client_for(url: str, key: str) -> httpx2.AsyncClient:
    """Make a client of this API; no proxy stands before a loopback address."""
    return httpx2.AsyncClient(
        base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=10, trust_env=False
    )


async def _follow(client: httpx2.AsyncClient, run: SampleRun, watch: OnChange, patience_s: float) -> None:
    began = time.monotonic()
    watch(run)
    try:
        async with asyncio.timeout(patience_s):
            await _poll_until_over(client, run, watch)
    except TimeoutError:
        run.problem = f"still {run.state} after {patience_s:.0f} s{await why(client, run)}{_describe_load()}"
    except httpx2.HTTPError as error:
        run.problem = f"{type(error).__name__}: {error}"
    run.took_s = time.monotonic() - began
    watch(run)


async def why(client: httpx2.AsyncClient, run: SampleRun) -> str:
    """Return what the api says keeps the job from its end, behind a colon; nothing where it does not know."""
    if "id" not in run.document:
        return ""
    with suppress(httpx2.HTTPError):
        answer = await client.get(f"/v1/jobs/{run.document['id']}/explain")
        if answer.is_success:
            return f": {answer.json()['detail']}"
    return ""


def _describe_load() -> str:
    """Say so if other programs keep the machine busy: heavy work gives way to all of them."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load <= 2 * processors:
        return ""
    return f": others use this machine (load {load:.0f} on {processors} processors), and heavy work gets what they leave"


async def _poll_until_over(client: httpx2.AsyncClient, run: SampleRun, watch: OnChange) -> None:
    body = {"kind": run.sample.kind, "input": run.sample.input}
    answer = await _ask(client, "POST", "/v1/jobs", json=body, headers={"Idempotency-Key": str(uuid4())})
    while _keep_answer(answer, run):
        watch(run)
        asked = time.monotonic()
        answer = await _ask(client, "GET", f"/v1/jobs/{run.document['id']}", params={"wait": _WAIT_S})
        if time.monotonic() - asked < _WAIT_S and not _is_over(answer):
            await asyncio.sleep(
                float(answer.headers.get("Retry-After", "1"))
            )  # it did not let us wait with it


async def _ask(client: httpx2.AsyncClient, method: str, path: str, **options: Any) -> httpx2.Response:
    """Ask a few times while the api says that something is away, as it may be for a moment on a busy machine."""
    answer = await client.request(method, path, **options)
    for _ in range(_AGAIN):
        if answer.status_code == 503:
            await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
            answer = await client.request(method, path, **options)
    return answer


def _is_over(answer: httpx2.Response) -> bool:
    return answer.is_success and answer.json()["state"] in _TERMINAL


def _keep_answer(answer: httpx2.Response, run: SampleRun) -> bool:
    """Keep what the answer says about the job; False when there is nothing more to ask."""
    if answer.is_success:
        run.document = answer.json()
    else:
        run.problem = f"{answer.status_code}: {answer.text[:300]}"
    return not run.is_over

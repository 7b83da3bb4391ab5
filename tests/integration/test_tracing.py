"""A trace from the request to the settled attempt, on real processes and a real collector; none where it is off."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import orjson
import pytest

from infra.local.servers import Servers
from tests.support.otlp_receiver import OtlpReceiver, Received
from tests.support.stack import Stack, stack_on_empty_servers
from tests.support.waiting import until

TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{CLIENT}-01", f"00-{TRACE}-{CLIENT}-00"
BODY = {"kind": "own.traced", "input": {}}
WAIT = {"Prefer": "wait=20"}
COSTLY = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "google", "requests")


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver.running() as running:
        yield running


@pytest.fixture(scope="module")
def traced_stack(
    shared_servers: Servers, receiver: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Start an api and a consumer that trace what clients want traced, and send spans at once."""
    settings = {
        "handlers": "tests.integration.traced_kinds,tests.integration.kinds",
        "otlp_url": receiver.url,
    }
    directory = tmp_path_factory.mktemp("traced")
    with stack_on_empty_servers(shared_servers, directory, trace_ratio=0, **settings) as stack:
        stack.environment["OTEL_BSP_SCHEDULE_DELAY"] = "5"
        asyncio.run(stack.start())
        yield stack


async def submit(client: httpx2.AsyncClient, traceparent: str | None, **body: object) -> httpx2.Response:
    """Submit a job, wait for its end, and return the answer."""
    headers = WAIT | ({"traceparent": traceparent} if traceparent else {})
    answer = await client.post("/v1/jobs", json=BODY | body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


async def until_arrived(receiver: OtlpReceiver, trace: str, spans: int = 5) -> dict[str, Received]:
    """Return the spans of a trace by their names, once there are so many."""
    await until(lambda: sum(each.trace == trace for each in receiver.spans) >= spans)
    return {each.name: each for each in receiver.spans if each.trace == trace}


async def test_one_submit_gives_five_spans_in_the_trace_of_its_client(
    traced_stack: Stack, receiver: OtlpReceiver
) -> None:
    async with traced_stack.client() as client:
        answer = await submit(client, SAMPLED)
    spans = await until_arrived(receiver, TRACE)
    request, accept = spans.pop("POST /v1/jobs"), spans.pop("accept")
    queue, attempt, settle = spans.pop("queue default"), spans.pop("process own.traced"), spans.pop("settle")
    assert spans == {}
    assert [each.service for each in (request, accept)] == ["sluice-api"] * 2
    assert [each.service for each in (queue, attempt, settle)] == ["sluice-consumer"] * 3
    assert (request.parent, request.kind, request.links) == (CLIENT, "server", [])
    assert (accept.parent, accept.kind, accept.links) == (request.id, "client", [(TRACE, request.id)])
    assert (queue.parent, queue.kind, queue.links) == (request.id, "internal", [])
    assert (attempt.parent, attempt.kind, attempt.links) == (request.id, "consumer", [])
    assert (settle.parent, settle.kind, settle.links) == (attempt.id, "client", [(TRACE, attempt.id)])
    assert request.attributes["http.route"] == "/v1/jobs"
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["sluice.request_id"] == answer.headers["x-request-id"]
    assert attempt.attributes["messaging.system"] == "rabbitmq"
    assert attempt.attributes["messaging.message.id"] == answer.json()["id"]
    assert not any(each.failed for each in (request, accept, queue, attempt, settle))
    assert request.start_ns <= accept.start_ns <= accept.end_ns <= attempt.start_ns <= attempt.end_ns
    assert attempt.end_ns <= settle.start_ns <= settle.end_ns <= request.end_ns + 5_000_000_000
    assert queue.start_ns <= queue.end_ns
    assert answer.json()["result"] == {"traceparent": f"00-{TRACE}-{attempt.id}-01"}


async def test_the_fast_path_is_traced_as_well_and_look_ups_are(
    traced_stack: Stack, receiver: OtlpReceiver
) -> None:
    trace = "a" * 32
    async with traced_stack.client() as client:
        await submit(client, None)  # from now on the key is known
        headers = {"traceparent": f"00-{trace}-{CLIENT}-01"}
        job = (await client.post("/v1/jobs", json=BODY, headers=headers)).json()
        await traced_stack.finished([job["id"]])
        await until_arrived(receiver, trace)
        missing = await client.get(f"/v1/jobs/{'0' * 8}-0000-7000-8000-{'0' * 12}", headers=headers)
        assert missing.status_code == 410
        metrics = f"{traced_stack.apis[0].private_url}/metrics"
        shown = await client.get(metrics, headers={"accept": "application/openmetrics-text;version=1.0.0"})
        assert trace in shown.text  # as an exemplar
    spans = await until_arrived(receiver, trace, 6)
    assert spans["accept"].parent == spans["POST /v1/jobs"].id
    look_up = spans["GET /v1/jobs/{job_id}"]
    assert (look_up.parent, look_up.attributes["http.response.status_code"]) == (CLIENT, 410)


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_what_a_job_and_its_handler_log_names_job_and_trace(traced_stack: Stack, flags: str) -> None:
    trace = os.urandom(16).hex()
    async with traced_stack.client() as client:
        job = (await submit(client, f"00-{trace}-{CLIENT}-{flags}")).json()
        failed = (await submit(client, f"00-{trace}-{CLIENT}-{flags}", kind="own.fails")).json()
    log = traced_stack.consumers[0].log
    wanted = {
        ("seen by a handler", job["id"]),
        ("seen by its context", job["id"]),
        ("jobs_failed", failed["id"]),
    }

    def lines() -> set[tuple[str, str]]:
        found = map(orjson.loads, log.read_text().splitlines())
        return {(each["message"], each["job_id"]) for each in found if each.get("trace_id") == trace}

    await until(lambda: wanted <= lines())


async def test_a_failed_attempt_is_a_failed_span_and_its_next_belongs_to_the_same_trace(
    traced_stack: Stack, receiver: OtlpReceiver
) -> None:
    trace = "b" * 32
    async with traced_stack.client() as client:
        await submit(client, f"00-{trace}-{CLIENT}-01", kind="own.fails", options={"max_attempts": 2})
    await until_arrived(receiver, trace, 8)
    of_trace = [each for each in receiver.spans if each.trace == trace]
    first, second = (each for each in of_trace if each.name == "process own.fails")
    assert [(each.failed, each.attributes["sluice.attempt"]) for each in (first, second)] == [
        (True, 1),
        (True, 2),
    ]
    assert [each.parent for each in of_trace if each.name == "settle"] == [first.id, second.id]
    assert sum(each.name == "queue default" for each in of_trace) == 2


async def test_the_job_of_a_schedule_that_is_run_by_hand_is_in_the_trace_of_that_request(
    traced_stack: Stack, receiver: OtlpReceiver
) -> None:
    trace = "e" * 32
    async with traced_stack.client() as client:
        body = {"name": "traced", "cron": "0 0 1 1 *", "kind": "own.traced", "input": {}}
        assert (await client.post("/v1/schedules", json=body)).status_code == 201
        headers = {"traceparent": f"00-{trace}-{CLIENT}-01"}
        answer = await client.post("/v1/schedules/traced/run", headers=headers)
        assert answer.status_code == 202, answer.text
    spans = await until_arrived(receiver, trace, 4)
    request = spans["POST /v1/schedules/{name}/run"]
    assert spans["process own.traced"].parent == spans["queue default"].parent == request.id


async def test_who_does_not_ask_for_a_trace_gets_none_and_handlers_see_what_was_sent(
    traced_stack: Stack, receiver: OtlpReceiver
) -> None:
    trace = "c" * 32
    async with traced_stack.client() as client:
        unsampled = f"00-{trace}-{CLIENT}-00"
        assert (await submit(client, unsampled)).json()["result"] == {"traceparent": unsampled}
        assert (await submit(client, None)).json()["result"] == {"traceparent": None}
        last = "d" * 32
        await submit(client, f"00-{last}-{CLIENT}-01")
    await until_arrived(receiver, last)
    assert [each for each in receiver.spans if each.trace == trace] == []


async def test_a_stopping_process_sends_its_last_spans(servers: Servers, tmp_path: Path) -> None:
    with (
        OtlpReceiver.running() as receiver,
        Stack(servers, tmp_path, otlp_url=receiver.url, trace_ratio=1) as stack,
    ):
        await stack.start(consumers=0)
        async with stack.client() as client:
            await client.get("/v1/kinds")
        assert receiver.spans == []  # the SDK waits for 5 s
        api = stack.apis[0]
        api.signal(signal.SIGTERM)
        api.signal(signal.SIGTERM)
        assert await asyncio.to_thread(api.stop) == 0
        assert [each.name for each in receiver.spans] == ["GET /v1/kinds"]


@pytest.mark.parametrize("process", ["api", "consumer"])
async def test_a_process_without_tracing_imports_nothing_of_opentelemetry(
    servers: Servers, tmp_path: Path, process: str
) -> None:
    """Started with a module that says at the end what was imported."""
    spy = tmp_path / "sitecustomize.py"
    spy.write_text(
        "import atexit, os, sys\n"
        "def tell():\n"
        "    found = sorted(name for name in sys.modules if name.split('.')[0] in ('opentelemetry', 'google', 'requests'))\n"
        f"    open({str(tmp_path)!r} + f'/told-{{os.getpid()}}', 'w').write(' '.join(found))\n"
        "atexit.register(tell)\n"
    )
    with (
        OtlpReceiver.running() as receiver,
        Stack(servers, tmp_path, handlers="sluice.kinds.demo_sum") as stack,
    ):
        stack.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url  # meant for others
        stack.environment["PYTHONPATH"] = str(tmp_path)
        await stack.start()
        async with stack.client() as client:
            body = {"kind": "demo.sum", "input": {"values": [1, 2]}}
            await submit(client, SAMPLED, **body)
        started = (stack.apis if process == "api" else stack.consumers)[0]
        assert await asyncio.to_thread(started.stop) == 0
        assert receiver.paths == []
        told = (tmp_path / f"told-{started.pid}").read_text().split()
    # FastAPI imports the interface of OpenTelemetry, which it needs; all the rest is what costs.
    ours = [name for name in told if process == "consumer" or name.startswith(COSTLY)]
    assert ours == []


def test_the_spy_sees_opentelemetry_where_it_is_imported() -> None:
    code = "import sys, sluice.adapters.otlp; print('opentelemetry.sdk' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True
    )
    assert out.stdout == "True\n"

"""The spans of a job: how long it was queued, and its attempt."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from consumer.attempt import Attempt
from consumer.traced_runs import TracedRuns
from sluice.core.outcome import ChildDied, Ending, Released, TimedOut
from sluice.core.runtime.tracing import Span, Tracing
from sluice.errors import RetryLater
from tests.unit.consumer import hostile_kinds as kinds
from tests.unit.consumer.make_attempts import an_attempt

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
QUEUED = datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)


class Hosts:
    """Ends every attempt in the same way; an exception that is `raised` comes out."""

    def __init__(self, ending: Ending = b"{}", raised: BaseException | None = None) -> None:
        self.ending, self.raised, self.seen = ending, raised, ""

    async def run(self, attempt: Attempt) -> Ending:
        self.seen = attempt.traceparent
        if self.raised:
            raise self.raised
        return self.ending


async def run(hosts: Hosts, attempt: Attempt) -> list[Span]:
    """Run the attempt; return the spans that come of it."""
    spans: list[Span] = []
    ending = await TracedRuns(hosts, Tracing(spans.append, 1), lambda: "rabbitmq").run(attempt)
    assert ending is hosts.ending
    return spans


def attempt_of(traceparent: str | None, **fields: object) -> Attempt:
    """An attempt that was queued for a second and a half."""
    times = {"queued_at": QUEUED, "started_at": QUEUED + timedelta(seconds=1.5)}
    return an_attempt(kinds.echo, traceparent=traceparent, **(times | fields))


async def test_a_traced_job_shows_its_wait_and_its_attempt() -> None:
    hosts, attempt = Hosts(), attempt_of(SAMPLED, attempt=3)
    wait, run_span = await run(hosts, attempt)
    job = attempt.job
    assert (wait.name, wait.kind, wait.parent, wait.context.trace_id) == (
        "queue default", "internal", (TRACE, PARENT), TRACE
    )  # fmt: skip
    assert (wait.start_ns, wait.end_ns) == (1_767_225_600_000_001_000, 1_767_225_601_500_001_000)
    assert wait.attributes == {"sluice.lane": "default", "sluice.priority": "normal", "sluice.job.id": job.id}
    assert (run_span.name, run_span.kind, run_span.parent, run_span.error) == (
        "process t.echo", "consumer", (TRACE, PARENT), ""
    )  # fmt: skip
    assert run_span.attributes == {
        "messaging.system": "rabbitmq",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": "sluice.default.normal",
        "messaging.message.id": job.id,
        "sluice.job.id": job.id,
        "sluice.kind": "t.echo",
        "sluice.attempt": 3,
    }
    assert hosts.seen == run_span.context.traceparent  # what the handler does is a part of its attempt
    assert attempt.span == run_span.context


@pytest.mark.parametrize("traceparent", [None, UNSAMPLED])
async def test_other_jobs_have_no_spans_and_their_handlers_see_what_the_client_sent(
    traceparent: str | None,
) -> None:
    hosts, attempt = Hosts(), attempt_of(traceparent)
    assert await run(hosts, attempt) == []
    assert (hosts.seen, attempt.span) == (traceparent or "", None)


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        (ValueError("no"), "ValueError"),
        (ChildDied("killed"), "ChildDied"),
        (Released(), ""),
        (RetryLater(5), ""),
    ],
)
async def test_an_attempt_says_how_it_ended_and_fails_only_where_its_handler_did(
    ending: Exception, error: str
) -> None:
    _, span = await run(Hosts(ending), attempt_of(SAMPLED))
    assert (span.error, span.attributes["sluice.ending"]) == (error, type(ending).__name__)


async def test_why_it_was_stopped_counts_and_not_what_it_returned() -> None:
    attempt = attempt_of(SAMPLED)
    attempt.stop(TimedOut("late"))
    _, span = await run(Hosts(), attempt)
    assert span.error == "TimedOut"


async def test_an_attempt_that_is_broken_off_has_its_span_too() -> None:
    spans: list[Span] = []
    traced = TracedRuns(
        Hosts(raised=asyncio.CancelledError()), Tracing(spans.append, 1), lambda: "postgresql"
    )
    with pytest.raises(asyncio.CancelledError):
        await traced.run(attempt_of(SAMPLED, queued_at=None))
    (span,) = spans  # and a job that was not queued has no wait
    assert (span.error, span.attributes["messaging.system"]) == ("CancelledError", "postgresql")

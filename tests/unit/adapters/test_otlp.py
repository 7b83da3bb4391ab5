"""Spans reach a collector; one that is away delays nobody, and is reported once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

from sluice.adapters import tracing
from sluice.adapters.otlp import OtlpSpans
from sluice.adapters.tracing import open_tracing
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.runtime.tracing import Span, SpanContext
from sluice.errors import StartRefused
from tests.support.fakes import Events
from tests.support.otlp_receiver import OtlpReceiver
from tests.unit.api.in_memory_api import settings

PARENT, OWN, OTHER = (
    SpanContext("a" * 32, "b" * 16),
    SpanContext("a" * 32, "c" * 16),
    SpanContext("d" * 32, "e" * 16),
)
FAILED = Span("x", OWN, PARENT, 5, 7, "consumer", {"kind": "t.echo", "attempt": 2}, [OTHER], "ValueError")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.05")  # what is not taken at once is not tried again
    with OtlpReceiver.running() as running:
        yield running


def flush(spans: OtlpSpans) -> None:
    """Send what is in the queue."""
    spans._spans.force_flush()


@pytest.mark.parametrize("ending", ["", "/", "/v1/traces"])
def test_a_span_arrives_as_it_is(receiver: OtlpReceiver, ending: str) -> None:
    spans = OtlpSpans(receiver.url + ending, "api", Telemetry())
    spans.export(FAILED)
    spans.export(Span("y", OWN, None, 1, 2))
    spans.close().join()
    assert set(receiver.paths) == {"/v1/traces"}
    assert receiver.spans[0] == (
        "sluice-api", "x", "consumer", "a" * 32, "c" * 16, "b" * 16, [("d" * 32, "e" * 16)],
        {"kind": "t.echo", "attempt": 2, "error.type": "ValueError"}, True, 5, 7,
    )  # fmt: skip
    assert receiver.spans[1][1:] == ("y", "internal", "a" * 32, "c" * 16, "", [], {}, False, 1, 2)


def test_a_collector_that_takes_none_is_reported_once_and_so_is_its_return(
    receiver: OtlpReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    events = Events()
    spans = OtlpSpans(receiver.url, "api", Telemetry(events))
    for status in (200, 400, 503, 200, 200):
        receiver.status = status
        spans.export(FAILED)
        flush(spans)
    spans.close().join()
    assert events == [(Event.SERVER_AWAY, 1, {"server": "otlp"}), (Event.SERVER_BACK, 1, {"server": "otlp"})]
    assert capfd.readouterr().err == ""


async def test_without_a_collector_a_process_is_not_kept_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "CLOSE_S", 0.1)
    telemetry, began = Telemetry(), monotonic()
    async with open_tracing(settings(otlp_url="http://127.0.0.1:9", trace_ratio=1), "api", telemetry):
        assert telemetry.tracing is not None
        assert telemetry.tracing.begin(None) is not None
        for _ in range(3_000):  # more than the queue holds
            telemetry.tracing.export(FAILED)
    assert monotonic() - began < 5


async def test_without_an_address_nothing_is_traced() -> None:
    telemetry = Telemetry()
    async with open_tracing(settings(), "api", telemetry):
        assert telemetry.tracing is None


async def test_without_the_extra_the_process_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Any = None
    monkeypatch.setitem(sys.modules, "sluice.adapters.otlp", missing)
    with pytest.raises(StartRefused, match=r"the extra otel: pip install"):
        async with open_tracing(settings(otlp_url="http://127.0.0.1:9"), "api", Telemetry()):
            pass

"""Send spans to an OpenTelemetry collector over OTLP/HTTP. Imported only where tracing is on: the SDK takes 17 MiB and a second."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace import SpanContext as OtelContext

from sluice import __version__
from sluice.core.runtime.telemetry import Event, Telemetry
from sluice.core.runtime.tracing import Span, SpanContext

SERVER, PATH = "otlp", "/v1/traces"
SCOPE = InstrumentationScope("sluice", __version__)
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
KINDS = {kind.name.lower(): kind for kind in SpanKind}


class OtlpSpans:
    """Sends spans in batches from a thread of its own; what is beyond its queue, or not taken in time, is dropped.

    The SDK's usual `OTEL_…` variables count, but for those of the address and the sampler.
    """

    def __init__(self, url: str, process: str, telemetry: Telemetry) -> None:
        # The SDK would log every batch that is lost, in words of its own; the events say it once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        url = url.rstrip("/")
        endpoint = url if url.endswith(PATH) else url + PATH
        self._resource = Resource.create({"service.version": __version__}).merge(
            Resource({"service.name": f"sluice-{process}"})
        )
        self._spans = BatchSpanProcessor(_Exporter(endpoint, telemetry))

    def export(self, span: Span) -> None:
        """Put a span into the queue."""
        # A finished span is made as a value: its id had to be known before, and was chosen then.
        self._spans.on_end(
            ReadableSpan(
                span.name,
                _convert(span.context),
                _convert(span.parent) if span.parent else None,
                self._resource,
                dict(span.attributes) | ({"error.type": span.error} if span.error else {}),
                links=[Link(_convert(each)) for each in span.links],
                kind=KINDS[span.kind],
                status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
                start_time=span.start_ns,
                end_time=span.end_ns,
                instrumentation_scope=SCOPE,
            )
        )

    def close(self) -> Thread:
        """Begin to send what is left; return the thread that does so, and that nobody has to wait for."""
        closing = Thread(target=self._spans.shutdown, name="last-spans", daemon=True)
        closing.start()
        return closing


class _Exporter(OTLPSpanExporter):
    """Reports when the collector stops taking spans, and when it takes them again."""

    def __init__(self, endpoint: str, telemetry: Telemetry) -> None:
        super().__init__(endpoint)
        self._telemetry, self._away = telemetry, False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        result = super().export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away != self._away:
            self._away = away
            self._telemetry.emit(Event.SERVER_AWAY if away else Event.SERVER_BACK, server=SERVER)
        return result


def _convert(context: SpanContext) -> OtelContext:
    return OtelContext(
        int(context.trace_id, 16), int(context.span_id, 16), is_remote=True, trace_flags=SAMPLED
    )

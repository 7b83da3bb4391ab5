"""A collector that takes spans over OTLP/HTTP and keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Received(NamedTuple):
    """A span as it came in, ids in hexadecimal digits. `links` are traces and spans."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: list[tuple[str, str]]
    attributes: dict[str, Any]
    failed: bool
    start_ns: int
    end_ns: int


class OtlpReceiver:
    """Its address, and what was sent there. It answers with `status`."""

    def __init__(self, port: int = 0) -> None:
        self.spans: list[Received] = []
        self.paths: list[str] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.paths.append(self.path)
                if receiver.status == 200:
                    receiver.spans.extend(read_spans(body))
                self.send_response(receiver.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[OtlpReceiver]:
        """Receive for the block."""
        receiver = cls()
        thread = Thread(target=receiver.server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.server.shutdown()
            thread.join()
            receiver.server.server_close()


def read_spans(body: bytes) -> Iterator[Received]:
    """Decode a request."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = read_values(resource.resource.attributes)["service.name"]
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            yield Received(
                service, span.name, span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                read_values(span.attributes), span.status.code == span.status.STATUS_CODE_ERROR,
                span.start_time_unix_nano, span.end_time_unix_nano,
            )  # fmt: skip


def read_values(attributes: Any) -> dict[str, Any]:
    """Read text and numbers."""
    return {each.key: each.value.string_value or each.value.int_value for each in attributes}

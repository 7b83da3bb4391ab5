"""Spans of what clients or head sampling want traced. Where tracing is off there is no `Tracing`, and nothing here runs."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import random
from time import time_ns
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")
Batch = Callable[[list[T]], Awaitable[R]]

MOST_LINKS = 128
"""Links that one span may have; OpenTelemetry's own limit."""


class SpanContext(NamedTuple):
    """The name of a span, in hexadecimal digits: 32 for its trace and 16 of its own."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        """The header that makes others its children."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    def child(self) -> SpanContext:
        """Name a new span of the same trace."""
        return SpanContext(self.trace_id, os.urandom(8).hex())


class Span(NamedTuple):
    """What was done from when to when, in nanoseconds since the epoch. `kind` and `attributes` are those of OpenTelemetry.

    `error` is the type of what went wrong; empty: nothing.
    """

    name: str
    context: SpanContext
    parent: SpanContext | None
    start_ns: int
    end_ns: int
    kind: str = "internal"
    attributes: Mapping[str, str | int] = {}
    links: Sequence[SpanContext] = ()
    error: str = ""


def read_sampled(traceparent: str | None) -> SpanContext | None:
    """Read a well-formed traceparent; None if there is none, or if it says that nobody wants the trace."""
    if traceparent is None or not int(traceparent[53:55], 16) & 1:
        return None
    return SpanContext(traceparent[3:35], traceparent[36:52])


def name_trace(traceparent: str | None) -> dict[str, Any]:
    """Return the field that names the trace, wanted or not, in a line of the log; none where there is no trace."""
    return {"trace_id": traceparent[3:35]} if traceparent else {}


class Tracing:
    """Hands finished spans to `export`, which must not block. `ratio` of the requests that bring no traceparent are traced."""

    def __init__(
        self, export: Callable[[Span], None], ratio: float, chance: Callable[[], float] = random
    ) -> None:
        self.export, self._ratio, self._chance = export, ratio, chance

    def begin(self, traceparent: str | None) -> tuple[SpanContext, SpanContext | None] | None:
        """Name the span of a request and its parent; None if it is not traced. What the client says comes first."""
        if traceparent is not None:
            parent = read_sampled(traceparent)
            return (parent.child(), parent) if parent else None
        if self._chance() >= self._ratio:
            return None
        return SpanContext(os.urandom(16).hex(), os.urandom(8).hex()), None

    def export_batch(
        self, name: str, traceparents: Sequence[str | None], start_ns: int, error: str = ""
    ) -> None:
        """Export the span of a statement for many, which is in the trace of the first and linked to all that are traced."""
        found = [context for each in traceparents if (context := read_sampled(each))]
        if not found:
            return
        attributes: dict[str, str | int] = {"db.system.name": "postgresql", "db.operation.name": name}
        if len(traceparents) > 1:
            attributes["db.operation.batch.size"] = len(traceparents)
        own, links = found[0].child(), found[:MOST_LINKS]
        self.export(Span(name, own, found[0], start_ns, time_ns(), "client", attributes, links, error))


def trace_batches(
    tracing: Tracing | None, name: str, write: Batch[T, R], traceparent_of: Callable[[T], str | None]
) -> Batch[T, R]:
    """Make a span of each batch that `write` takes. Without tracing return `write` itself, which then costs what it did."""
    if tracing is None:
        return write

    async def traced(items: list[T]) -> R:
        traceparents, start_ns, error = [traceparent_of(each) for each in items], time_ns(), ""
        try:
            return await write(items)
        except BaseException as why:
            error = type(why).__name__
            raise
        finally:
            tracing.export_batch(name, traceparents, start_ns, error)

    return traced

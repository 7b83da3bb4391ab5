"""What is traced, and what its spans are called."""

from __future__ import annotations

import re

import pytest

from sluice.core.runtime.tracing import (
    MOST_LINKS,
    Span,
    SpanContext,
    Tracing,
    name_trace,
    read_sampled,
    trace_batches,
)

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


def tracing(ratio: float = 0.5, chance: float = 0.5) -> tuple[Tracing, list[Span]]:
    """Make one whose chance is known, and the list of what it exports."""
    spans: list[Span] = []
    return Tracing(spans.append, ratio, lambda: chance), spans


def test_a_client_that_wants_its_trace_becomes_the_parent() -> None:
    begun = tracing(ratio=0)[0].begin(SAMPLED)
    assert begun is not None
    own, parent = begun
    assert parent == (TRACE, PARENT)
    assert (own.trace_id, own.span_id == PARENT) == (TRACE, False)
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", own.traceparent)
    assert read_sampled(own.traceparent) == own


def test_a_client_that_does_not_want_its_trace_is_obeyed() -> None:
    assert tracing(ratio=1)[0].begin(UNSAMPLED) is None
    assert read_sampled(UNSAMPLED) is None
    assert read_sampled(f"00-{TRACE}-{PARENT}-02") is None
    assert read_sampled(f"00-{TRACE}-{PARENT}-03") == (TRACE, PARENT)  # other flags are none of our business


@pytest.mark.parametrize(
    ("ratio", "chance", "traced"), [(0, 0, 0), (0.5, 0.49, 1), (0.5, 0.5, 0), (1, 0.999, 1)]
)
def test_of_the_others_a_part_is_traced(ratio: float, chance: float, traced: bool) -> None:
    begun = tracing(ratio, chance)[0].begin(None)
    assert (begun is not None) == traced
    if begun:
        assert begun[1] is None
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", begun[0].traceparent)


def test_every_span_has_a_name_of_its_own() -> None:
    ours = tracing(ratio=1)[0]
    begun = [found for _ in range(100) if (found := ours.begin(None))]
    assert len({own.trace_id for own, _ in begun}) == len({own.span_id for own, _ in begun}) == 100
    assert len({SpanContext(TRACE, PARENT).child() for _ in range(100)}) == 100


def test_a_line_of_the_log_names_its_trace() -> None:
    assert name_trace(UNSAMPLED) == {"trace_id": TRACE}
    assert name_trace(None) == name_trace("") == {}


async def test_a_batch_is_in_the_trace_of_its_first_and_linked_to_all_that_are_traced() -> None:
    ours, spans = tracing()
    other = SpanContext("a" * 32, "b" * 16)

    async def write(items: list[str | None]) -> int:
        return len(items)

    traced = trace_batches(ours, "accept", write, lambda each: each)
    assert await traced([None, SAMPLED, UNSAMPLED, other.traceparent]) == 4
    assert await traced([None, UNSAMPLED]) == 2  # nobody asks for a span of this one
    (span,) = spans
    assert (span.parent, list(span.links)) == ((TRACE, PARENT), [(TRACE, PARENT), other])
    assert (span.name, span.context.trace_id, span.kind, span.error) == ("accept", TRACE, "client", "")
    assert span.attributes == {
        "db.system.name": "postgresql", "db.operation.name": "accept", "db.operation.batch.size": 4
    }  # fmt: skip
    assert span.start_ns <= span.end_ns
    await traced([SAMPLED] * 1_000)
    assert len(spans[-1].links) == MOST_LINKS


async def test_a_batch_that_is_refused_has_a_span_that_says_so() -> None:
    ours, spans = tracing()

    async def refuse(_: list[str]) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await trace_batches(ours, "settle", refuse, lambda each: each)([SAMPLED])
    assert [(span.name, span.error, len(span.attributes)) for span in spans] == [
        ("settle", "TimeoutError", 2)
    ]


def test_where_nothing_is_traced_nothing_comes_in_between() -> None:
    async def write(_: list[str]) -> None:
        """Do nothing."""

    assert trace_batches(None, "accept", write, lambda each: each) is write

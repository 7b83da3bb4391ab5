"""What a consumer knows of a kind without loading its module: plain values, which a host sends as its catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from sluice.handler import AnyHandler, RunsIn
from sluice.retry import RetryPolicy


class KindInfo(NamedTuple):
    """A kind without its code: its options, and where its function stands."""

    kind: str
    aliases: tuple[str, ...]
    lane: str
    runs_in: RunsIn
    timeout_s: float
    retry: RetryPolicy
    cache_s: float
    keep_s: float | None
    max_input: int
    version: int
    lanes: tuple[str, ...] | None
    takes_context: bool
    file: str
    line: int
    function: str

    @property
    def where(self) -> str:
        """File and line of its function."""
        return f"{self.file}:{self.line}"


def describe(handler: AnyHandler) -> KindInfo:
    """Describe a kind for processes that do not load its module."""
    code = handler.function.__code__
    return KindInfo(
        kind=handler.kind,
        aliases=tuple(handler.aliases),
        lane=handler.lane,
        runs_in=handler.runs_in,
        timeout_s=float(handler.timeout_s),
        retry=handler.retry,
        cache_s=float(handler.cache_s),
        keep_s=handler.keep_s if handler.keep_s is None else float(handler.keep_s),
        max_input=handler.max_input,
        version=handler.version,
        lanes=handler.lanes,
        takes_context=handler.takes_context,
        file=code.co_filename,
        line=code.co_firstlineno,
        function=handler.function.__qualname__,
    )


def to_wire(info: KindInfo) -> list[Any]:
    """Write it as plain values, ready for msgpack or JSON."""
    return [asdict(each) if isinstance(each, RetryPolicy) else each for each in info]


def from_wire(values: Sequence[Any]) -> KindInfo:
    """Read what `to_wire` wrote. Raises ValueError if it is anything else."""
    return _adapter().validate_python(values)


@cache
def _adapter() -> TypeAdapter[KindInfo]:
    return TypeAdapter(KindInfo)

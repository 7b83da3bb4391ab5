"""What a request asks for besides its path and body: how long to wait, its validators, its timing."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pydantic import BaseModel
from starlette.requests import Request

from api.http.asgi import Header
from api.http.edge import WAITED_S
from sluice.core.errors import Flaw, Invalid

_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_ELEMENT = re.compile(rb'(?:[^",]|"(?:[^"\\]|\\.)*+"?)++', re.DOTALL)
"""An element of a list; quoted strings may have commas."""
_WAIT = re.compile(rb'\s*wait\s*=\s*("?)(\d+(?:\.\d+)?)\1\s*(?:;.*)?', re.IGNORECASE | re.DOTALL)


class WaitRequest(NamedTuple):
    """How long a request wants to wait, and the headers that confirm it."""

    seconds: float
    headers: list[Header]


class ServerTiming:
    """Measures where a request's time goes, for Server-Timing, if the client asked for it."""

    def __init__(self, request: Request) -> None:
        self._request = request  # its query is read once its key is known
        self._started = self._last = time.perf_counter()
        self._parts: list[str] = []

    def lap(self, name: str) -> None:
        """Name the time since the last lap."""
        now = time.perf_counter()
        self._parts.append(f"{name};dur={(now - self._last) * 1000:.2f}")
        self._last = now

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Name the time inside the block, and leave it out of the durations that are measured: the client has asked for it."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.lap("wait")
            self._request.scope[WAITED_S] = self._last - begun

    def headers(self) -> list[Header]:
        """Return the header, or nothing."""
        if self._request.query_params.get("timing") != "1":
            return []
        total = f"total;dur={(time.perf_counter() - self._started) * 1000:.2f}"
        return [(b"server-timing", ", ".join([*self._parts, total]).encode())]


def read_wait(request: Request, cap_s: float) -> WaitRequest:
    """Read `?wait=` and `Prefer: wait=`. A wrong query is refused; a preference is never an error (RFC 7240 §2).

    Seconds may be a fraction in both, though RFC 7240 §4.3 knows whole ones only. Raises Invalid.
    """
    texts = request.query_params.getlist("wait")
    if texts:
        text = texts[0]
        if len(texts) > 1:
            raise Invalid([Flaw("?wait", "repeated", "Send this parameter once.")])
        if not _SECONDS.fullmatch(text) or float(text) > cap_s:
            raise Invalid(
                [Flaw("?wait", "out-of-bounds", f"wait is a number of seconds from 0 to {cap_s:g}")]
            )
        return WaitRequest(float(text), [])
    for value in header_values(request, b"prefer"):
        for match in filter(None, map(_WAIT.fullmatch, _ELEMENT.findall(value))):
            seconds = min(float(match[2]), cap_s)
            return WaitRequest(seconds, [(b"preference-applied", b"wait=%.10g" % seconds)])
    return WaitRequest(0.0, [])


def read_validators(request: Request) -> bytes:
    """Join all If-None-Match headers; empty if there is none."""
    return b", ".join(header_values(request, b"if-none-match"))


def header_values(request: Request, name: bytes) -> list[bytes]:
    """Return the value of every header of this name."""
    return [value for key, value in request.scope["headers"] if key == name]


def refuse_unknown(request: Request, model: type[BaseModel], repeatable: Collection[str] = ()) -> None:
    """Raise Invalid if the query has a parameter that the model does not know, or repeats one that may come only once.

    `timing` may come with every request.
    """
    seen = set()
    for name, _ in request.query_params.multi_items():
        if name == "timing":
            continue
        if name not in model.model_fields:
            raise Invalid([Flaw(f"?{name[:64]}", "unknown-parameter", "There is no such parameter.")])
        if name in seen and name not in repeatable:
            raise Invalid([Flaw(f"?{name}", "repeated", "Send this parameter once.")])
        seen.add(name)

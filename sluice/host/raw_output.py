"""Read what a host writes to its real stdout and stderr: native code, programs it starts, an interpreter that dies."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from sluice.host.current_job import JobRef
from sluice.host.flood import FloodGate
from sluice.host.line_stream import LEVELS
from sluice.host.log_line import MESSAGE, TRACE, LogLine, fields_of_job
from sluice.host.plain_value import cut

CHUNK = 1 << 16
"""Bytes read at once: lines that keep the loop busy for 20 ms at most, which a job can do once and then every ten seconds."""
FLOOD_PAUSE_S = 0.01
"""Seconds between two chunks of a flood, during which its program has to wait: 6 MB/s cost 3 % of a processor."""
HALF = 4 * MESSAGE + 4
"""Bytes of half a line that are held: of a line too long, more than enough to show that it was cut."""
TOGETHER_S = 0.2
"""Seconds within which the lines of one dump follow each other."""
TAIL = 120
"""Lines: more than a dump has of one thread, and that of the event loop comes last."""
BEGINNINGS = (
    "Fatal Python error",
    "Traceback (most recent call last)",
    "Timeout (",
    "Thread 0x",
    "Current thread 0x",
)
"""How a traceback begins, and what `faulthandler` writes."""


class HostOutput:
    """The output of one host. `tail` holds the newest lines of both streams, to tell why it died."""

    def __init__(self, write: Callable[[LogLine], None], who: Callable[[], JobRef | None]) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.gate = FloodGate(write)
        self.who = who

    async def pump(self, stream: asyncio.StreamReader, name: str) -> None:
        """Write a line for every line of this stream (`stdout` or `stderr`), until it ends."""
        lines = RawLines(self, name)
        while chunk := await _read(stream, lines.dump):
            if not lines.take(chunk):
                await asyncio.sleep(FLOOD_PAUSE_S)
        lines.end()

    def finish_job(self, job: JobRef) -> None:
        """Say how many lines of a job were cut."""
        self.gate.finish_job(job)


async def _read(stream: asyncio.StreamReader, dump: Dump) -> bytes:
    """Return what has come, or nothing at the end. A dump is written where nothing follows soon."""
    if dump.lines:
        try:
            return await asyncio.wait_for(stream.read(CHUNK), TOGETHER_S)
        except TimeoutError:
            dump.write()
    return await stream.read(CHUNK)


class RawLines:
    """Cuts one stream into lines."""

    def __init__(self, output: HostOutput, name: str) -> None:
        self.dump = Dump(output, name)
        self._output = output
        self._name = name
        self._half = b""
        self._half_of: JobRef | None = None

    def take(self, chunk: bytes) -> bool:
        """Write the lines that a chunk completes. Return False if they were too many or too long."""
        job = self._output.who()
        if job != self._half_of:
            self.end()
        data = (self._half + chunk).replace(b"\r", b"\n")
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            if not self._pass(data[start:end], job):
                self._skip(data, end + 1, job)
                return False
            start = end + 1
        self._half, self._half_of = data[start : start + HALF], job
        return len(data) - start <= HALF

    def end(self) -> None:
        """Write what is left: half a line, and a dump."""
        half, self._half = self._half, b""
        self._pass(half, self._half_of)
        self.dump.write()

    def _skip(self, data: bytes, start: int, job: JobRef | None) -> None:
        """Count the lines from here on as cut, and only remember the last."""
        end = max(start, data.rfind(b"\n") + 1)
        rest, self._half, self._half_of = data[start:end], data[end : end + HALF], job
        self._output.gate.skip(rest.count(b"\n"), len(rest), job)
        self._output.tail.extend(map(_text, rest[-HALF:].splitlines()[-TAIL:]))

    def _pass(self, raw: bytes, job: JobRef | None) -> bool:
        text = _text(raw)
        if not text or text.isspace():
            return True
        self._output.tail.append(text)
        if self.dump.lines or text.startswith(BEGINNINGS):
            return self.dump.add(text, job)
        line = LogLine(LEVELS[self._name], self._name, text, fields_of_job(job))
        return self._output.gate(line, job)


class Dump:
    """Lines that belong together: a traceback, or what a dying interpreter writes of its threads."""

    def __init__(self, output: HostOutput, name: str) -> None:
        self.lines: list[str] = []
        self._output = output
        self._name = name
        self._job: JobRef | None = None
        self._size = 0

    def add(self, text: str, job: JobRef | None) -> bool:
        """Add a line, and write the dump once it is large."""
        self.lines.append(text)
        self._job = job
        self._size += len(text) + 1
        return self._size < TRACE or self.write()

    def write(self) -> bool:
        """Write what there is as one line, named by what it says first or, of a traceback, last."""
        if not self.lines:
            return True
        lines, self.lines, self._size = self.lines, [], 0
        named = lines[-1] if lines[0].startswith("Traceback") else lines[0]
        trace = "\n".join(lines)[:TRACE]
        line = LogLine(logging.ERROR, self._name, named, fields_of_job(self._job), trace)
        return self._output.gate(line, self._job)


def _text(raw: bytes) -> str:
    return cut(raw.decode(errors="replace"), MESSAGE)

"""Start the host program as a consumer does, and speak with it over a real socket."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

import orjson

from sluice.host.frames import Decoder, Message, encode
from sluice.host.processes import descendants_of

ROOT = Path(__file__).parents[3]
CODE_KINDS = "tests.unit.host.code_kinds"


class HostProcess:
    """A host, and this end of its socket. What it prints to the real descriptors is in `output`.

    `measured`: its coverage is, if that of the tests is. CPython 3.11 never ends if code is traced while an error waits in a thread
    that sleeps.
    """

    def __init__(self, folder: Path, slot: bool, measured: bool = True) -> None:
        self._slot, self._output = slot, folder / "output"
        self._decoder, self._unread = Decoder(), deque[Message]()
        self._numbers = count(1)
        self.socket, theirs = socket.socketpair()
        with theirs, self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sluice.host", "of-a-test", str(theirs.fileno())],
                cwd=ROOT, env=None if measured else unmeasured(), pass_fds=[theirs.fileno()], start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    @property
    def output(self) -> str:
        """What has been written to stdout and stderr themselves."""
        return self._output.read_text()

    def send(self, *messages: tuple[Any, ...]) -> None:
        """Send these messages together."""
        self.socket.sendall(b"".join(map(encode, messages)))

    def load(
        self, modules: Sequence[str] = (CODE_KINDS,), path: Sequence[str] = (), memory_mib: int = 0
    ) -> None:
        """Tell the host what to be."""
        self.send(("load", modules, [*path, *sys.path], logging.INFO, memory_mib, self._slot, None))

    def next(self) -> Message:
        """Return the next message. Raises EOFError once the host has ended."""
        while not self._unread:
            data = self._receive()
            if not data:
                raise EOFError(self.output)
            self._unread += self._decoder.feed(data)
        return self._unread.popleft()

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(1 << 20)
        except ConnectionResetError:  # it ended without having read everything
            return b""

    def next_of(self, *words: str) -> Message:
        """Return the next message that begins with one of these words, without those before it."""
        while True:
            message = self.next()
            if message[0] in words:
                return message

    def next_line(self, logger: str) -> tuple[str, dict[str, Any]]:
        """Return message and fields of the next log line of this logger."""
        while True:
            _, _, name, text, fields, *_ = self.next_of("log")
            if name == logger:
                return text, fields

    def start(self, kind: str, code: str, limit_s: float = 60.0) -> int:
        """Start a job, and return its number."""
        number = next(self._numbers)
        given = orjson.dumps({"code": dedent(code)})
        self.send(("run", number, f"job-{number}", kind, 1, number, limit_s, given))
        return number

    def endings(self, numbers: Sequence[int]) -> dict[int, tuple[str, Any]]:
        """Wait for the endings of these jobs: each is a word, and what was said or the texts that belong to it."""
        found: dict[int, tuple[str, Any]] = {}
        while found.keys() < set(numbers):
            _, number, word, values = self.next_of("ended")
            assert number not in found, "a job ends once"
            found[number] = word, orjson.loads(values[0])["said"] if word == "output" else values
        return found

    def ending(self, number: int) -> tuple[str, Any]:
        """Wait for the next job that ends, which must be this one."""
        return self.endings([number])[number]

    def run(self, kind: str, code: str, limit_s: float = 60.0) -> tuple[str, Any]:
        """Run a job, and return how it ended."""
        return self.ending(self.start(kind, code, limit_s))

    def say(self, kind: str, code: str) -> Any:
        """Run a job that ends well, and return what it said."""
        word, said = self.run(kind, code)
        assert word == "output", said
        return said

    def exit_status(self) -> int:
        """Wait for its end; negative numbers are signals."""
        return self.process.wait()

    def leave(self) -> None:
        """End it with everything it started; what it left behind is then nobody's."""
        for pid in (self.process.pid, *descendants_of(self.process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.socket.close()


def unmeasured() -> dict[str, str]:
    """Return an environment in which nothing measures coverage."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


@contextmanager
def host_process(folder: Path, slot: bool = False, measured: bool = True) -> Iterator[HostProcess]:
    """Start a host for the block; it has been told nothing yet."""
    host = HostProcess(folder, slot, measured)
    try:
        yield host
    finally:
        host.leave()

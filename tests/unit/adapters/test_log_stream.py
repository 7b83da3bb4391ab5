"""Log lines go out in order, and nobody waits for who does not read them."""

from __future__ import annotations

import os
import subprocess
import sys
from threading import Event

import orjson

from sluice.adapters.log_stream import LogStream


class Slow:
    """A stream that takes nothing until it is let."""

    def __init__(self) -> None:
        self.may, self.got = Event(), ""

    def write(self, text: str) -> None:
        self.may.wait(10)
        self.got += text

    def flush(self) -> None:
        """Do nothing."""


def test_lines_go_out_in_order() -> None:
    slow = Slow()
    slow.may.set()
    stream = LogStream(slow)  # type: ignore[arg-type]  # all of it that is used
    lines = [f"{number}\n" for number in range(100)]
    for line in lines:
        stream.write(line)
    stream.finish(10)
    assert slow.got == "".join(lines)


def test_what_is_too_much_is_lost_and_counted() -> None:
    slow = Slow()
    stream = LogStream(slow, most=3)  # type: ignore[arg-type]  # as above
    for number in range(100):
        stream.write(f"{number}\n")
    stream.finish(0.01)
    slow.may.set()
    stream.finish(10)
    stream.write("again\n")
    stream.finish(10)
    *before, lost, again = slow.got.splitlines()
    assert before in (["0", "1", "2"], ["0", "1", "2", "3"])
    assert (orjson.loads(lost)["count"], again) == (100 - len(before), "again")


def test_a_stream_that_nobody_reads_any_more_harms_nobody() -> None:
    read, write = os.pipe()
    os.close(read)
    stream = LogStream(os.fdopen(write, "w"))
    stream.write("one\n")
    stream.write("two\n")
    stream.finish(10)
    assert repr(stream) == "<LogStream: 0 lines wait>"


PROGRAM = """
import logging
from sluice.adapters.logs import log_to_stderr
log_to_stderr("INFO")
for number in range({count}):
    logging.info("x" * 1_000)
print("done", flush=True)
"""


def run(count: int) -> subprocess.Popen[bytes]:
    """A program that logs so many lines, whose stderr is a pipe. Where nothing is buffered, nobody waits for a buffer."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(count=count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=buffered,
    )


def test_a_process_goes_on_and_ends_although_nobody_reads_its_log() -> None:
    with run(2_000) as process:
        assert process.stdout
        assert process.stdout.read() == b"done\n"
        assert process.wait(10) == 0


def test_all_that_was_logged_is_there_at_the_end() -> None:
    with run(2_000) as process:
        assert len(process.communicate()[1].splitlines()) == 2_000

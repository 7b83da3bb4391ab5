"""Standing in for stdout and stderr."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from contextvars import copy_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.host.current_job import CURRENT, JobRef
from sluice.host.line_stream import LineStream
from sluice.host.log_line import MESSAGE, LogLine

FIRST, SECOND = JobRef("1", "text.shout", 1), JobRef("2", "text.shout", 1)


class Printed(LineStream):
    """A stream and what came out of it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, JobRef | None]] = []
        super().__init__("stdout", io.BytesIO(), lambda line, job: self.sent.append((line.message, job)))

    @property
    def lines(self) -> list[str]:
        """The texts alone."""
        return [text for text, _ in self.sent]


@pytest.fixture
def stream() -> Printed:
    return Printed()


def as_job(job: JobRef | None, call: Callable[[], object]) -> None:
    """Call a function as code of a job."""

    def run() -> None:
        CURRENT.set(job)
        call()

    copy_context().run(run)


def test_each_printed_line_is_a_line(stream: Printed) -> None:
    print("one", 1, file=stream)
    print("two\nthree\r\nfour\rfive", file=stream)
    print(file=stream)
    assert stream.lines == ["one 1", "two", "three", "four", "five"]


@given(st.lists(st.text(st.characters(codec=None), max_size=12), max_size=12))
def test_however_a_text_is_cut_into_writes_it_comes_whole(parts: list[str]) -> None:
    stream = Printed()
    assert [stream.write(part) for part in parts] == [len(part) for part in parts]
    stream.flush_partial(None)
    whole = "".join(parts).replace("\r", "\n").split("\n")
    assert len(stream.lines) == len([line for line in whole if line and not line.isspace()])
    assert all(line.encode() for line in stream.lines)


def test_half_lines_of_jobs_and_threads_do_not_mix(stream: Printed) -> None:
    as_job(FIRST, lambda: stream.write("first "))
    as_job(SECOND, lambda: stream.write("second "))
    thread = threading.Thread(target=lambda: as_job(FIRST, lambda: stream.write("thread\n")))
    thread.start()
    thread.join()
    as_job(SECOND, lambda: stream.write("ends\n"))
    as_job(FIRST, lambda: stream.write("ends\n"))
    assert stream.sent == [("thread", FIRST), ("second ends", SECOND), ("first ends", FIRST)]


def test_half_a_line_comes_out_when_its_job_ends(stream: Printed) -> None:
    as_job(FIRST, lambda: stream.write("working..."))
    as_job(SECOND, lambda: stream.write("also..."))
    stream.flush()
    assert stream.lines == []
    stream.flush_partial(FIRST)
    assert stream.sent == [("working...", FIRST)]
    stream.flush_partial(None)
    assert stream.sent[1:] == [("also...", SECOND)]


def test_a_line_names_its_job_stream_and_level() -> None:
    sent: list[LogLine] = []
    stream = LineStream("stderr", io.BytesIO(), lambda line, _job: sent.append(line))
    as_job(FIRST, lambda: print("oh", file=stream))
    assert sent == [LogLine(30, "stderr", "oh", {"job_id": "1", "kind": "text.shout", "attempt": 1})]


def test_a_very_long_line_is_cut_and_not_kept(stream: Printed) -> None:
    for _ in range(100):
        stream.write("x" * 1000)
    assert sum(map(len, stream._held.values())) <= MESSAGE + 1
    stream.write("\nnext\n")
    assert stream.lines == ["x" * (MESSAGE - 1) + "…", "next"]


def test_it_is_what_libraries_expect_of_a_stream(stream: Printed) -> None:
    assert (stream.encoding, stream.isatty(), stream.writable(), stream.readable()) == (
        "utf-8",
        False,
        True,
        False,
    )
    stream.reconfigure(encoding="latin-1", line_buffering=True)
    stream.writelines(["a\n", "b\n"])
    stream.close()
    assert not stream.closed
    print("still open", file=stream)
    assert stream.lines == ["a", "b", "still open"]
    assert stream.detach() is stream.buffer
    with pytest.raises(TypeError, match="must be str, not bytes"):
        stream.write(b"x")  # type: ignore[arg-type]  # what the test is about

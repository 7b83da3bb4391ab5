"""The host's end of the socket: sending from everywhere, and not at all from a fork."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

import pytest

from sluice.host.frames import BrokenFrame, Decoder, Message, encode
from sluice.host.pipe import Pipe

LARGE = b"x" * (8 << 20)
"""More than any socket takes at once."""


class Consumer:
    """The other end."""

    def __init__(self, end: socket.socket) -> None:
        self.end, self._decoder = end, Decoder()

    def read(self, messages: int, begun: bytes = b"") -> list[Message]:
        """Return so many messages, of which some bytes may have been read before."""
        read = self._decoder.feed(begun)
        while len(read) < messages:
            data = self.end.recv(1 << 20)
            assert data, "the pipe was closed"
            read += self._decoder.feed(data)
        return read

    def interrupt_sender(self) -> bytes:
        """Send a signal to the main thread, which is in the middle of sending; returns what has been read so far."""
        begun = self.end.recv(1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        return begun


@pytest.fixture
def ends() -> Iterator[tuple[Pipe, Consumer]]:
    """Provide both ends of a pipe."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Pipe(theirs), Consumer(ours)


@pytest.fixture
def on_signal() -> Iterator[Callable[[Callable[..., object]], object]]:
    """Provide what sets the handler of the signal, for the test."""
    before = signal.getsignal(signal.SIGUSR1)
    yield partial(signal.signal, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


class SocketThat:
    """A socket that does something else first whenever it sends."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real
        self.first: Any = lambda: None

    def send(self, data: memoryview, flags: int) -> int:
        """Do that, and send."""
        first, self.first = self.first, lambda: None
        first()
        return self._real.send(data, flags)


def test_what_an_event_loop_has_made_non_blocking_is_sent_whole(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    os.set_blocking(pipe.fileno(), False)  # as libuv does with what it watches
    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(pipe.send, ("one", LARGE), ("two",))
        assert consumer.read(2) == [["one", LARGE], ["two"]]
        sending.result()


def test_messages_go_both_ways(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    pipe.send(("one", 1), ("two", b"2"))
    consumer.end.sendall(encode(("three",)) + encode(("four",)))
    assert consumer.read(2) == [["one", 1], ["two", b"2"]]
    assert pipe.receive() == [["three"], ["four"]]


def test_receiving_waits_for_a_whole_message(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(consumer.end.sendall, encode(("load", LARGE)))
        assert pipe.receive() == [["load", LARGE]]
        sending.result()


def test_receiving_now_does_not_wait(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    assert pipe.receive_now() == []
    consumer.end.sendall(encode(("run",))[:-1])
    assert pipe.receive_now() == []


def test_messages_of_many_threads_do_not_mix(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    sizes = [(thread * 7_919 + turn * 104_729) % 300_000 for thread in range(8) for turn in range(10)]
    with ThreadPoolExecutor(9) as threads:
        reading = threads.submit(consumer.read, len(sizes))
        for size in sizes:
            threads.submit(pipe.send, ("log", b"x" * size))
        assert sorted(len(body) for _, body in reading.result()) == sorted(sizes)


def test_a_signal_handler_may_send_while_its_thread_is_sending(
    ends: tuple[Pipe, Consumer], on_signal: Callable[..., object]
) -> None:
    pipe, consumer = ends
    handled = threading.Event()

    def send_within(*_: object) -> None:
        pipe.send(("log", "within"))
        handled.set()

    def read_when_it_was_handled() -> list[Message]:
        begun = consumer.interrupt_sender()
        handled.wait()
        return consumer.read(2, begun)

    on_signal(send_within)
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(read_when_it_was_handled)
        pipe.send(("ended", LARGE))
        assert reading.result() == [["ended", LARGE], ["log", "within"]]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, TimeoutError])
def test_what_a_signal_handler_interrupts_is_sent_by_the_next_call(
    ends: tuple[Pipe, Consumer], on_signal: Callable[..., object], raised: type[BaseException]
) -> None:
    pipe, consumer = ends

    def interrupt(*_: object) -> NoReturn:
        raise raised

    on_signal(interrupt)
    with ThreadPoolExecutor(1) as thread:
        interrupting = thread.submit(consumer.interrupt_sender)
        with pytest.raises(raised):
            pipe.send(("ended", LARGE))
        reading = thread.submit(consumer.read, 2, interrupting.result())
        pipe.send(("alive",))
        assert reading.result() == [["ended", LARGE], ["alive"]]


def test_a_finalizer_may_send_while_its_thread_is_sending() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        odd = SocketThat(theirs)
        pipe = Pipe(odd)  # type: ignore[arg-type]  # it can do what is needed
        odd.first = lambda: pipe.send(("log", "last words"))
        pipe.send(("ended", 1))
        assert Consumer(ours).read(2) == [["ended", 1], ["log", "last words"]]


def test_a_signal_between_taking_the_lock_and_sending_does_not_block(
    ends: tuple[Pipe, Consumer],
) -> None:
    pipe, consumer = ends
    with pipe._lock:
        pipe.send(("log", "within"))
    assert consumer.read(1) == [["log", "within"]]


def test_nobody_minds_that_the_consumer_is_gone(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    consumer.end.close()
    pipe.send(("alive",))
    pipe.send(("alive",), ("ended", 1))
    with pytest.raises(EOFError):
        pipe.receive()
    with pytest.raises(EOFError):
        pipe.receive_now()


def test_a_consumer_that_went_without_reading_is_gone_as_well(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    pipe.send(("alive",))
    consumer.end.close()  # the system says that the connection was reset
    with pytest.raises(EOFError):
        pipe.receive()


def test_a_signal_that_tells_of_broken_pipes_is_not_asked_for(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    consumer.end.close()
    told: list[object] = []
    before = signal.signal(signal.SIGPIPE, lambda *_: told.append(1))
    pipe.send(("alive",))
    signal.signal(signal.SIGPIPE, before)
    assert not told


def test_a_descriptor_that_a_handler_has_closed_is_a_consumer_that_is_gone() -> None:
    ours, theirs = socket.socketpair()
    pipe = Pipe(theirs)
    os.close(theirs.fileno())
    pipe.send(("alive",))
    theirs.detach()
    ours.close()


def test_garbage_is_not_taken(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    consumer.end.sendall(b"\1\0\0\0\xc1")
    with pytest.raises(BrokenFrame):
        pipe.receive()


def test_a_fork_sends_nothing_and_leaves_when_it_comes_back(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    child = os.fork()
    if child == 0:
        pipe.send(("ended", "by a child"))
        pipe.leave_if_forked()
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    pipe.leave_if_forked()
    pipe.send(("ended", "by its parent"))
    assert consumer.read(1) == [["ended", "by its parent"]]


def test_a_fork_while_another_thread_sends_is_not_held_up(ends: tuple[Pipe, Consumer]) -> None:
    pipe, consumer = ends
    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(pipe.send, ("ended", LARGE))
        begun = consumer.end.recv(1)
        child = os.fork()
        if child == 0:
            pipe.send(("log", "of a child"))
            with pipe._lock:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert consumer.read(1, begun) == [["ended", LARGE]]
        sending.result()

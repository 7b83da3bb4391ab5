"""Threads of handlers: who wakes whom, and what happens to those that are ended from outside."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from sluice.host.handler_threads import HandlerThread, HandlerThreads, Work
from tests.support.waiting import until
from tests.unit.host.make_threads import make_threads

TOGETHER = 5


@pytest.fixture
async def threads(monkeypatch: pytest.MonkeyPatch) -> HandlerThreads:
    """Provide threads, none of which has been started."""
    return make_threads(monkeypatch)


@pytest.fixture
def untraced() -> Iterator[None]:
    """While an error waits for a thread that sleeps, CPython 3.11 never gets past the start of a function that is traced in another."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)


class Done:
    """Which threads have done the work that this has made."""

    def __init__(self) -> None:
        self.by: list[HandlerThread | None] = []

    def work(self, before: Callable[[], object] = lambda: None) -> Work:
        """Make work."""

        def do(thread: HandlerThread | None) -> None:
            before()
            self.by.append(thread)

        return do

    async def times(self, count: int) -> None:
        """Wait until it was done so often."""
        await until(lambda: len(self.by) == count)


async def test_what_is_short_and_comes_together_shares_a_thread(threads: HandlerThreads) -> None:
    done = Done()
    threads._help = lambda: None  # type: ignore[method-assign]  # on a busy machine, even short work takes long
    for _ in range(TOGETHER):
        threads.submit(done.work())
    await done.times(TOGETHER)
    assert len(set(done.by)) == 1


async def test_a_thread_is_used_again(threads: HandlerThreads) -> None:
    done = Done()
    for times in (1, 2):
        threads.submit(done.work())
        await done.times(times)
        await until(lambda: len(threads._idle) == 1)
    assert len(set(done.by)) == 1


async def test_all_that_wait_for_something_are_at_work_at_once(threads: HandlerThreads) -> None:
    done, met = Done(), threading.Barrier(2 * TOGETHER)
    for _ in range(TOGETHER):
        threads.submit(done.work(met.wait))
    await until(lambda: met.n_waiting == TOGETHER)
    for _ in range(TOGETHER):
        threads.submit(done.work(met.wait))
    await done.times(2 * TOGETHER)
    assert len(set(done.by)) == 2 * TOGETHER


async def test_a_thread_outlives_an_error(threads: HandlerThreads) -> None:
    def fails() -> None:
        raise SystemExit

    done = Done()
    threads.submit(done.work(fails))
    threads.submit(done.work())
    await done.times(1)
    await until(lambda: threads._idle == done.by)


@pytest.mark.usefixtures("untraced")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_what_a_thread_was_woken_for_that_was_ended_from_outside_is_done_once_it_is_mended(
    threads: HandlerThreads,
) -> None:
    done = Done()
    threads.submit(done.work())
    await until(lambda: len(threads._idle) == 1)
    ended = threads._idle[0]
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ended.ident or 0), ctypes.py_object(SystemExit))
    threads.submit(done.work())
    await until(lambda: not ended.is_alive())
    threads.mend()
    await done.times(2)
    assert done.by[1] is not ended


async def test_help_that_was_asked_for_and_never_came_is_made_up_for(threads: HandlerThreads) -> None:
    done, met = Done(), threading.Barrier(TOGETHER)
    threads._asked = True
    for _ in range(TOGETHER):
        threads.submit(done.work(met.wait))
    await until(lambda: met.n_waiting == 1)
    threads.mend()
    await done.times(TOGETHER)


async def test_without_a_thread_work_is_refused_and_later_work_is_done(
    threads: HandlerThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: HandlerThread) -> None:
        raise RuntimeError("can't start new thread")

    done = Done()
    with monkeypatch.context() as full:
        full.setattr(HandlerThread, "start", fails)
        with pytest.raises(RuntimeError):
            threads.submit(done.work())
        threads.mend()
    threads.submit(done.work())
    await done.times(2)

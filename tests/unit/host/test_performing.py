"""Reports of progress, from whatever thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from sluice.host import performing
from sluice.host.performing import PROGRESS_EVERY_S, Reporter


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock of the module."""
    clock = Clock()
    monkeypatch.setattr(performing, "monotonic", clock)
    return clock


def test_progress_is_sent_at_once_and_then_at_most_twice_a_second(clock: Clock) -> None:
    sent: list[bytes] = []
    report = Reporter(sent.append)
    for percent in (1.0, 2.0, 3.0):
        report(percent, "")
    assert sent == [b'{"percent":1.0,"note":""}']
    clock.now += PROGRESS_EVERY_S
    report.flush()
    report.flush()
    assert sent[1:] == [b'{"percent":3.0,"note":""}']


def test_after_the_end_nothing_is_sent(clock: Clock) -> None:
    sent: list[bytes] = []
    report = Reporter(sent.append)
    report.ended = True
    report(1.0, "")
    assert not sent


def test_a_note_that_cannot_be_stored_is_made_so(clock: Clock) -> None:
    sent: list[bytes] = []
    Reporter(sent.append)(1.0, "\udcff\0")
    assert sent == ['{"percent":1.0,"note":"?�"}'.encode()]


def test_two_threads_that_send_at_once_send_one_progress() -> None:
    both = Barrier(2)

    class Moment(float):
        """Is over for both threads before the first goes on."""

        def __le__(self, _: float) -> bool:
            both.wait()
            return True

    sent: list[bytes] = []
    report = Reporter(sent.append)
    report._newest, report._next = b"newest", Moment()
    with ThreadPoolExecutor(2) as threads:
        for _ in range(2):
            threads.submit(report.flush)
    assert sent == [b"newest"]

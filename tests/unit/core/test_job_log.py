"""The lines of an attempt: numbered, in order, and bounded by what is newest."""

from __future__ import annotations

import pytest

from sluice.core.job_log import MOST_BYTES, MOST_LINES, JobLog, LogBlock


def filled(*lines: bytes) -> JobLog:
    """A log with these lines."""
    log = JobLog()
    for line in lines:
        log.add(line)
    return log


@pytest.mark.parametrize(
    ("after", "block"),
    [
        (0, LogBlock(7, 1, b"a\nb\nc")),
        (1, LogBlock(7, 2, b"b\nc")),
        (2, LogBlock(7, 3, b"c")),
        (3, None),
        (9, None),
    ],
)
def test_a_block_has_the_lines_behind_a_number(after: int, block: LogBlock | None) -> None:
    assert filled(b"a", b"b", b"c").block(7, after) == block


def test_a_block_numbers_its_lines() -> None:
    assert LogBlock(1, 4, b"x\ny").numbered() == [(4, b"x"), (5, b"y")]


def test_nothing_logged_is_no_block() -> None:
    assert JobLog().block(1) is None


def test_of_too_many_lines_the_newest_are_kept() -> None:
    log = filled(*(b"%d" % number for number in range(1, MOST_LINES + 11)))
    block = log.block(1)
    assert block is not None
    assert (len(log), log.last, block.first) == (MOST_LINES, MOST_LINES + 10, 11)
    assert block.numbered()[0] == (11, b"11")
    assert block.numbered()[-1] == (MOST_LINES + 10, b"%d" % (MOST_LINES + 10))
    assert log.block(1, after=5) == block
    assert log.block(1, after=MOST_LINES + 9) == LogBlock(1, MOST_LINES + 10, b"1010")


def test_of_too_many_bytes_the_newest_are_kept() -> None:
    log = filled(*[b"x" * 999] * 100)
    block = log.block(1)
    assert block is not None
    assert MOST_BYTES - 1_000 < len(block.lines) < MOST_BYTES
    assert block.first == 100 - len(log) + 1


def test_a_line_that_is_longer_than_all_that_is_kept_is_counted_alone() -> None:
    log = filled(b"a", b"x" * (MOST_BYTES + 1))
    assert log.block(1) is None
    log.add(b"b")
    assert log.block(1) == LogBlock(1, 3, b"b")

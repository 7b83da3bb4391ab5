"""One line of the log."""

from __future__ import annotations

import logging
from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.host.current_job import JobRef
from sluice.host.log_line import (
    FIELD,
    HIGHEST_LEVEL,
    MESSAGE,
    MOST_FIELDS,
    TAKEN,
    TRACE,
    LogLine,
    line_of,
    unformatted,
    write,
)
from sluice.host.plain_value import Plain
from tests.unit.host.odd_values import ANY_NAME, ANY_VALUE, Silent

JOB = JobRef("7", "text.shout", 2)


def record(message: object, *args: object, **given: Any) -> logging.LogRecord:
    """A record as `logging` makes it."""
    made = logging.makeLogRecord({"name": "case", "levelno": logging.INFO, "msg": message, "args": args})
    vars(made).update(given)
    return made


@given(ANY_VALUE, st.lists(ANY_VALUE, max_size=3), st.dictionaries(ANY_NAME, ANY_VALUE, max_size=4))
def test_any_record_makes_a_line_that_can_be_sent(
    message: object, args: list[object], fields: dict[str, Any]
) -> None:
    made = logging.makeLogRecord(
        {"name": "case", "levelno": 20, "msg": message, "args": tuple(args)} | fields
    )
    line = line_of(made, JOB)
    assert LogLine(*ormsgpack.unpackb(ormsgpack.packb(tuple(line)))) == line
    assert TAKEN.isdisjoint(line.fields)
    assert (line.fields["job_id"], line.fields["kind"], line.fields["attempt"]) == JOB[:3]
    assert len(line.message) <= MESSAGE


def test_a_line_has_the_fields_of_the_caller_and_the_job() -> None:
    line = line_of(record("counted %d", 3, reached=3), JOB)
    fields: dict[str, Plain] = {"job_id": "7", "kind": "text.shout", "attempt": 2, "reached": 3}
    assert line == LogLine(logging.INFO, "case", "counted 3", fields)


def test_a_line_names_the_trace_of_a_job_that_has_one() -> None:
    traced = JOB._replace(trace_id="a" * 32)
    named = {"job_id": "7", "kind": "text.shout", "attempt": 2, "trace_id": "a" * 32}
    assert line_of(record("m"), traced).fields == named
    assert line_of(record("m", **named), traced).fields == named


def test_a_job_that_its_logger_named_is_named_once_and_keeps_its_names() -> None:
    line = line_of(record("m", job_id="7", kind="png", level=5, trace="t"), JOB)
    named = {"job_id": "7", "kind": "text.shout", "attempt": 2, "kind_": "png", "level_": 5, "trace_": "t"}
    assert line.fields == named


def test_no_more_fields_than_anybody_reads() -> None:
    line = line_of(record("m", **{f"field{number}": number for number in range(MOST_FIELDS + 5)}))
    assert len(line.fields) == MOST_FIELDS + 1
    assert line.fields["fields_cut"] == 5


@pytest.mark.parametrize(
    ("message", "args", "says"),
    [
        ("found %s", (Silent(),), "found %s % (<Silent without text: ValueError>) (not formatted: ValueError: no text)"),
        ("%d rows", ("x",), "%d rows % (x) (not formatted: TypeError: %d format: a real number is required, not str)"),
        ("%s and %s", (1,), "%s and %s % (1) (not formatted: TypeError: not enough arguments for format string)"),
        ("%(a)s", ({"b": 1},), "%(a)s % (1) (not formatted: KeyError: 'a')"),
        (Silent(), (), "<Silent without text: ValueError>"),
        ("100 %", (), "100 %"),
        ("caf\udce9", (), "caf?"),
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_formatted_says_so(
    message: object, args: tuple[object, ...], says: str
) -> None:
    made = logging.LogRecord("case", 20, "f", 1, message, args, None)
    assert line_of(made).message == says


def test_a_line_that_was_not_formatted_shows_what_it_was_going_to_say() -> None:
    made = unformatted(record("found %s", Silent(), levelno="?"), JOB, "it takes too long")
    assert made.message == "found %s (not formatted: it takes too long)"
    assert (made.level, made.fields["job_id"]) == (logging.ERROR, "7")
    assert unformatted(record(Silent()), None, "x").message == "<Silent> (not formatted: x)"


@pytest.mark.parametrize(("level", "written"), [(10**30, HIGHEST_LEVEL), (-5, 0), (25, 25), ("x", 40)])
def test_levels_are_small_numbers(level: Any, written: int) -> None:
    assert line_of(record("m", levelno=level)).level == written


def test_a_traceback_keeps_its_end() -> None:
    error = ValueError("x" * TRACE + "the reason")
    trace = line_of(record("m", exc_info=(ValueError, error, None))).trace
    assert len(trace) == TRACE
    assert trace.endswith("the reason")


def test_a_traceback_of_nothing_is_none() -> None:
    assert line_of(record("m", exc_info=(None, None, None))).trace == ""


def test_an_exception_without_traceback_still_has_its_name() -> None:
    assert line_of(record("m", exc_info=(ValueError, 7, 8))).trace.startswith("ValueError (no traceback: ")


def test_a_stack_is_shown_as_well() -> None:
    assert line_of(record("m", stack_info="Stack: here")).trace == "Stack: here"


def test_long_texts_are_cut() -> None:
    line = line_of(record("x" * 10**6, why="y" * 10**6))
    assert (len(line.message), len(str(line.fields["why"]))) == (MESSAGE, FIELD)


def test_a_line_of_a_host_is_written_like_one_of_this_process(caplog: pytest.LogCaptureFixture) -> None:
    loggers = set(logging.root.manager.loggerDict)
    with caplog.at_level(logging.INFO):
        write(LogLine(logging.INFO, "a.strangers.logger", "100 %s", {"reached": 3}, "Traceback"))
        write(LogLine(logging.DEBUG, "a.strangers.logger", "not wanted", {}))
    (found,) = caplog.records
    assert (found.name, found.getMessage(), found.exc_text) == ("a.strangers.logger", "100 %s", "Traceback")
    assert vars(found)["reached"] == 3
    assert set(logging.root.manager.loggerDict) == loggers
    assert line_of(found) == LogLine(
        logging.INFO, "a.strangers.logger", "100 %s", {"reached": 3}, "Traceback"
    )

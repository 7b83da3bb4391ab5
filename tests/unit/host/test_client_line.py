"""What a client reads of a handler's log, and what it does not."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from sluice.host.client_line import FIELD, LONGEST, MESSAGE, MOST_FIELDS, encode_line, is_for_client
from sluice.host.current_job import JobRef
from sluice.host.flood import FloodGate
from sluice.host.log_line import LogLine, line_of
from sluice.job_logger import JobLogger

JOB = JobRef("7", "text.shout", 2, "a" * 32)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def line(message: str = "read", level: int = logging.INFO, **fields: Any) -> LogLine:
    """A line that a handler has logged with the logger of its job."""
    named: dict[str, Any] = {"job_id": "7", "kind": "text.shout", "attempt": 2, "trace_id": "a" * 32}
    return LogLine(level, "sluice.handler", message, named | fields)


def shown(given: LogLine) -> dict[str, Any]:
    """As a client reads it."""
    return dict(orjson.loads(encode_line(given, AT)))


def test_a_line_says_when_how_grave_and_in_which_attempt() -> None:
    assert shown(line("read %", logging.WARNING, rows=3, path=None)) == {
        "at": "2026-01-02T03:04:05Z",
        "level": "warning",
        "attempt": 2,
        "message": "read %",
        "fields": {"rows": 3, "path": None},
    }


@pytest.mark.parametrize("text", ["a\nb", "\r\n", "\u2028", "caf\xe9 \U0001f600", "\0".replace("\0", "\\0")])
def test_a_line_is_one_line(text: str) -> None:
    encoded = encode_line(line(text, more=text))
    assert b"\n" not in encoded
    assert b"\r" not in encoded
    assert orjson.loads(encoded)["message"] == text


def test_secrets_are_blanked_before_anything_is_cut() -> None:
    long = "x" * (MESSAGE - 12) + " password=hunter2hunter2"
    given = shown(line(long, api_key="k", note="token=abcdefgh"))
    assert "hunter2" not in given["message"]
    assert given["fields"] == {"api_key": "***", "note": "token=***"}


def test_message_fields_and_their_number_are_bounded() -> None:
    fields: dict[str, Any] = {f"f{number:02}": "y" * 1_000 for number in range(40)}
    given = shown(line("x" * 9_000, **fields))
    assert len(given["message"]) == MESSAGE
    assert len(given["fields"]) == MOST_FIELDS
    assert {len(each) for each in given["fields"].values()} == {FIELD}


def test_a_line_that_is_too_long_even_so_is_shown_without_its_fields() -> None:
    fields: dict[str, Any] = {f"f{number}": "\x01" * 900 for number in range(20)}
    given = line("\U0001f600" * 9_000, **fields)
    assert len(encode_line(given)) <= LONGEST
    assert shown(given)["fields"] == {}


def test_a_traceback_is_for_operators() -> None:
    assert b"Traceback" not in encode_line(line()._replace(trace="Traceback (most recent call last)"))


def test_what_is_logged_with_the_logger_of_the_job_is_for_its_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    JobLogger({"job_id": "7", "kind": "k", "attempt": 1}).info("counted")
    logging.getLogger("urllib3").info("GET http://inside/")
    mine, foreign = (line_of(record, JOB) for record in caplog.records)
    assert (is_for_client(mine), is_for_client(foreign)) == (True, False)


def test_a_client_is_told_that_lines_were_cut() -> None:
    sent: list[LogLine] = []
    gate = FloodGate(sent.append)
    gate.skip(3, 99, JOB)
    gate.finish_job(JOB)
    assert [is_for_client(each) for each in sent] == [True]
    assert shown(sent[0])["fields"] == {"lines": 3, "bytes": 99}
    assert not is_for_client(line()._replace(logger="sluice.host"))

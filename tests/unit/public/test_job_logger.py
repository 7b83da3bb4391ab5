"""The logger of a job."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from sluice.job_logger import JobLogger, free_name

JOB: dict[str, str | int] = {"job_id": "7", "kind": "text.shout", "attempt": 2}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "sluice.handler")
    return caplog


def fields(record: logging.LogRecord, *names: str) -> list[Any]:
    return [vars(record)[name] for name in names]


def test_a_line_has_the_fields_of_the_job_and_those_of_the_caller(logged: pytest.LogCaptureFixture) -> None:
    JobLogger(JOB).info("counted %d", 3, extra={"reached": 3})
    assert logged.records[0].getMessage() == "counted 3"
    assert fields(logged.records[0], "reached", "job_id", "kind", "attempt") == [3, "7", "text.shout", 2]


def test_a_line_without_fields_is_a_line(logged: pytest.LogCaptureFixture) -> None:
    JobLogger(JOB).info("plain")
    JobLogger(JOB).info("plain", extra=None)
    assert [fields(record, "job_id") for record in logged.records] == [["7"], ["7"]]


def test_no_name_of_a_field_hides_the_job_or_is_refused(logged: pytest.LogCaptureFixture) -> None:
    JobLogger(JOB).info("odd", extra={"kind": "png", "message": "mine", "args": (1,), "name": "x"})
    assert fields(logged.records[0], "kind", "kind_", "message_", "args_", "name_") == [
        "text.shout", "png", "mine", (1,), "x",
    ]  # fmt: skip


def test_a_module_that_sets_up_logging_does_not_silence_the_job(logged: pytest.LogCaptureFixture) -> None:
    logging.getLogger("sluice.handler").disabled = True  # as this does: dictConfig({"version": 1})
    JobLogger(JOB).info("still here")
    assert [record.getMessage() for record in logged.records] == ["still here"]


def test_a_name_that_is_taken_gets_underscores() -> None:
    assert [free_name("a", {"b"}), free_name("a", {"a", "a_"})] == ["a", "a__"]

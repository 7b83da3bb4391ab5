"""Log lines."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.keys.api_key import make_key
from sluice.adapters.logs import FIELD, MESSAGE, TRACE, JsonLines, LogSink, log_to_stderr
from sluice.core.runtime.telemetry import Event
from tests.unit.host.odd_values import ANY_NAME, ANY_VALUE


def line(message: str, *args: object, **extra: Any) -> dict[str, Any]:
    record = logging.getLogger("sluice.test").makeRecord(
        "sluice.test", logging.INFO, "f", 1, message, args, None, extra=extra
    )
    text = JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_line_says_when_who_and_what() -> None:
    found = line("started %s", "well", port=8000)
    assert (found["level"], found["logger"], found["message"], found["port"]) == (
        "INFO",
        "sluice.test",
        "started well",
        8000,
    )
    assert found["at"].endswith("+00:00")


def test_control_characters_cannot_forge_a_line() -> None:
    assert line('a\n{"level":"ERROR"}\x1b[31m')["message"] == 'a\n{"level":"ERROR"}\x1b[31m'


def test_long_fields_are_cut() -> None:
    assert len(line("x" * 10_000, why="y" * 10_000)["why"]) == FIELD


def test_secrets_are_blanked() -> None:
    key = make_key()
    found = line(f"who sent {key}?", url="postgresql://sluice:hidden@db:5432/sluice")
    assert key.split("_")[2] not in found["message"]
    assert key.split("_")[1] in found["message"]
    assert found["url"] == "postgresql://sluice:***@db:5432/sluice"


def test_what_utf_8_cannot_carry_is_replaced() -> None:
    assert line("\ud800")["message"] == "?"


@given(ANY_VALUE, st.lists(ANY_VALUE, max_size=3), st.dictionaries(ANY_NAME, ANY_VALUE, max_size=4))
def test_whatever_is_logged_one_line_of_json_comes_out(
    message: object, args: list[object], fields: dict[str, Any]
) -> None:
    made = logging.makeLogRecord({"name": "case", "levelname": "INFO", "levelno": 20, "msg": message})
    vars(made).update(fields | {"args": tuple(args)})
    text = JsonLines().format(made)
    assert "\n" not in text
    assert text.encode()
    found = json.loads(text)
    assert (found["level"], found["logger"], type(found["message"])) == ("INFO", "case", str)


def test_fields_that_a_line_has_for_itself_are_renamed() -> None:
    found = line("m", level=3, logger="mine", at=7, trace="t")
    assert [found[f"{name}_"] for name in ("level", "logger", "at", "trace")] == [3, "mine", 7, "t"]
    assert (found["level"], found["logger"]) == ("INFO", "sluice.test")


def test_no_secret_is_in_any_part_of_a_line() -> None:
    try:
        raise ValueError("postgresql://u:hunter2@db/x")
    except ValueError:
        record = logging.getLogger("sluice.test").makeRecord(
            "sluice.test", 20, "f", 1, "at %s", ("redis://:hunter2@r",), sys.exc_info(),
            extra={"password": 12345, "db": {"pwd": "hunter2"}, "api_key": None, "rest": ["token=hunter2"]},
        )  # fmt: skip
    text = JsonLines().format(record)
    assert "hunter2" not in text
    assert "12345" not in text
    assert json.loads(text)["api_key"] is None


@pytest.mark.parametrize("before", [MESSAGE - 30, MESSAGE - 20, MESSAGE - 10])
def test_a_secret_at_the_cut_is_blanked(before: int) -> None:
    found = line("x" * before + " postgresql://u:hunter2@db/x")
    assert "hunter" not in found["message"]
    assert len(found["message"]) <= MESSAGE


def test_a_line_is_utf_8_whatever_the_locale() -> None:
    code = "import logging; from sluice.adapters.logs import *; log_to_stderr('INFO'); logging.info(chr(233) + chr(8364))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
        capture_output=True,
    )
    assert json.loads(done.stderr)["message"] == "é€"


def test_numbers_stay_numbers() -> None:
    found = line("numbers", a=1, b=1.5, c=True, d=None)
    assert [found[name] for name in "abcd"] == [1, 1.5, True, None]


def test_a_traceback_keeps_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        log_to_stderr("INFO")
        try:
            raise ValueError("the reason")
        except ValueError:
            logging.getLogger("sluice.test").exception("it broke")
        logging.getLogger("uvicorn.error").info("not worth a line")
        (handler,) = (
            each for each in root.handlers if isinstance(each, logging.StreamHandler) and each not in before
        )
        handler.stream.finish()
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (text,) = stream.getvalue().splitlines()
    assert json.loads(text)["trace"].endswith("ValueError: the reason")


def test_only_events_worth_it_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    sink = LogSink("api")
    with caplog.at_level(logging.INFO):
        sink(Event.ACCEPTED, 100, {})
        sink(Event.SERVER_AWAY, 1, {"server": "redis", "name": "clashes", "message": "clashes as well"})
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("sluice.api", "WARNING", "server_away")
    assert record.__dict__["server"] == "redis"


@pytest.mark.parametrize(("asked", "kept"), [(False, None), (True, "x" * TRACE)])
def test_tracebacks_of_handlers_are_logged_only_if_asked_for(
    asked: bool, kept: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        fields = {"job_id": "1", "kind": "demo.sum", "attempt": 2, "type": "gave-up", "error": "no"}
        LogSink("consumer", asked)(Event.FAILED, 1, fields | {"traceback": "y" + "x" * TRACE})
    (record,) = caplog.records
    told = json.loads(JsonLines().format(record))
    assert (told["level"], told["message"], told.get("trace")) == ("WARNING", "jobs_failed", kept)
    assert told.items() >= fields.items()

"""Events as they are encoded, and the places at which a client has stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from api.events.event import read_cursor, show_change, show_document, show_line, show_reset, write_cursor
from api.events.feed import BEAT_S
from api.events.job_logs import Line, Place
from sluice.core.document import render, render_item, without_result
from sluice.core.job import Job, JobState, as_accepted
from tests.support.make_jobs import AT, new_job


def a_job(**changes: Any) -> Job:
    return as_accepted(new_job(), AT)._replace(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"state": JobState.RUNNING, "progress": b'{"percent":1}'},
        {"state": JobState.SUCCEEDED, "result": b'{"a":1}', "finished_at": AT},
        {"state": JobState.SUCCEEDED, "result": b"null", "finished_at": AT},
        {"state": JobState.FAILED, "error": b'{"type":"x"}', "finished_at": AT},
    ],
)
def test_a_document_without_its_result_is_what_lists_show(changes: dict[str, Any]) -> None:
    job = a_job(**changes)
    assert without_result(render(job)) == render_item(job)


def test_an_event_is_encoded_once_for_each_prefix() -> None:
    event = show_document(render(a_job()))
    assert event.encode("") is event.encode("")
    assert event.encode("/a") is event.encode("/a")
    _, data = event.encode("/a").decode().strip().split("\n")
    assert orjson.loads(data.removeprefix("data: "))["links"]["self"].startswith("/a/v1/jobs/")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"state": JobState.RUNNING}, "state"),
        ({"state": JobState.RUNNING, "progress": b"{}"}, "progress"),
        ({"state": JobState.RUNNING, "progress": b"{}", "cancel_requested_at": AT}, "state"),
        ({"state": JobState.QUEUED}, "state"),
        ({"state": JobState.CANCELLED, "finished_at": AT}, "end"),
    ],
)
def test_a_change_is_named_by_what_it_is(changes: dict[str, Any], name: str) -> None:
    event = show_change(a_job(**changes))
    assert (event.name, event.last) == (name, name == "end")
    assert event.encode("").startswith(f"event: {name}\ndata: {{".encode())
    assert event.encode("").count(b"\n") == 3


def test_a_line_names_its_job() -> None:
    event = show_line("7", Line(Place(1, 2), b'{"message":"a\\nb"}'))
    assert event.encode("") == b'event: log\ndata: {"job_id":"7","message":"a\\nb"}\n\n'
    assert event.place == Place(1, 2)


def test_a_reset_says_what_to_do() -> None:
    assert show_reset("Look.").encode("/a") == b'event: reset\ndata: {"detail":"Look."}\n\n'


def test_a_cursor_is_read_as_it_was_written() -> None:
    assert read_cursor(write_cursor(3, Place(2, 17))) == (3, Place(2, 17))


@pytest.mark.parametrize(
    "text", [b"", b"3", b"3-2", b"-1-2.3", b"3-2.17 ", b"1234567890-1.1", "\u0663-2.1".encode(), b"3-2.1\n"]
)
def test_what_is_no_cursor_is_none(text: bytes) -> None:
    assert read_cursor(text) is None


def test_a_silent_stream_gives_a_sign_of_life_as_often_as_the_page_says() -> None:
    page = (Path(__file__).parents[4] / "docs" / "http-api.md").read_text()
    assert f"A silent stream sends a comment every {BEAT_S:g} s." in page

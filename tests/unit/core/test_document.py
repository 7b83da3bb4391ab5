"""The document of a job."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from sluice.core.document import Document, hide_result, mark_coalesced, render, show_under, unpack
from sluice.core.errors import Malformed
from sluice.core.job import TAG_SEPARATOR, Job, JobState, NewJob, as_accepted

AT = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)
ID = "01900000-0000-7000-8000-000000000001"
NEW = NewJob(ID, "acme", "demo.sum", "default", "normal", b"{}", 5, None, 600, 16)


def job(**fields: object) -> Job:
    return as_accepted(NEW, AT)._replace(**fields)  # type: ignore[arg-type]  # the tests name real fields


def test_a_new_job_shows_every_field_and_no_result() -> None:
    shown = orjson.loads(render(job()).body)
    assert list(shown)[:4] == ["id", "kind", "state", "version"]
    assert shown["created_at"] == "2026-01-02T03:04:05.678900Z"
    assert (shown["result"], shown["error"], shown["tags"], shown["progress"]) == (None, None, [], None)
    assert shown["links"] == {
        "self": f"/v1/jobs/{ID}",
        "result": f"/v1/jobs/{ID}/result",
        "events": f"/v1/jobs/{ID}/events",
        "cancel": f"/v1/jobs/{ID}/cancel",
    }


def test_the_result_stands_in_the_body_byte_for_byte() -> None:
    document = render(job(state=JobState.SUCCEEDED, result=b'{"b":1, "a":2}'))
    assert document.result == b'{"b":1, "a":2}'
    assert b'"result":{"b":1, "a":2},"error":null' in document.body


def test_a_document_without_result_has_an_empty_one() -> None:
    assert render(job()).result == b""


def test_a_hidden_result_is_null_and_nothing_else_changes() -> None:
    shown = render(job(state=JobState.SUCCEEDED, result=b'{"result":[1,2]}'))
    hidden = hide_result(shown)
    assert orjson.loads(hidden.body) == orjson.loads(shown.body) | {"result": None}
    assert hidden.result == b""
    assert hide_result(hidden) == hidden
    assert (shown.etag, hidden.etag) == (f'"{shown.version}"', f'W/"{shown.version}"')


def test_links_of_a_document_that_an_older_release_has_rendered_get_the_prefix_too() -> None:
    new = render(job(state=JobState.SUCCEEDED, result=b'{"a":1,"links":{"self":"/v1/jobs/mine"}}'))
    events = b'"events":"/v1/jobs/%b/events",' % ID.encode()
    old = new._replace(body=new.body.replace(events, b""))
    assert old.body != new.body
    shown = orjson.loads(show_under("/jobs", old).body)
    assert shown["links"]["self"] == f"/jobs/v1/jobs/{ID}"
    assert shown["result"] == {"a": 1, "links": {"self": "/v1/jobs/mine"}}


def test_the_error_is_shown_of_failed_jobs_only() -> None:
    error = b'{"type":"timed-out"}'
    failed = orjson.loads(render(job(state=JobState.FAILED, error=error)).body)
    waiting = orjson.loads(render(job(state=JobState.SCHEDULED, error=error)).body)
    assert (failed["error"], waiting["error"]) == ({"type": "timed-out"}, None)


def test_tags_and_progress_are_shown_as_lists_and_objects() -> None:
    shown = orjson.loads(render(job(tags=f"a{TAG_SEPARATOR}b", progress=b'{"percent":40}')).body)
    assert (shown["tags"], shown["progress"]) == (["a", "b"], {"percent": 40})


def test_an_answer_may_carry_a_field_of_its_own() -> None:
    assert orjson.loads(render(job(), coalesced=True).body)["coalesced"] is True
    assert mark_coalesced(render(job())) == render(job(), coalesced=True)
    assert mark_coalesced(render(job(), coalesced=True)) == render(job(), coalesced=True)


@pytest.mark.parametrize("state", JobState)
def test_only_finished_documents_have_a_strong_etag(state: JobState) -> None:
    result = b"1" if state == JobState.SUCCEEDED else None
    document = render(job(state=state, version=3, result=result))
    finished = state in ("succeeded", "failed", "cancelled")
    assert (document.finished, document.etag) == (finished, '"3"' if finished else 'W/"3"')


def test_a_document_survives_packing() -> None:
    document = render(job(state=JobState.SUCCEEDED, result=b'"a\\nb"'))
    assert unpack(document.pack()) == document


@pytest.mark.parametrize("packed", [b"", b"\n{}", b"a\tb\tc\td\te\tf\n{}", b"a\tb\n{}", b"\xff\n"])
def test_bytes_we_did_not_pack_are_refused(packed: bytes) -> None:
    with pytest.raises(Malformed):
        unpack(packed)


def test_a_document_knows_whose_it_is() -> None:
    assert render(job())[:2] == (ID, "acme")
    assert isinstance(render(job()), Document)

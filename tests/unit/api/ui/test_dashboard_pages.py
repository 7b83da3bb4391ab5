"""What the pages show: to whom, exactly, and without believing what clients have written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from api.ui.rendering import show_seconds, show_time
from sluice.core.job import JobState
from sluice.core.job_log import LogBlock
from tests.unit.api.ui.conftest import Browser, Seen

PAGES = [
    "",
    "/jobs",
    "/errors",
    "/kinds",
    "/kinds/demo.sum",
    "/lanes",
    "/schedules",
    "/schedules/new",
    "/bulk",
    "/bulk/new",
    "/keys",
    "/audit",
    "/consumers",
    "/system",
]
XSS = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`{{7*7}}"


async def submit(browser: Browser, tenant: str = "acme", **body: Any) -> str:
    """A job of this tenant, by the API."""
    headers = browser.api.as_tenant(tenant, "submit", "read", "payloads")
    whole = {"kind": "demo.sum", "input": {"values": [1, 2]}} | body
    answer = await browser.api.client.post("/v1/jobs", json=whole, headers=headers)
    return str(answer.json()["id"])


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_there_with_one_heading_and_names_for_its_controls(
    browser: Browser, path: str
) -> None:
    await submit(browser)
    seen = await browser.see(path)
    assert [tag for tag, _ in seen.tags].count("h1") == 1
    labels = set(seen.all("label", "for"))
    for tag, attributes in seen.tags:
        if tag in ("input", "select", "textarea") and attributes.get("id"):
            assert attributes["id"] in labels, attributes


@pytest.mark.parametrize("path", PAGES)
async def test_a_key_that_may_only_read_sees_no_act(browser: Browser, path: str) -> None:
    job_id = await submit(browser)
    await browser.log_in("read")
    answer = await browser.get(path)
    if answer.status_code == 200:
        assert Seen(answer.text).acts == []
        assert "Run it" not in answer.text
    else:
        assert answer.status_code == 403
    for state in (JobState.QUEUED, JobState.FAILED):
        browser.api.record.jobs[job_id] = browser.api.record.jobs[job_id]._replace(state=state)
        page = await browser.see(f"/jobs/{job_id}")
        assert page.acts == []
        assert "values" not in page.text


async def test_jobs_of_another_tenant_are_not_there(browser: Browser) -> None:
    theirs = await submit(browser, "globex")
    for path in ("", "/cancel", "/retry", "/delete"):
        answer = await (browser.act if path else browser.get)(f"/jobs/{theirs}{path}")
        assert answer.status_code == 404
    assert (await browser.get(f"/kinds/demo.sum?from={theirs}")).status_code == 404
    assert theirs not in (await browser.get("/jobs")).text
    assert browser.api.record.jobs[theirs].state == JobState.QUEUED


async def test_words_of_clients_stay_words(browser: Browser) -> None:
    job_id = await submit(browser, options={"tags": [XSS[:60]]})
    error = b'{"type":"handler-error","title":"<b>t</b>","detail":"<script>alert(1)</script>","fingerprint":"0123456789abcdef"}'
    line = b'{"at":"2026-01-02T00:00:00Z","level":"info","message":"<script>alert(1)</script>","fields":{"<i>":"<u>"}}'
    record = browser.api.record
    record.logs[job_id] = {1: LogBlock(1, 1, line)}
    record.finish(job_id, JobState.FAILED)
    record.jobs[job_id] = record.jobs[job_id]._replace(error=error, result=None)
    for path in (
        "",
        "/jobs",
        "/errors",
        f"/jobs/{job_id}",
        f"/jobs?tag={XSS}",
        "/jobs?kind=<script>",
        "/errors?state=<script>",
    ):
        answer = await browser.get(path)
        seen = Seen(answer.text)
        assert "onerror" not in [name for _, attributes in seen.tags for name in attributes]
        assert not {"b", "i", "u", "img"} & {tag for tag, _ in seen.tags}, path
        assert seen.all("script", "src") == ["/ui/static/vendor/htmx.min.js", "/ui/static/sluice.js"]
        assert "<script>" not in answer.text
    assert "<script>alert(1)</script>" in (await browser.see(f"/jobs/{job_id}")).text


@pytest.mark.parametrize(
    "number", [b"9007199254740993", b"12345678901234567890123", b"1e400", b"-0.0", b"1.10"]
)
async def test_numbers_of_a_result_have_the_digits_that_they_have(browser: Browser, number: bytes) -> None:
    job_id = await submit(browser)
    browser.api.record.finish(job_id, result=b'{"total":%b,"text":"a, b: [c]"}' % number)
    seen = await browser.see(f"/jobs/{job_id}")
    assert f'"total": {number.decode()},' in seen.text
    assert '"text": "a, b: [c]"' in seen.text


def test_no_time_is_negative() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert show_seconds(-5) == "0 ms"
    assert ">now<" in show_time(now + timedelta(milliseconds=300), now)
    assert ">in 5 min<" in show_time(now + timedelta(minutes=5), now)
    assert ">2 h ago<" in show_time(now - timedelta(hours=2, minutes=59), now)
    assert show_time(None) == "\N{EN DASH}"
    shown = {
        0.0004: "0 ms",
        0.25: "250 ms",
        9.94: "9.9 s",
        61: "1 min 1 s",
        3_700: "1 h 1 min",
        90_000: "1 d 1 h",
        604_800: "7 d",
        900_000: "10 d",
    }
    assert {seconds: show_seconds(seconds) for seconds in shown} == shown


async def test_the_address_holds_the_filter_and_an_id_leads_to_its_job(browser: Browser) -> None:
    job_id, other = await submit(browser, options={"tags": ["a b"]}), await submit(browser)
    seen = await browser.see("/jobs?q=a+b&kind=demo.sum&state=queued")
    assert job_id in seen.all("a", "title")
    assert other not in seen.all("a", "title")
    led = await browser.get(f"/jobs?q=+{job_id.upper()}+")
    assert led.headers["location"] == f"/ui/jobs/{job_id}"
    wrong = await browser.get("/jobs?error=nothing")
    assert wrong.status_code == 422
    assert "note bad" in wrong.text
    assert "error: " in wrong.text
    assert 'id="live"' not in wrong.text
    assert (await browser.get("/jobs?page=nothing")).status_code == 422


async def test_pages_of_jobs_follow_each_other(browser: Browser) -> None:
    for _ in range(60):
        await submit(browser)
    first = await browser.see("/jobs?kind=demo.sum")
    (older,) = [link for link in first.all("a", "href") if "page=" in link]
    second = await browser.see(older.removeprefix("/ui"))
    both = [*first.all("a", "title"), *second.all("a", "title")]
    assert len(both) == len(set(both)) == 60


async def test_who_is_away_is_the_verdict(browser: Browser) -> None:
    assert "Everything flows." in (await browser.see("")).text
    await browser.act("/lanes/default/pause", {"reason": "out for lunch"})
    assert "Lane default is paused: out for lunch" in (await browser.see("")).text


async def test_many_overviews_ask_for_errors_once_and_of_their_own_tenant(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await submit(browser)
    browser.api.record.finish(job_id, JobState.FAILED)
    asked: list[str] = []
    groups = browser.api.state.error_groups
    find = type(groups).find

    async def counted(self: Any, tenant: str) -> Any:
        asked.append(tenant)
        await asyncio.sleep(0)  # as a record takes its time
        return await find(self, tenant)

    monkeypatch.setattr(type(groups), "find", counted)
    for seen in await asyncio.gather(*(browser.see("") for _ in range(10))):
        assert "No open errors." not in seen.text
    await browser.log_in("read", tenant="globex")
    assert "No open errors." in (await browser.see("")).text
    assert asked == ["acme", "globex"]


async def test_a_long_input_is_cut_and_not_edited(browser: Browser) -> None:
    job_id = await submit(browser)
    record = browser.api.record
    record.jobs[job_id] = record.jobs[job_id]._replace(input=b'{"values":[' + b"1," * 40_000 + b"1]}")
    seen = await browser.see(f"/jobs/{job_id}")
    assert "of which this is the beginning" in seen.text
    assert f"/ui/kinds/demo.sum?from={job_id}" not in seen.all("a", "href")
    assert (await browser.get(f"/kinds/demo.sum?from={job_id}")).status_code == 422


async def test_a_thousand_causes_make_no_page_without_end(browser: Browser) -> None:
    record = browser.api.record
    for number in range(60):
        job_id = await submit(browser)
        record.finish(job_id, JobState.FAILED)
        error = orjson.dumps({"title": "Late", "detail": "x" * 4_000, "fingerprint": f"{number:016x}"})
        record.jobs[job_id] = record.jobs[job_id]._replace(error=error, finished_at=datetime.now(UTC))
    answer = await browser.get("/errors")
    assert Seen(answer.text).text.count("for example") == 30
    assert "30 more" in answer.text
    assert len(answer.content) < 60_000


@pytest.mark.parametrize("path", ["", "/errors"])
async def test_an_error_without_a_detail_is_told_once(browser: Browser, path: str) -> None:
    job_id = await submit(browser)
    record = browser.api.record
    record.finish(job_id, JobState.FAILED)
    error = orjson.dumps({"title": "The deadline passed", "detail": "", "fingerprint": "0" * 16})
    record.jobs[job_id] = record.jobs[job_id]._replace(error=error, finished_at=datetime.now(UTC))
    assert (await browser.see(path)).text.count("The deadline passed") == 1

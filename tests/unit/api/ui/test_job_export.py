"""The list of jobs as a file: the filter of the address, bounded, and no formula for a spreadsheet."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import orjson
import pytest
from starlette.requests import ClientDisconnect, Request

from api.listing.listing import JobQuery
from api.ui import export, shared
from api.ui.pages.jobs import read_filter
from sluice.core.errors import Overloaded, ServerAway
from sluice.core.job import JobState
from tests.unit.api.ui.conftest import Browser
from tests.unit.api.ui.test_dashboard_pages import submit


def rows(text: str) -> list[list[str]]:
    """The rows of a CSV."""
    return list(csv.reader(io.StringIO(text)))


async def test_the_filter_of_the_address_is_that_of_the_file(browser: Browser) -> None:
    job_id, _ = await submit(browser, options={"tags": ["nightly", "a,b"]}), await submit(browser)
    links = [each for each in (await browser.see("/jobs?tag=nightly")).all("a", "href") if "export" in each]
    assert [each.partition("format=")[2].partition("&")[0] for each in links] == ["csv", "ndjson"]
    answer = await browser.get(links[0].removeprefix("/ui"))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="jobs.csv"'
    assert answer.headers["cache-control"] == "no-store"
    head, row = rows(answer.text)
    found = dict(zip(head, row, strict=True))
    assert (found["id"], found["tags"], found["state"]) == (job_id, "nightly, a,b", "queued")
    lines = (await browser.get(links[1].removeprefix("/ui"))).text.splitlines()
    listed = await browser.api.client.get(
        "/v1/jobs?tag=nightly", headers=browser.api.as_tenant("acme", "read")
    )
    assert [orjson.loads(line) for line in lines] == listed.json()["jobs"]


@pytest.mark.parametrize("first", ["=", "+", "-", "@"])
async def test_no_cell_is_a_formula(browser: Browser, first: str) -> None:
    job_id = await submit(browser, options={"tags": [f'{first}cmd|"/c calc"']})
    browser.api.record.finish(job_id, JobState.FAILED)
    detail = orjson.dumps({"title": f"{first}1", "detail": f'{first}HYPERLINK("x")'})
    browser.api.record.jobs[job_id] = browser.api.record.jobs[job_id]._replace(error=detail)
    _, row = rows((await browser.get("/jobs/export?format=csv")).text)
    assert all(not cell.startswith(first) for cell in row)
    assert f"'{first}1" in row


async def test_pages_follow_each_other_up_to_the_most_and_the_file_says_that_it_is_cut(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await submit(browser) for _ in range(7)]
    monkeypatch.setattr(export, "AT_ONCE", 2)
    lines = (await browser.get("/jobs/export?format=ndjson")).text.splitlines()
    assert [orjson.loads(line)["id"] for line in lines] == ids[::-1]
    monkeypatch.setattr(export, "MOST_JOBS", 3)
    for at_once in (1, 2, 3, 7, 9):
        monkeypatch.setattr(export, "AT_ONCE", at_once)
        *lines, last = (await browser.get("/jobs/export?format=ndjson")).text.splitlines()
        assert [orjson.loads(line)["id"] for line in lines] == ids[:3:-1]
        assert "narrow the filter" in orjson.loads(last)["cut"]
    assert rows((await browser.get("/jobs/export?format=csv")).text)[-1][0].startswith("cut: ")


async def test_a_filter_that_little_fits_is_not_looked_for_without_end(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await submit(browser)
    monkeypatch.setattr(export, "AT_ONCE", 1)
    monkeypatch.setattr(export, "LONGEST_S", -1)
    *lines, last = (await browser.get("/jobs/export?format=ndjson")).text.splitlines()
    assert len(lines) == 1
    assert "took too long" in last


async def test_a_record_that_goes_away_meanwhile_cuts_the_file(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await submit(browser)
    monkeypatch.setattr(export, "AT_ONCE", 2)
    listing: Any = type(browser.api.state.listing)
    page, asked = listing.page, []

    async def once(self: Any, query: Any, size: int, token: str | None) -> Any:
        asked.append(token)
        if token is not None:
            raise ServerAway("postgresql")
        return await page(self, query, size, token)

    monkeypatch.setattr(listing, "page", once)
    *lines, last = (await browser.get("/jobs/export?format=ndjson")).text.splitlines()
    assert (len(lines), len(asked)) == (2, 2)
    assert orjson.loads(last).keys() == {"cut"}


@pytest.mark.parametrize("query", ["", "format=xml", "format=csv&error=nothing", "format=csv&after=soon"])
async def test_a_wrong_question_is_answered_with_a_page(browser: Browser, query: str) -> None:
    answer = await browser.get(f"/jobs/export?{query}")
    assert (answer.status_code, "<h1>" in answer.text) == (422, True)


async def test_each_file_gives_its_turn_back(browser: Browser) -> None:
    await submit(browser)
    for _ in range(2 * shared.MOST_EXPORTS + 1):
        assert (await browser.get("/jobs/export?format=csv")).status_code == 200
    head = await browser.api.client.head("/ui/jobs/export?format=csv")
    assert (head.status_code, head.content) == (200, b"")


async def test_few_files_are_sent_at_once_and_a_client_that_goes_away_holds_no_turn(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await submit(browser)
    monkeypatch.setattr(export, "TURN_S", 0.05)
    request = Request({"type": "http", "method": "GET", "headers": []})
    turns = asyncio.Semaphore(1)
    query = JobQuery("acme", "list", read_filter({}).wanted)
    wanted = export.JobExport(browser.api.state.listing, query, export.Csv(""), turns)
    held = await wanted.answer(request)
    with pytest.raises(Overloaded):
        await wanted.answer(request)

    async def gone(*_: Any) -> Any:
        raise OSError

    with pytest.raises(ClientDisconnect):
        await held({"type": "http", "asgi": {"spec_version": "2.4"}}, gone, gone)
    assert not turns.locked()


async def test_jobs_of_another_tenant_are_in_no_file(browser: Browser) -> None:
    theirs = await submit(browser, "globex")
    for chosen in export.FORMATS:
        assert theirs not in (await browser.get(f"/jobs/export?format={chosen}")).text

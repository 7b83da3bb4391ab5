"""How pages say what they show: in words, the most pressing first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from api.ui.rendering import show_size
from api.ui.view import say
from sluice.core.access import AuditEntry
from sluice.core.job import JobState
from sluice.core.queue_stats import LaneStatistics, Times, write_statistics
from tests.support.fake_access_store import FakeAccessStore
from tests.unit.api.ui.conftest import Browser, Seen
from tests.unit.api.ui.test_dashboard_pages import submit

RUNS = Times(runs=9, mean_s=2, p50_s=1, p90_s=5)


@pytest.mark.parametrize(
    ("ran_s", "said"),
    [
        (0, "Probably done in 1.0 s; nine of ten are within 5.0 s."),
        (2, "Probably done at any moment; nine of ten are within 3.0 s."),
        (60, "It has taken longer than nine of ten like it."),
    ],
)
async def test_a_job_that_takes_long_is_not_said_to_end_in_no_time(
    browser: Browser, ran_s: float, said: str
) -> None:
    lane = LaneStatistics(
        queued=0, running=1, oldest_queued_s=0, oldest_undispatched_s=0, slots=8, times=RUNS
    )
    await browser.api.cache.post_statistics(write_statistics({"default": lane}), 60)
    assert await browser.api.state.counts.read_board()
    job_id = await submit(browser)
    job = browser.api.record.jobs[job_id]
    started = job.created_at - timedelta(seconds=ran_s)
    browser.api.record.jobs[job_id] = job._replace(state=JobState.RUNNING, attempt=1, started_at=started)
    assert said in (await browser.see(f"/jobs/{job_id}")).text


async def test_why_a_job_failed_comes_before_how_it_got_there(browser: Browser) -> None:
    job_id = await submit(browser)
    browser.api.record.finish(job_id, JobState.FAILED)
    text = (await browser.see(f"/jobs/{job_id}")).text
    assert text.index("gave-up") < text.index("Timeline")


async def test_what_was_done_is_told_without_brackets(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    detail = {"act": "retry", "filter": {"kind": "demo.sum", "states": ["failed"]}, "request_id": "r-1"}

    async def listed(*_: object) -> list[AuditEntry]:
        return [
            AuditEntry(1, datetime.now(UTC), "key", "bulk.start", "bulk/1", orjson.dumps(detail).decode())
        ]

    monkeypatch.setattr(FakeAccessStore, "list_audit", listed)
    text = (await browser.see("/audit")).text
    for words in ("act retry", "filter kind demo.sum; states failed", "request id r-1"):
        assert words in text
    assert not set("[]{}'") & set(text)


async def test_who_is_logged_in_goes_on_from_a_page_that_refuses(browser: Browser) -> None:
    for path in ("/jobs/0190f3c2-5b1e-7cc3-98c4-dc0c0c07398f", "/kinds/nothing"):
        answer = await browser.get(path)
        assert answer.status_code in (404, 410)
        assert "/ui/errors" in Seen(answer.text).all("a", "href")
    await browser.log_in("read")
    refused = Seen((await browser.get("/keys")).text)
    assert "/ui/errors" in refused.all("a", "href")
    assert "/ui/keys" not in refused.all("a", "href")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("x", "x"),
        (["a", "b"], "a, b"),
        ({"created_after": "noon", "states": ["failed"], "tag": None}, "created after noon; states failed"),
    ],
)
def test_a_value_is_said_in_words(value: object, words: str) -> None:
    assert say(value) == words


@pytest.mark.parametrize(
    ("size", "words"), [(7, "7 bytes"), (262_144, "256 KiB"), (1_536, "1.5 KiB"), (10 * 1024**3, "10 GiB")]
)
def test_a_whole_size_has_no_digit_behind_the_point(size: int, words: str) -> None:
    assert show_size(size) == words

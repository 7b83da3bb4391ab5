"""What the pages do: each act by who may, and refused to who may not."""

from __future__ import annotations

import re

import pytest

from api.http.auth import ROUTE_SCOPES
from api.ui.routes import FEATURES
from api.ui.view import Page
from sluice.core.job import JobState
from tests.unit.api.ui.conftest import EVERYTHING, Browser, Seen
from tests.unit.api.ui.test_dashboard_pages import submit

SCOPED = [page for feature in FEATURES for page in feature.PAGES if page.needs]


@pytest.mark.parametrize("page", SCOPED, ids=lambda page: f"{page.method} {page.path}")
async def test_without_its_scope_a_page_or_act_is_refused(browser: Browser, page: Page) -> None:
    assert page.needs
    scope = ROUTE_SCOPES[page.needs]
    await browser.log_in(*(each for each in EVERYTHING if each != scope))
    path = page.path.removeprefix("/ui")
    for name in ("job_id", "fingerprint", "kind", "lane", "name", "act_id", "webhook_id", "key_id"):
        path = path.replace("{" + name + "}", "default" if name == "lane" else "0123456789abcdef")
    answer = await (browser.act(path) if page.method == "POST" else browser.get(path))
    assert answer.status_code == 403
    assert f"scope {scope}" in answer.text


@pytest.mark.parametrize(
    "page", [each for each in SCOPED if each.method == "POST"], ids=lambda page: page.path
)
async def test_a_read_only_key_is_refused_each_act(browser: Browser, page: Page) -> None:
    await browser.log_in("read", "payloads")
    answer = await browser.act(re.sub(r"{\w+}", "default", page.path.removeprefix("/ui")))
    assert answer.status_code == 403
    assert "scope" in answer.text


async def test_a_job_is_cancelled_retried_and_forgotten(browser: Browser) -> None:
    record = browser.api.record
    job_id = await submit(browser)
    assert f"/ui/jobs/{job_id}/cancel" in (await browser.see(f"/jobs/{job_id}")).acts
    assert (await browser.act(f"/jobs/{job_id}/cancel")).headers[
        "location"
    ] == f"/ui/jobs/{job_id}?done=cancelled"
    assert record.jobs[job_id].state == JobState.CANCELLED
    failed = await submit(browser)
    record.finish(failed, JobState.FAILED)
    assert f"/ui/jobs/{failed}/retry" in (await browser.see(f"/jobs/{failed}")).acts
    led = (await browser.act(f"/jobs/{failed}/retry")).headers["location"]
    again = led.removeprefix("/ui/jobs/").partition("?")[0]
    assert record.jobs[again].retry_of == failed
    assert (await browser.act(f"/jobs/{job_id}/delete")).headers["location"] == "/ui/jobs?done=deleted"
    assert job_id not in record.jobs
    assert (await browser.act(f"/jobs/{again}/retry")).status_code == 409


async def test_a_form_runs_a_kind_and_the_job_can_be_edited_and_run_again(browser: Browser) -> None:
    seen = await browser.see("/kinds/demo.sum")
    assert "f.values" in seen.all("textarea", "name")
    led = (
        await browser.act("/kinds/demo.sum/run", {"f.values": " [3, 4] ", "tags": "a, b", "priority": "high"})
    ).headers["location"]
    job_id = led.removeprefix("/ui/jobs/").partition("?")[0]
    job = browser.api.record.jobs[job_id]
    assert (job.input, job.tags, job.priority) == (b'{"values":[3,4]}', "a\x1fb", "high")
    assert f"/ui/kinds/demo.sum?from={job_id}" in (await browser.see(f"/jobs/{job_id}")).all("a", "href")
    assert "[3,4]" in (await browser.see(f"/kinds/demo.sum?from={job_id}")).text
    whole = await browser.act("/kinds/demo.sum/run", {"input": '{"values": [5]}'})
    assert whole.status_code == 303


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"f.values": '["x"]'}, "valid integer"),
        ({"f.values": "[1"}, "This is not JSON"),
        ({"f.values": ""}, "Field required"),
        ({"input": "{"}, "This is not JSON"),
        ({"input": '{"values":[1],"more":1}'}, "/more"),
        ({"f.values": "[1]", "priority": "highest"}, "/options/priority"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(
    browser: Browser, form: dict[str, str], words: str
) -> None:
    answer = await browser.act("/kinds/demo.sum/run", form)
    assert answer.status_code == 422
    seen = Seen(answer.text)
    assert words in seen.text
    assert form.get("f.values", form.get("input", "")) in seen.text
    assert not browser.api.record.jobs


async def test_a_form_that_is_none_is_refused(browser: Browser) -> None:
    for body in (b"\xff=1", b"&".join(b"a%d=1" % each for each in range(300))):
        sent = await browser.api.client.post(
            "/ui/keys/make", content=body, headers={"sec-fetch-site": "same-origin"}
        )
        assert sent.status_code == 422
    long = await browser.api.client.post(
        "/ui/login", content=b"key=" + b"x" * 5_000, headers={"sec-fetch-site": "same-origin"}
    )
    assert long.status_code == 413


async def test_a_lane_is_paused_with_a_reason_and_resumed(browser: Browser) -> None:
    assert (await browser.act("/lanes/default/pause", {"reason": " "})).status_code == 422
    assert (await browser.act("/lanes/nothing/pause", {"reason": "x"})).status_code == 404
    assert (await browser.act("/lanes/default/pause", {"reason": "lunch"})).status_code == 303
    assert "/ui/lanes/default/resume" in (await browser.see("/lanes")).acts
    await browser.act("/lanes/default/resume")
    assert "/ui/lanes/default/pause" in (await browser.see("/lanes")).acts


async def test_a_key_is_made_shown_once_and_revoked(browser: Browser) -> None:
    made = await browser.act("/keys/make", {"scope.read": "yes", "name": "importer", "days": "30"})
    assert made.status_code == 201
    assert "slc_" in made.text
    assert "slc_" not in (await browser.get("/keys")).text
    for wrong in ({"name": "x"}, {"scope.read": "yes", "days": "soon"}, {"scope.read": "yes", "name": "<b>"}):
        assert (await browser.act("/keys/make", wrong)).status_code == 422
    (act,) = [each for each in (await browser.see("/keys")).acts if each.endswith("/revoke")]
    assert (await browser.act(act.removeprefix("/ui"))).headers["location"] == "/ui/keys?done=revoked"


async def test_no_key_permits_more_than_its_maker(browser: Browser) -> None:
    await browser.log_in("admin", "read")
    made = await browser.act("/keys/make", {"scope.read": "yes", "scope.operate": "yes"})
    assert made.status_code == 403


async def test_a_bulk_act_counts_first_and_waits(browser: Browser) -> None:
    await submit(browser)
    assert (await browser.act("/bulk/new", {"act": "cancel", "canary": "x"})).status_code == 422
    assert (await browser.act("/bulk/new", {"act": "explode", "canary": "1", "rate": "5"})).status_code == 422
    led = (
        await browser.act("/bulk/new", {"act": "cancel", "kind": "demo.sum", "canary": "1", "rate": "5"})
    ).headers["location"]
    seen = await browser.see(led.removeprefix("/ui"))
    assert "counting" in seen.text
    (act,) = [each for each in seen.acts if each.endswith("/abort")]
    assert (await browser.act(act.removeprefix("/ui"))).status_code == 303
    assert "aborted" in (await browser.see("/bulk")).text

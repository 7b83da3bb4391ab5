"""Forms that make and change things: schedules, keys, webhooks. What is wrong is said, and nothing typed is lost."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sluice.core.schedule import Schedule
from tests.unit.api.ui.conftest import EVERYTHING, Browser, Seen
from tests.unit.api.ui.test_dashboard_pages import XSS

NIGHTLY = {
    "name": "nightly", "cron": "30 3 * * 1-5", "timezone": "Europe/Berlin", "kind": "demo.sum", "input": '{"values": [1, 2]}',
    "catch_up": "none", "priority": "high", "tags": "a, b", "lane": "", "max_attempts": "3", "timeout_s": "1.5", "deadline_s": "1234567",
}  # fmt: skip
URL = "https://hooks.example.com/sluice"


def kept(browser: Browser) -> dict[str, Schedule]:
    """The schedules that there are, by name."""
    store: Any = browser.api.state.scheduling._store
    return {name: each for (_, name), each in store.schedules.items()}


def values(seen: Seen) -> dict[str, str]:
    """What the fields of a form hold."""
    return {
        str(each["name"]): str(each.get("value", ""))
        for tag, each in seen.tags
        if tag == "input" and each.get("name")
    }


async def test_a_schedule_is_made_and_edited_without_losing_what_it_had(browser: Browser) -> None:
    assert "/ui/schedules/new" in (await browser.see("/schedules")).all("a", "href")
    assert await browser.see("/schedules/new?kind=demo.sum")
    made = await browser.act("/schedules/new", NIGHTLY)
    assert made.headers["location"] == "/ui/schedules?done=schedule-kept"
    before = kept(browser)["nightly"]
    assert (before.cron, before.timezone, before.input) == (
        "30 3 * * 1-5",
        "Europe/Berlin",
        b'{"values":[1,2]}',
    )
    form = await browser.see("/schedules/nightly/edit")
    shown = values(form)
    assert {name: shown[name] for name in ("cron", "tags", "max_attempts", "timeout_s", "deadline_s")} == {
        "cron": "30 3 * * 1-5", "tags": "a, b", "max_attempts": "3", "timeout_s": "1.5", "deadline_s": "1234567",
    }  # fmt: skip
    assert '"values"' in form.text
    changed = NIGHTLY | {"cron": "@daily", "lane": shown["lane"]}
    assert (await browser.act("/schedules/nightly/edit", changed)).status_code == 303
    after = kept(browser)["nightly"]
    assert after.cron == "@daily"
    assert orjson.loads(after.options) == orjson.loads(before.options)
    assert list(kept(browser)) == ["nightly"]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"name": "Not A Name"}, "/name"),
        ({"cron": "61 * * * *"}, "/cron"),
        ({"timezone": "Nowhere/Else"}, "/timezone"),
        ({"kind": "nobodys.kind"}, "/kind"),
        ({"input": "{"}, "/input"),
        ({"input": '{"values":["x"]}'}, "/input/values/0"),
        ({"input": '{"values":[12345678901234567890]}'}, "/input"),
        ({"max_attempts": "many"}, "/options/max_attempts"),
        ({"timeout_s": "nan"}, "/options/timeout_s"),
        ({"catch_up": "sometimes"}, "/catch_up"),
        ({"lane": "nowhere"}, "/options/lane"),
    ],
)
async def test_a_wrong_schedule_is_refused_and_nothing_typed_is_lost(
    browser: Browser, wrong: dict[str, str], pointer: str
) -> None:
    answer = await browser.act("/schedules/new", NIGHTLY | wrong)
    assert answer.status_code == 422
    seen = Seen(answer.text)
    assert pointer in seen.text
    assert values(seen)["tags"] == "a, b"
    ((name, text),) = wrong.items()
    assert text in (seen.text if name in ("input", "kind") else str(seen.tags)) or name == "catch_up"
    assert kept(browser) == {}


async def test_a_name_that_is_taken_replaces_nothing(browser: Browser) -> None:
    await browser.act("/schedules/new", NIGHTLY)
    answer = await browser.act("/schedules/new", NIGHTLY | {"cron": "@daily"})
    assert answer.status_code == 409
    assert "There is a schedule of this name already." in answer.text
    assert kept(browser)["nightly"].cron == "30 3 * * 1-5"


async def test_a_schedule_that_is_gone_is_not_made_anew_by_its_form(browser: Browser) -> None:
    assert (await browser.act("/schedules/nightly/edit", NIGHTLY)).status_code == 404
    assert kept(browser) == {}


async def test_who_may_not_see_payloads_does_not_see_the_input_of_a_schedule(browser: Browser) -> None:
    await browser.act("/schedules/new", NIGHTLY)
    await browser.log_in("read", "admin")
    seen = await browser.see("/schedules/nightly/edit")
    assert "values" not in seen.text
    assert "write it anew" in seen.text


async def test_schedules_of_another_tenant_cannot_be_edited(browser: Browser) -> None:
    await browser.act("/schedules/new", NIGHTLY)
    await browser.log_in(*EVERYTHING, tenant="globex")
    assert (await browser.get("/schedules/nightly/edit")).status_code == 404
    assert (await browser.act("/schedules/nightly/edit", NIGHTLY | {"cron": "@daily"})).status_code == 404
    assert kept(browser)["nightly"].cron == "30 3 * * 1-5"


async def test_a_key_is_put_in_the_place_of_another_and_shown_once(browser: Browser) -> None:
    made = await browser.act("/keys/make", {"scope.read": "yes", "name": "importer"})
    assert made.status_code == 201
    act = next(each for each in (await browser.see("/keys")).acts if each.endswith("/rotate"))
    for wrong in ("1", "soon", "99999999"):
        assert (await browser.act(act.removeprefix("/ui"), {"overlap_s": wrong})).status_code == 422
    rotated = await browser.act(act.removeprefix("/ui"), {"overlap_s": "3600"})
    assert rotated.status_code == 201
    assert rotated.text.count("slc_") == 1
    assert "The old key ends" in rotated.text
    assert "slc_" not in (await browser.get("/keys")).text


async def test_no_key_is_rotated_that_permits_more_than_ones_own_or_is_anothers(browser: Browser) -> None:
    await browser.act("/keys/make", {"scope.operate": "yes"})
    acts = [
        each.removeprefix("/ui") for each in (await browser.see("/keys")).acts if each.endswith("/rotate")
    ]
    await browser.log_in("read", "admin", tenant="globex")
    assert {(await browser.act(each)).status_code for each in acts} == {404}
    await browser.log_in("read", "admin")
    assert {(await browser.act(each)).status_code for each in acts} == {403}


@pytest.mark.parametrize(
    ("form", "pointer"),
    [
        ({"url": ""}, "/events"),
        ({"url": "https://" + "x" * 3_000}, "/url"),
        ({"url": URL, "event.job.failed": ""}, "/events"),
        ({"url": URL, "event.job.failed": "yes", "kinds": "k" * 200}, "/kinds/0"),
        ({"url": URL, "event.job.failed": "yes", "tags": "a," * 150}, "/tags"),
        ({"url": XSS}, "/events"),
    ],
)
async def test_a_wrong_webhook_is_refused_and_nothing_typed_is_lost(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, form: dict[str, str], pointer: str
) -> None:
    async def none(_: Any, tenant: str) -> list[Any]:
        return []

    monkeypatch.setattr(type(browser.api.state.webhooks), "all", none)
    answer = await browser.act("/webhooks/make", form)
    assert answer.status_code == 422
    seen = Seen(answer.text)
    assert pointer in seen.text
    assert values(seen)["url"] == form["url"]
    assert "img" not in {tag for tag, _ in seen.tags}

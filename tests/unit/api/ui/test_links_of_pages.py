"""Links lead somewhere, whatever the key may see: each is followed; and so do the forms of the frame on pages that answer a form."""

from __future__ import annotations

import pytest

from tests.unit.api.ui.conftest import EVERYTHING, Browser, Seen
from tests.unit.api.ui.test_dashboard_forms import NIGHTLY


async def follow_all(browser: Browser, path: str) -> dict[str, int]:
    """Return the status of each page that links lead to from this one, and from those."""
    seen: dict[str, int] = {}
    left = [f"/ui{path}"]
    while left and len(seen) < 200:
        if (link := left.pop()) in seen:
            continue
        answer = await browser.api.client.get(link)
        seen[link] = answer.status_code
        page = Seen(answer.text) if "html" in answer.headers["content-type"] else Seen("")
        left += [each.partition("#")[0] for each in page.all("a", "href") if each.startswith("/ui")]
    return seen


@pytest.mark.parametrize("scopes", [EVERYTHING, ("read",), ("submit", "read"), ("admin",), ("operate",)])
async def test_no_link_is_refused_to_whoever_sees_it(browser: Browser, scopes: tuple[str, ...]) -> None:
    await browser.log_in(*EVERYTHING)
    await browser.act("/kinds/demo.sum/run", {"input": '{"values": [1]}', "tags": "<b>&, a"})
    assert (await browser.act("/schedules/new", NIGHTLY)).status_code == 303
    assert (await browser.act("/schedules/nightly/run")).status_code == 303
    await browser.log_in(*scopes)
    nav = Seen((await browser.get("")).text).all("a", "href")
    first = "" if "read" in scopes else next(each for each in nav if each.startswith("/ui/"))[3:]
    seen = await follow_all(browser, first)
    wrong = {link: status for link, status in seen.items() if status != 200 and link != "/ui"}
    assert wrong == {}, seen


@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("/kinds/demo.sum/run", "/ui/kinds"),
        ("/webhooks/make", "/ui/webhooks"),
        ("/keys/make", "/ui/keys"),
        ("/schedules/new", "/ui/schedules"),
        ("/jobs/nothing/cancel", "/ui"),
    ],
)
async def test_colours_are_changed_on_the_answer_to_a_form(browser: Browser, path: str, back: str) -> None:
    answer = await browser.act(path, {"f.values": "none"})
    (frame,) = (each for each in answer.text.split("</form>") if "/theme" in each)
    form = {str(each["name"]): str(each["value"]) for tag, each in Seen(frame).tags if tag == "input"}
    changed = await browser.act("/theme", form | {"theme": "dark"})
    assert changed.headers["location"] == back
    assert (await browser.api.client.get(back)).status_code == 200

"""Who gets into the dashboard, and for how long."""

from __future__ import annotations

import httpx2
import pytest

from api.app import wrap_middleware
from api.keys.failed_auth import TooManyFailures
from api.ui.session import LINK_S, SESSION_S, Sessions
from sluice.adapters.metrics import Metrics
from sluice.core.peppers import Peppers
from tests.unit.api.in_memory_api import PEPPER, Clock, InMemoryApi, Record, build_state, settings
from tests.unit.api.ui.conftest import EVERYTHING, SAME, Browser

ACT = "/lanes/default/resume"


async def test_it_is_off_unless_it_is_asked_for(record: Record, clock: Clock) -> None:
    state = build_state(record, settings(), clock)
    transport = httpx2.ASGITransport(wrap_middleware(state, Metrics()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for path in ("/ui", "/ui/login", "/ui/static/sluice.css"):
            assert (await client.get(path)).status_code == 404


async def test_who_is_not_logged_in_is_asked_to_and_comes_back(made: InMemoryApi) -> None:
    browser = Browser(made)
    asked = await browser.get("/jobs?state=failed")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/ui/login?next=%2Fjobs%3Fstate%3Dfailed"
    key = made.record.add_key("acme", "read")
    entered = await browser.act("/login", {"key": f" {key} ", "next": "/jobs?state=failed"})
    assert entered.headers["location"] == "/ui/jobs?state=failed"
    assert (await browser.get("/jobs")).status_code == 200


@pytest.mark.parametrize(
    ("scopes", "path"), [(["admin"], "/schedules"), (["operate"], "/lanes"), (["read", "admin"], "")]
)
async def test_who_enters_sees_the_first_page_that_the_key_may_see(
    made: InMemoryApi, scopes: list[str], path: str
) -> None:
    browser = Browser(made)
    entered = await browser.act("/login", {"key": made.record.add_key("acme", *scopes)})
    assert entered.headers["location"] == f"/ui{path}"
    assert (await browser.see(path)).all("a", "href")[1:3] == [f"/ui{path}"] * 2, (
        "the name and the first link"
    )


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "evil"]
)
async def test_nobody_is_sent_to_another_site(made: InMemoryApi, back: str) -> None:
    answer = await Browser(made).act("/login", {"key": made.record.add_key("acme", "read"), "next": back})
    assert answer.headers["location"] == "/ui"


async def test_a_cookie_is_for_the_server_alone_and_holds_no_key(made: InMemoryApi) -> None:
    browser, key = Browser(made), made.record.add_key("acme", "read")
    plain = (await browser.act("/login", {"key": key})).headers["set-cookie"]
    assert plain.startswith("sluice-ui=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(plain.split("; "))
    assert "Secure" not in plain
    assert key[17:] not in plain
    safe = (
        await browser.act("/login", {"key": key}, origin="https://jobs.example", host="jobs.example")
    ).headers["set-cookie"]
    assert safe.startswith("__Host-sluice=")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Secure"} <= set(safe.split("; "))


async def test_no_key_is_taken_over_plain_http_from_elsewhere(made: InMemoryApi) -> None:
    key = made.record.add_key("acme", "read")
    answer = await Browser(made).act(
        "/login", {"key": key}, host="jobs.example", origin="http://jobs.example"
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_the_cookie_of_plain_http_counts_on_this_machine_alone(browser: Browser) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in browser.api.client.cookies.items())
    for host, status in (("localhost", 200), ("127.0.0.1:8000", 200), ("jobs.example", 303)):
        answer = await browser.api.client.get("/ui", headers={"host": host, "cookie": cookie})
        assert answer.status_code == status, host


async def test_wrong_keys_are_refused_and_guessing_is_slowed(made: InMemoryApi) -> None:
    browser = Browser(made)
    statuses = [(await browser.act("/login", {"key": f"slc_{number}"})).status_code for number in range(25)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    with pytest.raises(TooManyFailures):  # counted as requests of this address
        await made.state.keyring.check([b"Bearer none"], peer="127.0.0.1")


async def test_revoking_a_key_ends_its_sessions(browser: Browser, clock: Clock) -> None:
    assert (await browser.get("")).status_code == 200
    (key_id,) = browser.api.record.keys
    browser.api.record.keys[key_id] = browser.api.record.keys[key_id]._replace(usable=False)
    assert (await browser.get("")).status_code == 200  # for as long as any verified key is good
    clock.now += 61
    assert (await browser.get("")).status_code == 303
    browser.api.record.keys[key_id] = browser.api.record.keys[key_id]._replace(usable=True)
    assert (await browser.get("")).status_code == 200
    browser.api.record.keys[key_id] = browser.api.record.keys[key_id]._replace(usable=False)
    browser.api.state.keyring.forget(key_id)
    assert (await browser.get("")).status_code == 303


async def test_logging_out_forgets_the_cookie(browser: Browser) -> None:
    assert (await browser.act("/logout")).status_code == 303
    assert (await browser.get("")).status_code == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"origin": "http://localhost"}, 303),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_acts_come_from_its_own_pages(browser: Browser, headers: dict[str, str], status: int) -> None:
    assert (await browser.api.client.post(f"/ui{ACT}", headers=headers)).status_code == status


async def test_a_page_runs_nothing_but_its_own_files_and_is_not_kept(browser: Browser) -> None:
    answer = await browser.get("")
    (policy,) = answer.headers.get_list("content-security-policy")
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    api = (await browser.api.client.get("/v1/kinds")).headers["content-security-policy"]
    assert api == "default-src 'none'; frame-ancestors 'none'"


async def test_a_link_logs_in_once_and_for_a_minute(made: InMemoryApi) -> None:
    made.record.add_key("acme", *EVERYTHING)
    (key_id,) = made.record.keys
    sessions, browser = Sessions(Peppers(PEPPER)), Browser(made)
    token = sessions.make(key_id, "link")
    elsewhere = await made.client.get(f"/ui/enter/{token}", headers={"host": "jobs.example"})
    assert elsewhere.status_code == 401
    assert (await browser.get(f"/enter/{token}")).status_code == 303
    assert (await browser.get("")).status_code == 200
    assert (await browser.get(f"/enter/{token}")).status_code == 401
    assert (await browser.get(f"/enter/{sessions.make(key_id)}")).status_code == 401


def test_tokens_are_good_for_their_time_purpose_and_pepper() -> None:
    now = [1_000.0]
    sessions = Sessions(Peppers("p" * 16, "o" * 16), lambda: now[0])
    session, link = sessions.make("A" * 12), sessions.make("A" * 12, "link")
    assert sessions.read(session) == sessions.read(link, "link") == "A" * 12
    assert sessions.read(link) is sessions.read(session, "link") is None
    assert Sessions(Peppers("n" * 16, "p" * 16), lambda: now[0]).read(session) == "A" * 12
    assert Sessions(Peppers("n" * 16), lambda: now[0]).read(session) is None
    forged = session.replace("A" * 12, "B" * 12)
    later = session.replace(f".{1_000 + SESSION_S}.", f".{2_000 + SESSION_S}.")
    for wrong in (forged, later, session[:-1], "", "a.b.c.d", session + "\n"):
        assert sessions.read(wrong) is None
    now[0] += LINK_S
    assert sessions.read(link, "link") is None
    now[0] += SESSION_S
    assert sessions.read(session) is None


async def test_light_or_dark_is_kept(browser: Browser) -> None:
    answer = await browser.act("/theme", {"theme": "dark", "next": "/jobs"})
    assert answer.headers["location"] == "/ui/jobs"
    assert 'data-theme="dark"' in (await browser.get("")).text
    await browser.act("/theme", {"theme": '"><script>', "next": "//evil.example"})
    assert 'data-theme="dark"' in (await browser.get("")).text


async def test_what_is_not_there_is_a_page(browser: Browser) -> None:
    for path in ("/nothing", "/jobs/nothing", "/kinds/nothing", "/webhooks/nothing", "/bulk/nothing"):
        answer = await browser.get(path)
        assert answer.status_code == 404, path
        assert "<h1>" in answer.text
    assert (await browser.api.client.post("/ui/nothing", headers=SAME)).status_code == 404

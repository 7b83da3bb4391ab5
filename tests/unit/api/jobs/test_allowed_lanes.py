"""The lanes that a kind allows: its clients choose among these, and only keys with the scope `admin` among all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import time
from typing import Any

import httpx2
import orjson
import pytest

from api.app import wrap_middleware
from api.jobs.make_job import ANY_LANE, SubmitRequest, make_job
from api.jobs.schemas import SubmitOptions
from api.jobs.submit_body import submit_body
from api.schedules.schedules import Scheduling
from api.schedules.schemas import ScheduleBody
from sluice.adapters.metrics import Metrics
from sluice.core.errors import Invalid
from sluice.core.lanes import Lane
from sluice.core.registry import Registry
from sluice.handler import AnyHandler, handler
from tests.support.fake_schedule_store import FakeScheduleStore
from tests.support.fakes import FakeCache
from tests.unit.api.in_memory_api import Clock, InMemoryApi, Numbers, Record, Total, build_state, settings
from tests.unit.api.jobs.submit_setup import SubmitSetup, flaws

NAMES = ("default", "bulk", "side")
LANES = {name: Lane(name, 8, 16) for name in NAMES}
CLIENT = frozenset({"submit", "read", "payloads", "operate"})
ADMIN = CLIENT | {ANY_LANE}
VALUES: dict[str, Any] = {"values": [1]}


async def add_up(numbers: Numbers) -> Total:
    return Total(total=sum(numbers.values))


BOUND = handler("demo.bound", lanes=("bulk",))(add_up)
FIXED = handler("demo.fixed", lane="bulk", lanes=())(add_up)
FREE = handler("demo.free")(add_up)
PURE = handler("demo.once", lanes=("bulk",), cache_s=60)(add_up)
KINDS = (BOUND, FIXED, FREE, PURE)


def lane_of(kind: AnyHandler, lane: str | None, scopes: frozenset[str] = CLIENT) -> str:
    """The lane of the job that this kind makes of a request."""
    request = SubmitRequest(kind.kind, VALUES, SubmitOptions(lane=lane), scopes=scopes)
    return make_job("acme", kind, LANES, 60, request).lane


def test_without_the_option_any_lane_may_be_chosen() -> None:
    assert [lane_of(FREE, lane) for lane in (None, *NAMES)] == ["default", *NAMES]


def test_a_kind_that_names_lanes_goes_into_these_and_its_own() -> None:
    assert [lane_of(BOUND, lane) for lane in (None, "default", "bulk")] == ["default", "default", "bulk"]
    assert [lane_of(FIXED, lane) for lane in (None, "bulk")] == ["bulk", "bulk"]


@pytest.mark.parametrize("lane", ["side", "nowhere"])
@pytest.mark.parametrize("scopes", [CLIENT, frozenset()], ids=["a client", "nobody"])
def test_another_lane_is_refused_with_those_that_are_allowed(lane: str, scopes: frozenset[str]) -> None:
    with pytest.raises(Invalid) as error:
        lane_of(BOUND, lane, scopes)
    assert flaws(error) == [("/options/lane", "lane-not-allowed")]
    assert error.value.flaws[0].detail == (
        "Jobs of demo.bound may be put into default, bulk: name one of these, or none. "
        "Other lanes need a key with the scope `admin`."
    )


def test_an_administrator_may_choose_any_lane_that_is_there() -> None:
    assert [lane_of(BOUND, lane, ADMIN) for lane in (None, *NAMES)] == ["default", *NAMES]
    assert lane_of(FIXED, "side", ADMIN) == "side"
    with pytest.raises(Invalid) as error:
        lane_of(BOUND, "nowhere", ADMIN)
    assert flaws(error) == [("/options/lane", "unknown-lane")]


async def test_a_schedule_may_have_any_lane_as_administrators_keep_them() -> None:
    scheduling = Scheduling(Registry(KINDS), LANES, 60, FakeScheduleStore())
    given = {"name": "nightly", "cron": "0 3 * * *", "kind": "demo.bound", "input": VALUES}
    made = await scheduling.create("acme", ScheduleBody(**given, options={"lane": "side"}))  # type: ignore[arg-type]  # as JSON has it
    assert orjson.loads(made.options)["lane"] == "side"


async def test_a_result_is_not_given_unread_to_whom_its_lane_is_refused() -> None:
    setup = SubmitSetup(kinds=[PURE])
    setup.record.now = setup.record.now.fromtimestamp(time(), setup.record.now.tzinfo)
    body = orjson.dumps(asks("side", "demo.once"))
    first = await submit_body(setup.submission, "acme", body, None, ADMIN)
    setup.record.succeed(first.document.id)
    assert (await submit_body(setup.submission, "acme", body, None, ADMIN)).reused
    with pytest.raises(Invalid) as error:
        await submit_body(setup.submission, "acme", body, None, CLIENT)
    assert flaws(error) == [("/options/lane", "lane-not-allowed")]
    await setup.submission.drain()


@pytest.fixture(params=["fast path", "FastAPI"])
async def api(request: pytest.FixtureRequest, record: Record, clock: Clock) -> AsyncIterator[InMemoryApi]:
    """An api with these kinds and lanes, once with the fast path and once without. Its client has no scope `admin`."""
    cache, metrics = FakeCache(), Metrics()
    chosen = settings(express=request.param == "fast path")
    state = build_state(record, chosen, clock, cache, kinds=KINDS, lane_names=NAMES)
    transport = httpx2.ASGITransport(wrap_middleware(state, metrics))
    key = record.add_key("acme", *CLIENT)
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://sluice", headers=headers) as client:
        await client.get("/v1/kinds")  # from here on the key is known
        yield InMemoryApi(client, state, record, cache, metrics, key, headers)
        await state.submission.drain()
        await state.lookup.drain()


def asks(lane: str, kind: str = "demo.bound") -> dict[str, Any]:
    """A submit into this lane."""
    return {"kind": kind, "input": VALUES, "options": {"lane": lane}}


async def administrator(api: InMemoryApi) -> dict[str, str]:
    """Headers with the key of one, which is known."""
    headers = api.as_tenant("acme", *CLIENT, "admin")
    await api.client.get("/v1/kinds", headers=headers)
    return headers


async def test_both_ways_refuse_a_client_what_they_grant_an_administrator(api: InMemoryApi) -> None:
    refused = await api.client.post("/v1/jobs", json=asks("side"))
    problem = refused.json()
    assert (refused.status_code, problem["type"], problem["retryable"]) == (422, "invalid", False)
    assert [(flaw["pointer"], flaw["code"]) for flaw in problem["errors"]] == [
        ("/options/lane", "lane-not-allowed")
    ]
    assert "default, bulk" in problem["detail"]
    assert api.record.jobs == {}
    assert (await api.client.post("/v1/jobs", json=asks("bulk"))).json()["lane"] == "bulk"
    granted = await api.client.post("/v1/jobs", json=asks("side"), headers=await administrator(api))
    assert (granted.status_code, granted.json()["lane"]) == (202, "side")


async def test_the_short_form_uses_the_lane_of_the_kind(api: InMemoryApi) -> None:
    assert (await api.client.post("/v1/kinds/demo.fixed/jobs", json=VALUES)).json()["lane"] == "bulk"


@pytest.mark.parametrize("form", ["json", "lines"])
async def test_each_item_of_a_batch_is_refused_or_granted_by_itself(api: InMemoryApi, form: str) -> None:
    items = [asks("bulk"), asks("side"), asks("side", "demo.free")]
    headers = {"content-type": "application/json" if form == "json" else "application/x-ndjson"}
    whole = orjson.dumps({"jobs": items}), b"\n".join(map(orjson.dumps, items))
    body = whole[form == "lines"]
    sent = (await api.client.post("/v1/batches", content=body, headers=headers)).json()["items"]
    assert [each["status"] for each in sent] == [202, 422, 202]
    assert sent[1]["problem"]["errors"][0]["code"] == "lane-not-allowed"
    headers |= await administrator(api)
    sent = (await api.client.post("/v1/batches", content=body, headers=headers)).json()["items"]
    assert [each["status"] for each in sent] == [202, 202, 202]


async def test_the_catalogue_shows_the_lanes_that_a_client_may_name(api: InMemoryApi) -> None:
    kinds = (await api.client.get("/v1/kinds")).json()["kinds"]
    assert {kind["kind"]: kind["lanes"] for kind in kinds} == {
        "demo.bound": ["default", "bulk"],
        "demo.fixed": ["bulk"],
        "demo.free": None,
        "demo.once": ["default", "bulk"],
    }

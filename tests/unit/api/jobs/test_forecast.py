"""What is filled into the documents of unfinished jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from api.jobs.forecast import UNKNOWN, Forecast
from sluice.core.count_lanes import CountLanes
from sluice.core.document import mark_coalesced, render
from sluice.core.job import JobState, as_accepted
from sluice.core.queue_stats import LaneStatistics, write_statistics
from tests.support.fake_keeper_store import FakeKeeperStore
from tests.support.fakes import FakeCache
from tests.support.make_jobs import AT, finished_job, new_job
from tests.unit.api.in_memory_api import InMemoryApi
from tests.unit.core import test_estimates
from tests.unit.core.test_queue_stats import PAUSE

NOW = AT + timedelta(seconds=5)


def lane(**changes: Any) -> LaneStatistics:
    """A lane as it is counted now."""
    return test_estimates.lane(**({"counted_at": NOW.timestamp()} | changes))


async def forecast(**lanes: LaneStatistics) -> Forecast:
    """Make one five seconds after the jobs of the tests were accepted, with these statistics."""
    board = FakeCache()
    counts = CountLanes(FakeKeeperStore(), board, list(lanes))
    await board.post_statistics(write_statistics(lanes), 60)
    assert await counts.read_board()
    return Forecast(counts, NOW.timestamp)


async def filled(statistics: LaneStatistics, **changes: Any) -> tuple[Any, Any, Any]:
    """What the document of a job says, with these changes to a queued one."""
    document = render(as_accepted(new_job(), AT)._replace(**changes))
    told = (await forecast(default=statistics)).fill_in(document)
    assert told.etag == document.etag
    assert told.body[told.result_start : told.result_end] == b""
    shown = orjson.loads(told.body)
    same = orjson.loads(document.body)
    assert list(shown) == list(same)
    given = tuple(shown.pop(name) for name in ("queue_position", "eta", "waiting_on"))
    assert shown.items() <= same.items()
    return given


RUNNING = {"state": JobState.RUNNING, "started_at": AT + timedelta(seconds=4)}
LATER = {"state": JobState.SCHEDULED, "queued_at": None, "run_at": AT + timedelta(seconds=8)}


@pytest.mark.parametrize(
    ("statistics", "changes", "told"),
    [
        (lane(), {}, (21, {"p50_s": 3.125, "p90_s": 4.854}, "queued-behind")),
        (lane(queued=0, running=7), {}, (1, {"p50_s": 0.5, "p90_s": 2.0}, "queued-behind")),
        (lane(), {"priority": "overflow"}, (21, {"p50_s": 3.125, "p90_s": 4.854}, "over-share")),
        (lane(slots=0), {"priority": "overflow"}, (21, None, "no-consumer")),
        (lane(slots=0), {}, (21, None, "no-consumer")),
        (lane(paused=PAUSE), {}, (21, None, "lane-paused")),
        (lane(paused=PAUSE, slots=0), {}, (21, None, "lane-paused")),
        (lane(), RUNNING, (None, {"p50_s": 0.0, "p90_s": 1.0}, None)),
        (lane(running=7), LATER, (None, {"p50_s": 3.5, "p90_s": 5.0}, "scheduled")),
        (lane(running=7), LATER | {"run_at": AT}, (None, {"p50_s": 0.5, "p90_s": 2.0}, "scheduled")),
    ],
)  # fmt: skip
async def test_what_a_lane_does_is_told_of_each_of_its_jobs(
    statistics: LaneStatistics, changes: dict[str, Any], told: tuple[Any, Any, Any]
) -> None:
    assert await filled(statistics, **changes) == told


async def test_the_kind_of_a_job_tells_how_long_it_takes() -> None:
    assert (await filled(lane(queued=0, running=7), kind="slow"))[1] == {"p50_s": 50.0, "p90_s": 90.0}


async def test_what_has_ended_and_what_nobody_knows_stay_as_they_are() -> None:
    known = await forecast(default=lane())
    for document in (render(finished_job()), render(as_accepted(new_job(lane="heavy"), AT))):
        assert known.fill_in(document) is document
    nobody = await forecast()
    document = render(as_accepted(new_job(), AT))
    assert nobody.fill_in(document) is document


async def test_words_of_a_client_are_not_taken_for_ours() -> None:
    words = UNKNOWN.decode()
    job = as_accepted(new_job(tags=words), AT)._replace(progress=orjson.dumps({"percent": 1, "note": words}))
    shown = orjson.loads((await forecast(default=lane())).fill_in(render(job)).body)
    assert (shown["tags"], shown["progress"]["note"], shown["queue_position"]) == ([words], words, 21)


async def test_a_shared_job_is_still_marked_as_such() -> None:
    known = await forecast(default=lane())
    document = render(as_accepted(new_job(), AT))
    assert orjson.loads(mark_coalesced(known.fill_in(document)).body)["coalesced"] is True


async def test_every_look_up_tells_it_and_costs_no_call(api: InMemoryApi) -> None:
    job_id = (await api.submit()).json()["id"]
    plain = (await api.client.get(f"/v1/jobs/{job_id}")).json()
    assert plain["queue_position"] is None
    await api.cache.post_statistics(write_statistics({"default": lane()}), 60)
    assert await api.state.counts.read_board()
    found = await api.client.get(f"/v1/jobs/{job_id}")
    polled = await api.client.post("/v1/jobs/poll", json={"jobs": {job_id: 0}})
    waited = await api.client.get(f"/v1/jobs/{job_id}?wait=0")
    for document in (found.json(), polled.json()["jobs"][0], waited.json()):
        assert (document["queue_position"], document["waiting_on"]) == (21, "queued-behind")
    same = await api.client.get(f"/v1/jobs/{job_id}", headers={"if-none-match": found.headers["etag"]})
    assert same.status_code == 304

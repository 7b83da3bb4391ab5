"""The catalogue of kinds."""

from __future__ import annotations

from sluice.core.queue_stats import LaneStatistics, Times, write_statistics
from tests.unit.api.in_memory_api import InMemoryApi


async def test_the_catalogue_shows_schemas_and_limits(api: InMemoryApi) -> None:
    kinds = (await api.client.get("/v1/kinds")).json()["kinds"]
    assert [kind["kind"] for kind in kinds] == ["demo.pure", "demo.sum"]
    one = (await api.client.get("/v1/kinds/demo.sum")).json()
    assert one == kinds[1]
    assert (one["description"], one["max_input"]) == ("Add numbers.", 2_000)
    assert set(one["input"]["properties"]) == {"values"}
    assert set(one["output"]["properties"]) == {"total"}


async def test_a_kind_tells_how_long_its_runs_take_in_its_own_lane(api: InMemoryApi) -> None:
    runs = Times(runs=9, mean_s=2, p50_s=1, p90_s=5)
    count = {"queued": 0, "running": 0, "oldest_queued_s": 0, "oldest_undispatched_s": 0}
    lanes = {
        "default": LaneStatistics(**count, kinds={"demo.sum": runs}),
        "heavy": LaneStatistics(**count, kinds={"demo.pure": runs}),
    }
    assert (await api.client.get("/v1/kinds/demo.sum")).json()["times"] is None
    await api.cache.post_statistics(write_statistics(lanes), 60)
    assert await api.state.counts.read_board()
    times = [kind["times"] for kind in (await api.client.get("/v1/kinds")).json()["kinds"]]
    assert times == [None, {"runs": 9, "mean_s": 2, "p50_s": 1, "p90_s": 5}]
    assert (await api.client.get("/v1/kinds/demo.sum")).json()["times"] == times[1]

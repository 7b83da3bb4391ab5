"""The catalogue of kinds."""

from __future__ import annotations

from tests.unit.api.in_memory_api import InMemoryApi


async def test_the_catalogue_shows_schemas_and_limits(api: InMemoryApi) -> None:
    kinds = (await api.client.get("/v1/kinds")).json()["kinds"]
    assert [kind["kind"] for kind in kinds] == ["demo.pure", "demo.sum"]
    one = (await api.client.get("/v1/kinds/demo.sum")).json()
    assert one == kinds[1]
    assert (one["description"], one["max_input"]) == ("Add numbers.", 2_000)
    assert set(one["input"]["properties"]) == {"values"}
    assert set(one["output"]["properties"]) == {"total"}

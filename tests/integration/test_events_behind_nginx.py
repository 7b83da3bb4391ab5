"""Streams of events through nginx, as the operations page sets it up."""

from __future__ import annotations

from pathlib import Path

import httpx2

from infra.local.servers import Servers
from tests.support.event_stream import follow
from tests.support.job_client import KINDS, JobClient
from tests.support.nginx import nginx_before
from tests.support.stack import NO_TLS, Stack


async def test_events_come_through_as_they_happen(servers: Servers, tmp_path: Path) -> None:
    with Stack(servers, tmp_path, handlers=KINDS, root_path="/jobs-api") as stack:
        await stack.start()
        key = {"Authorization": f"Bearer {stack.key}"}
        async with (
            nginx_before(stack.url, tmp_path) as url,
            httpx2.AsyncClient(base_url=url, headers=key, timeout=30, verify=NO_TLS) as client,
            stack.client() as direct,
        ):
            job = JobClient(direct, "own.tells", tmp_path)
            await job.submit()
            path = job.url.removeprefix("/jobs-api")
            async with follow(client, f"{path}/events") as stream:
                first = await stream.next()
                assert first is not None
                assert first.data["links"]["self"] == f"/jobs-api{path}"
                assert (await stream.until("log")).data["message"] == "begun"
                assert stream.response.headers["cache-control"] == "no-cache"
                assert "x-accel-buffering" not in stream.response.headers  # nginx has obeyed it
                await stack.apis[0].until_metric("sluice_event_streams", 1)
            await stack.apis[0].until_metric("sluice_event_streams", 0)  # who leaves nginx leaves the api
            async with follow(client, f"{path}/events", stream.told[-1].id) as again:
                job.gate.touch()
                assert (await again.rest())[-1].name == "end"
            assert again.said == ["done"]

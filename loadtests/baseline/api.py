"""The baseline's api: `uvicorn.run` of an ordinary FastAPI application with two routes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import aio_pika
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from loadtests.baseline import jobs


class Submit(BaseModel):
    """The body of a submit."""

    kind: str
    input: dict[str, Any]


class Job(BaseModel):
    """What a client is told about a job."""

    id: UUID
    kind: str
    state: str
    result: Any = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep both servers connected as long as the application lives."""
    async with await jobs.connect() as connection, await jobs.open_pool() as pool:
        channel = await connection.channel(publisher_confirms=True)
        await jobs.declare(channel)
        app.state.pool, app.state.exchange = pool, channel.default_exchange
        yield


def application() -> FastAPI:
    """Build the application with its two routes."""
    app = FastAPI(lifespan=lifespan)

    @app.post("/jobs", status_code=202)
    async def submit(work: Submit) -> Job:
        job = Job(id=uuid4(), kind=work.kind, state="queued")
        await app.state.pool.execute(jobs.INSERT, job.id, job.kind, json.dumps(work.input))
        message = aio_pika.Message(job.id.bytes, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await app.state.exchange.publish(message, routing_key=jobs.QUEUE, mandatory=True)
        return job

    @app.get("/jobs/{job_id}")
    async def look_up(job_id: UUID) -> Job:
        row = await app.state.pool.fetchrow(jobs.LOOK_UP, job_id)
        if row is None:
            raise HTTPException(404)
        return Job(**{**row, "result": row["result"] and json.loads(row["result"])})

    return app

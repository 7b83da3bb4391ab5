"""What the product is compared with in the same minute: `python -m loadtests.bench.peer_programs bare|usual PORT [REDIS_URL]`.

`bare` is an ASGI application that does nothing: the most this server can do in Python. `usual` is the same job status as
many would write it: a FastAPI route, one Redis command. It ends when its standard input ends.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from loadtests.lifetime import end_with_input

BODY = b'{"id":"%s"}' % (b"x" * 489)
"""500 bytes, about the size of a finished job's document."""

HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
KEY = "usual:job"

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def bare(scope: dict[str, Any], receive: object, send: Send) -> None:
    """Answer everything with the same bytes."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


class Work(BaseModel):
    """The body of a submit."""

    kind: str
    input: dict[str, Any]


class Status(BaseModel):
    """A finished job."""

    id: str


def usual(redis_url: str) -> FastAPI:
    """Answer look-ups and submits from a cache, each with one Redis command."""
    with Redis.from_url(redis_url) as first:
        first.set(KEY, BODY)
    app, client = FastAPI(), AsyncRedis.from_url(redis_url)

    @app.get("/job")
    async def look_up() -> Status:
        return await _read(client)

    @app.post("/job")
    async def submit(work: Work) -> Status:
        return await _read(client)

    return app


async def _read(client: AsyncRedis) -> Status:
    found = await client.get(KEY)
    if found is None:
        raise HTTPException(404)
    return Status.model_validate_json(found)


def main(name: str, port: str, redis_url: str = "") -> None:
    """Serve until standard input ends."""
    application = bare if name == "bare" else usual(redis_url)
    end_with_input()
    uvicorn.run(
        application, port=int(port), loop="uvloop", http="httptools", lifespan="off", log_level="warning",
        access_log=False,
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What the baseline's api and worker share: the table, its four statements, the queue, and the addresses of both servers."""

from __future__ import annotations

import os
from typing import Final

import aio_pika
import asyncpg
from aio_pika.abc import AbstractChannel, AbstractQueue

QUEUE: Final = "sluice.baseline"
"""The bench's RabbitMQ account may declare only names like `sluice.…`."""

POOL: Final = 16
PREFETCH: Final = 64

SCHEMA: Final = """
create table if not exists baseline_jobs (
    id uuid primary key, kind text not null, state text not null, input jsonb not null, result jsonb,
    created_at timestamptz not null default now(), started_at timestamptz, finished_at timestamptz
)"""
INSERT: Final = "insert into baseline_jobs (id, kind, state, input) values ($1, $2, 'queued', $3)"
LOOK_UP: Final = "select id, kind, state, result from baseline_jobs where id = $1"
START: Final = """
update baseline_jobs set state = 'running', started_at = now()
where id = $1 and state in ('queued', 'running') returning input"""
FINISH: Final = """
update baseline_jobs set state = 'succeeded', result = $2, finished_at = now() where id = $1 and state = 'running'"""


async def open_pool() -> asyncpg.Pool[asyncpg.Record]:
    """Connect to the database of BASELINE_POSTGRES_URL, and make the table in it."""
    pool = await asyncpg.create_pool(os.environ["BASELINE_POSTGRES_URL"], min_size=POOL, max_size=POOL)
    await pool.execute(SCHEMA)
    return pool


async def connect() -> aio_pika.abc.AbstractRobustConnection:
    """Connect to the broker of BASELINE_RABBITMQ_URL; the connection reconnects by itself."""
    return await aio_pika.connect_robust(os.environ["BASELINE_RABBITMQ_URL"])


async def declare(channel: AbstractChannel) -> AbstractQueue:
    """Declare the replicated queue."""
    return await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})

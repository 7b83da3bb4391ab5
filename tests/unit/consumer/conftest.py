"""What several tests of the consumer use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.unit.consumer.in_memory_consumer import InMemoryConsumer


@pytest.fixture
async def consumer() -> AsyncIterator[InMemoryConsumer]:
    """A consumer without servers."""
    consumer = InMemoryConsumer()
    await consumer.hosts.open()
    try:
        yield consumer
    finally:
        await asyncio.wait_for(consumer.close(), 5)

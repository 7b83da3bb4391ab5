"""What every board of statistics does."""

from __future__ import annotations

import pytest

from sluice.core.errors import ServerAway
from tests.contract.conftest import Cache


async def test_the_newest_statistics_are_put_up_for_all(cache: Cache) -> None:
    assert await cache.board.read_statistics() is None
    for news in (b"{}", b'{"default":{}}'):
        await cache.board.post_statistics(news, 60)
        assert await cache.board.read_statistics() == news


async def test_statistics_are_not_there_without_the_server(cache: Cache) -> None:
    cache.leave()
    with pytest.raises(ServerAway):
        await cache.board.post_statistics(b"{}", 60)
    with pytest.raises(ServerAway):
        await cache.board.read_statistics()

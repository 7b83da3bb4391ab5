"""Room for whole batches: the api in memory has less."""

from __future__ import annotations

import pytest

from tests.unit.api.in_memory_api import InMemoryApi


@pytest.fixture(autouse=True)
def room(api: InMemoryApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take bodies of some MiB."""
    for name in ("_most", "_most_of_tenant"):
        monkeypatch.setattr(api.state.held, name, 8_000_000)

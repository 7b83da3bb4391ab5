"""Both clients."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> str:
    """Which of the two clients a test uses."""
    return str(request.param)

"""A RabbitMQ server of its own for the tests of the connection, repaired after each of them."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.servers import RabbitMQ
from sluice.adapters.rabbitmq import connection, queues
from sluice.core.lanes import Lane

lane_numbers = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[RabbitMQ]:
    with tempfile.TemporaryDirectory(prefix="sluice-rabbitmq-") as directory:
        server = RabbitMQ(Path(directory))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def rabbitmq(server: RabbitMQ) -> Iterator[RabbitMQ]:
    yield server
    server.start()  # also thaws


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnect at once and give up on a silent broker soon, so that tests of many faults stay short."""
    monkeypatch.setattr(connection, "PAUSE_S", 0.05)
    monkeypatch.setattr(queues, "CALL_S", 1.0)


@pytest.fixture
def lane() -> Lane:
    """Make a lane whose queues no other test has used; it holds 12 normal messages of one id each."""
    return Lane(f"t{next(lane_numbers)}", slots=16, ids_per_message=1)

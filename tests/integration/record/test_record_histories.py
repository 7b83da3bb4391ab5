"""The record in histories that Hypothesis makes up: any order of what processes, servers and clients can do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from itertools import count

import pytest
import uuid_utils
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from infra.local.servers import Servers
from sluice.core import outbox_publisher as publisher
from tests.integration.record.histories import Histories
from tests.integration.record.simulated_system import SimulatedSystem
from tests.support.servers import empty_postgres

FEW = "30 40"
"""Histories, and the most steps of each; `make crash` makes up more, and others each time."""


@pytest.fixture
def world(shared_servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For the machine, which Hypothesis makes anew for every history: one loop and one set of connections."""
    numbers = count(1)  # the same history has the same ids, in their order
    monkeypatch.setattr(uuid_utils, "uuid7", lambda: f"019b0000-0000-7000-8000-{next(numbers):012x}")
    monkeypatch.setattr(publisher, "GATHER_S", 0.0)
    shared_servers.up(shared_servers.postgres)
    with asyncio.Runner() as loop:
        loop.run(empty_postgres(shared_servers))
        Histories.loop, Histories.world = loop, loop.run(SimulatedSystem.open(shared_servers))
        yield
        loop.run(Histories.world.close())


@pytest.mark.timeout(7_200)
@pytest.mark.usefixtures("world")
def test_whatever_happens_the_record_keeps_its_promises() -> None:
    histories, steps = map(int, os.environ.get("HISTORIES", FEW).split())
    chosen = settings(
        max_examples=histories,
        stateful_step_count=steps,
        derandomize="HISTORIES" not in os.environ,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Histories, settings=chosen)

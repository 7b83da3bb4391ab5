"""One project for all tests of containers, taken down with its data at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.containers.composed import Client, Composed


@pytest.fixture(scope="session")
def project() -> Iterator[Composed]:
    """All services, healthy."""
    composed = Composed()
    try:
        composed.up()
        yield composed
    except AssertionError:
        sys.stderr.write(composed("logs", "--no-color", "--tail=40"))
        raise
    finally:
        composed("down", "--volumes", "--remove-orphans")


@pytest.fixture
def composed(project: Composed) -> Composed:
    """All services, healthy again whatever the test before did to them."""
    project.up()
    return project


@pytest.fixture(scope="session")
def client(project: Composed) -> Iterator[Client]:
    """Somebody outside, with a key."""
    client = Client(project)
    with client.http:
        yield client

"""Processes that tests break are not measured: coverage would take processor time that the others then lack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

collect_ignore = ["test_rabbitmq_cluster.py"]
"""Three brokers on two processors take minutes: `make fault-cluster` runs it."""


@pytest.fixture(scope="package", autouse=True)
def _unmeasured() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield

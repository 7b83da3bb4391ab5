"""What `make test` leaves out here."""

from __future__ import annotations

from pathlib import Path

import pytest

collect_ignore = ["test_rabbitmq_cluster.py"]
"""Three brokers on two processors take minutes: `make fault-cluster` runs it."""

SLOW = {
    "test_away.py",
    "test_bulk_deaths.py",
    "test_clocks.py",
    "test_connection_resets.py",
    "test_deaths.py",
    "test_drain.py",
    "test_failover.py",
    "test_fallback_polling.py",
    "test_hostile.py",
    "test_kept_events.py",
    "test_old_and_new_clients.py",
    "test_pooler.py",
    "test_restore.py",
    "test_rolling_upgrade.py",
    "test_upgrade.py",
}
"""Each takes up to three minutes. `make test-slow` runs them; without them, all that dies in `make test` does so in the short fault run and
at the crash points."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name in SLOW:
            item.add_marker(pytest.mark.slow)

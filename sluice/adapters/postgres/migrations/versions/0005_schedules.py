"""Store what schedules do about missed ticks, and the last job of each.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0005_schedules.sql")

"""Find overdue jobs by deadline, and store what consumers report of their work.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run_apart

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the statements of the file beside this one, each on its own."""
    run_apart("0004_upkeep.sql")

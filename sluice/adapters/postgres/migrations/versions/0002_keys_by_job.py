"""Find idempotency keys by their job.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0002_keys_by_job.sql")

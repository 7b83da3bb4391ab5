"""Create the record."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0001_the_record.sql")

"""Let batches know which job each item came to."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0004"
down_revision = "0001"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0004_batches.sql")

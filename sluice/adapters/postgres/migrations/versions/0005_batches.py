"""Let batches know which job each item came to."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0005_batches.sql")

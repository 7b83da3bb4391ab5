"""Keep what handlers log for their clients."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0005"
down_revision = "0001"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0005_logs.sql")

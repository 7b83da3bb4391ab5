"""Keep what handlers log for their clients."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0004_logs.sql")

"""Let bulk acts be carried on by whichever keeper there is."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0008_bulk_acts.sql")

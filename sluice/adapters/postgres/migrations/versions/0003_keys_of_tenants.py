"""Give API keys names and successors, and indexes for those who manage them and read what was done."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0003"
down_revision = "0001"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0003_keys_of_tenants.sql")

"""Give API keys names and successors, and indexes for those who manage them and read what was done."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0006_keys_of_tenants.sql")

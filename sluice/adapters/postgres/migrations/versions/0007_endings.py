"""Keep what jobs came to until those who want to hear of it are told, and know the webhooks of tenants."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0007_endings.sql")

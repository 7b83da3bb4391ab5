"""Let the record say why a lane is paused, and who did it."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0003_pauses_have_reasons.sql")

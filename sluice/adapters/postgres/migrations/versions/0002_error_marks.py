"""Remember which errors were resolved or are ignored."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0002_error_marks.sql")

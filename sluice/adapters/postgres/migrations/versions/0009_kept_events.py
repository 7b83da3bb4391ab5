"""Name the duties of keepers that tell other programs of endings, or forget what was kept for that."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the statements of the file beside this one."""
    run("0009_kept_events.sql")

"""List jobs by tenant, newest first, and failed ones by their error.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import run, run_apart

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the statements of the files beside this one."""
    run("0003_listing.sql")
    run_apart("0003_listing_indexes.sql")

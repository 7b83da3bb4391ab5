"""Create the record."""

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0001"
down_revision = None
upgrade = upgrade_by(__file__)

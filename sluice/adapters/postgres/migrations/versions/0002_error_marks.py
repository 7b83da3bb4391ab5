"""Remember which errors were resolved or are ignored."""

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0002"
down_revision = "0001"
upgrade = upgrade_by(__file__)

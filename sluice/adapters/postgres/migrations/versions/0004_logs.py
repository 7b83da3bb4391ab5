"""Keep what handlers log for their clients."""

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0004"
down_revision = "0003"
upgrade = upgrade_by(__file__)

"""Let batches know which job each item came to."""

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0005"
down_revision = "0004"
upgrade = upgrade_by(__file__)

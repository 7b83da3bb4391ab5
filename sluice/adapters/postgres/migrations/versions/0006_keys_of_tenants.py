"""Give API keys names and successors, and indexes for those who manage them and read what was done."""

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0006"
down_revision = "0005"
upgrade = upgrade_by(__file__)

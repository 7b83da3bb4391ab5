"""Let the record say why a lane is paused, and who did it."""

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0003"
down_revision = "0002"
upgrade = upgrade_by(__file__)

"""Let bulk acts be carried on by whichever keeper there is."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0008"
down_revision = "0007"

upgrade = upgrade_by(__file__)

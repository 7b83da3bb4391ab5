"""Keep what jobs came to until those who want to hear of it are told, and know the webhooks of tenants."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0007"
down_revision = "0006"

upgrade = upgrade_by(__file__)

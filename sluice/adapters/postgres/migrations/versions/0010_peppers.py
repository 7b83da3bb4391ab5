"""Keep beside a hash which pepper it was made with."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0010"
down_revision = "0009"

upgrade = upgrade_by(__file__)

"""Name the duties of keepers that tell other programs of endings, or forget what was kept for that."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0009"
down_revision = "0008"

upgrade = upgrade_by(__file__)

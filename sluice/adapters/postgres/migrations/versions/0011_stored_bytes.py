"""Know how many bytes each tenant keeps."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0011"
down_revision = "0010"

upgrade = upgrade_by(__file__)

"""Know which endpoints of webhooks are to prove, and have proved, that they want what is sent."""

from __future__ import annotations

from sluice.adapters.postgres.migrations.plain_sql import upgrade_by

revision = "0012"
down_revision = "0011"

upgrade = upgrade_by(__file__)

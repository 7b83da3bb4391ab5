"""Migrations from files of plain SQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import op
from sqlalchemy import AdaptedConnection

VERSIONS = Path(__file__).parent / "versions"


def upgrade_by(migration: str) -> Callable[[], None]:
    """Make what executes the file of plain SQL beside this migration, every statement as it stands, in the migration's transaction."""

    def upgrade() -> None:
        text = Path(migration).with_suffix(".sql").read_text()
        adapted = op.get_bind().connection.dbapi_connection
        assert isinstance(adapted, AdaptedConnection)  # noqa: S101  tells mypy what SQLAlchemy's asyncpg dialect hands out
        adapted.run_async(lambda driver: driver.execute(text))

    return upgrade

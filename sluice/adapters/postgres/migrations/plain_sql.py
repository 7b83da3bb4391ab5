"""Run a migration from a file of plain SQL."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import AdaptedConnection

VERSIONS = Path(__file__).parent / "versions"


def run(name: str) -> None:
    """Execute every statement of a file in `versions/`, as they stand, in the migration's transaction."""
    text = (VERSIONS / name).read_text()
    adapted = op.get_bind().connection.dbapi_connection
    assert isinstance(adapted, AdaptedConnection)  # noqa: S101  tells mypy what SQLAlchemy's asyncpg dialect hands out
    adapted.run_async(lambda driver: driver.execute(text))

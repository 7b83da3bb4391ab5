"""Lets a migration be a file of plain SQL."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import AdaptedConnection

VERSIONS = Path(__file__).parent / "versions"


def run(name: str) -> None:
    """Execute every statement of a file in `versions/`, as they stand, in the migration's transaction."""
    _execute((VERSIONS / name).read_text())


def run_beside_traffic(name: str) -> None:
    """Execute the statements of a file one by one, each in a transaction of its own, as `concurrently` asks for.

    They have to be such that a migration that was broken off can begin again.
    """
    with op.get_context().autocommit_block():
        for statement in (VERSIONS / name).read_text().strip().split(";\n"):
            _execute(statement)


def _execute(text: str) -> None:
    adapted = op.get_bind().connection.dbapi_connection
    assert isinstance(adapted, AdaptedConnection)  # noqa: S101  tells mypy what SQLAlchemy's asyncpg dialect hands out
    adapted.run_async(lambda driver: driver.execute(text))

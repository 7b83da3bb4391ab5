"""Run a migration from a file of plain SQL."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import AdaptedConnection

VERSIONS = Path(__file__).parent / "versions"


def run(name: str) -> None:
    """Execute every statement of a file in `versions/`, as they stand, in the migration's transaction."""
    _execute((VERSIONS / name).read_text())


def run_apart(name: str) -> None:
    """Execute every statement of a file in `versions/` on its own, outside any transaction; a blank line ends each.

    Indexes on tables in use are built like this. What the migration did before is committed, and a run may end half-way: it
    must be safe to run the whole migration again.
    """
    with op.get_context().autocommit_block():
        for statement in (VERSIONS / name).read_text().split("\n\n"):
            _execute(statement)


def _execute(text: str) -> None:
    adapted = op.get_bind().connection.dbapi_connection
    assert isinstance(adapted, AdaptedConnection)  # noqa: S101  tells mypy what SQLAlchemy's asyncpg dialect hands out
    adapted.run_async(lambda driver: driver.execute(text))

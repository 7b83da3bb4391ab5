"""Alembic's entry point: runs migrations over the connection that `sluice.adapters.postgres.migrate` passes in."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()

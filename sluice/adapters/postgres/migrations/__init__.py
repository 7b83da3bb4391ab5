"""Alembic migrations: plain SQL, forward only."""

"""A PostgreSQL with a synchronous streaming standby that can be promoted, made of the programs of this machine."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.postgres import Postgres
from infra.local.run_as import hand_over, temporary_directory
from sluice.adapters.postgres.migrate import migrate

MAY_REPLICATE = "host replication sluice 127.0.0.1/32 scram-sha-256\n"


QUICK = "wal_retrieve_retry_interval = 200ms\n"
"""A standby comes back that soon after its primary."""
SYNCHRONOUS = "synchronous_standby_names = '*'\n"


class Member(Postgres):
    """A server that others may follow. If it is `synchronous`, its COMMIT waits for one of them."""

    synchronous = False

    def wait_for_standby(self) -> None:
        """Let COMMIT wait for a standby from now on."""
        self.synchronous = True
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(SYNCHRONOUS)
        self.run("pg_ctl", "reload")

    def _configure(self) -> None:
        super()._configure()
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(QUICK + (SYNCHRONOUS if self.synchronous else ""))
        with (self.data / "pg_hba.conf").open("a") as hba:
            hba.write(MAY_REPLICATE)


class Primary(Member):
    """A server whose COMMIT waits for a standby from the beginning."""

    synchronous = True

    def _initialise(self) -> None:
        super()._initialise()
        self.run("postgres", "--single", "postgres", stdin="alter role sluice replication\n")


class Standby(Member):
    """A copy of `primary` that follows it until it is promoted."""

    def __init__(self, directory: Path, primary: Member) -> None:
        super().__init__(directory)
        self._primary = primary

    @property
    def password(self) -> str:
        """The password of the primary: accounts are copied with everything else."""
        return self._primary.password

    def promote(self) -> None:
        """Make it take writes; return once it does."""
        self.run("pg_ctl", "promote", "--wait")

    def _initialise(self) -> None:
        self.data.mkdir(mode=0o700)
        hand_over(self.data)
        options = ("-R", "-X", "stream", "-c", "fast", "-D", str(self.data), "-d", self._primary.url)
        self.run("pg_basebackup", *options)


@contextmanager
def replicated_postgres() -> Iterator[tuple[Primary, Standby]]:
    """Run a migrated server and its standby."""
    directory = temporary_directory("sluice-failover-")
    primary = Primary(directory / "primary")
    standby = Standby(directory / "standby", primary)
    try:
        primary.start()
        standby.start()
        asyncio.run(migrate(primary.url))
        yield primary, standby
    finally:
        standby.stop()
        primary.stop()
        shutil.rmtree(directory, ignore_errors=True)

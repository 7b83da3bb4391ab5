"""A PostgreSQL that archives what it writes, and one that is restored from a base backup and that archive, to a point in time."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from infra.local.run_as import hand_over
from tests.support.standby import Member

ARCHIVING = """\
archive_mode = on
archive_command = 'test ! -f {wal}/%f && cp %p {wal}/%f'
"""
RESTORING = """\
restore_command = 'cp {wal}/%f %p'
recovery_target_time = '{moment}'
recovery_target_action = promote
"""


class Archived(Member):
    """A server whose log is kept in `wal`, beside its base backup."""

    @property
    def wal(self) -> Path:
        """Where finished segments of the log are copied."""
        return self.directory / "wal"

    @property
    def base(self) -> Path:
        """The base backup."""
        return self.directory / "base"

    def back_up(self) -> None:
        """Copy all data while the server goes on."""
        self._own(self.base)
        self.run("pg_basebackup", "-X", "none", "-c", "fast", "-D", str(self.base), "-d", self.url)

    def _initialise(self) -> None:
        super()._initialise()
        self._own(self.wal)
        self.run("postgres", "--single", "postgres", stdin="alter role sluice replication\n")

    def _configure(self) -> None:
        super()._configure()
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(ARCHIVING.format(wal=self.wal))

    def _own(self, directory: Path) -> None:
        directory.mkdir(mode=0o700)
        hand_over(directory)


class Restored(Member):
    """The backup of another, with what that had written until a moment (a time as SQL prints it)."""

    def __init__(self, directory: Path, source: Archived, moment: str) -> None:
        super().__init__(directory)
        self._source, self._moment = source, moment

    @property
    def password(self) -> str:
        """The password of the source: accounts are copied with everything else."""
        return self._source.password

    def _initialise(self) -> None:
        copy = [
            "/bin/cp",
            "-a",
            str(self._source.base),
            str(self.data),
        ]  # with their owner, who may be another
        subprocess.run(copy, check=True)
        begin = self.data / "recovery.signal"
        begin.touch()
        shutil.chown(begin, self.data.stat().st_uid, self.data.stat().st_gid)

    def _configure(self) -> None:
        super()._configure()
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(RESTORING.format(wal=self._source.wal, moment=self._moment))

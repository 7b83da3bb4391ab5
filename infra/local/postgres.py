"""A private PostgreSQL, also for root: the server refuses to run as root, so it is given another identity."""

import shutil
import signal
import subprocess
from pathlib import Path

from infra.local.daemon import StartError
from infra.local.programs import find
from infra.local.run_as import hand_over, may_rename, owner_of
from infra.local.server import Server

_SETTINGS = Path(__file__).parents[1] / "postgres" / "postgresql.conf"

# No password for the superuser and no socket: after this, only the role sluice can come in. CREATEDB lets a test suite make
# databases of its own; the role has no other privilege.
_SQL = """\
create role sluice login createdb password '{password}'
create database sluice owner sluice
"""
_LZ4 = "wal_compression = lz4"
"""Costs the server less than its own compression, which `on` means."""
_WHO_MAY = "host all sluice 127.0.0.1/32 scram-sha-256\n"


class Postgres(Server):
    """One PostgreSQL with the role and the database `sluice`."""

    name = "PostgreSQL"
    program = "postgres"
    stop_signal = signal.SIGINT  # "fast": sessions are ended, data is flushed

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"postgresql://sluice:{self.password}@127.0.0.1:{self.port}/sluice"

    def _launch(self) -> None:
        if not self.data.exists():
            self._initialise()
        (self.data / "postmaster.pid").unlink(
            missing_ok=True
        )  # left by a killed server; start() made sure none runs
        self._configure()
        self._spawn([str(find("postgres")), "-D", str(self.data)], identity=owner_of(self.data))

    def _answers(self) -> bool:
        probe = [str(find("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(probe, check=False).returncode == 0

    def _initialise(self) -> None:
        """Make the cluster beside its place, then move it there: what is called data is always complete."""
        draft = self.directory / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        hand_over(draft)
        if owner_of(draft).prefix and not may_rename():
            raise StartError(
                f"PostgreSQL refuses to run as root, and its account postgres cannot get to {draft.parent}: "
                "make the directories above it passable (chmod o+x), or run as another user"
            )
        _run(
            draft,
            "initdb",
            "-U",
            "postgres",
            "--auth=reject",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
            "-D",
            str(draft),
        )
        _run(
            draft,
            "postgres",
            "--single",
            "-D",
            str(draft),
            "postgres",
            stdin=_SQL.format(password=self.password),
        )
        draft.rename(self.data)

    def _configure(self) -> None:
        local = f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
        self._write_conf(self.data / "postgresql.conf", _SETTINGS, local)
        if self._takes(_LZ4):
            self._write_conf(self.data / "postgresql.conf", _SETTINGS, f"{local}{_LZ4}\n")
        (self.data / "pg_hba.conf").write_text(_WHO_MAY)

    def _takes(self, setting: str) -> bool:
        """Tell whether the server starts with this setting: not every one is built with everything."""
        name = setting.partition(" ")[0]
        try:
            _run(self.data, "postgres", "-C", name, "-D", str(self.data), "-c", setting.replace(" ", ""))
        except StartError:
            return False
        return True


def _run(owned: Path, program: str, *arguments: str, stdin: str = "") -> None:
    identity = owner_of(owned)
    done = subprocess.run(
        [*identity.prefix, str(find(program)), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
        check=False,
        user=identity.user,
        group=identity.group,
        extra_groups=identity.extra_groups,
    )
    if done.returncode != 0:
        raise StartError(f"PostgreSQL: {program} failed:\n{done.stdout[-2000:]}")

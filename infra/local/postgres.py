"""A private PostgreSQL, also for root: the server refuses to run as root, so it is given another identity."""

import os
import re
import shutil
import signal
import subprocess
from functools import cached_property
from pathlib import Path

from infra.local.daemon import StartError
from infra.local.programs import ProgramMissing, found
from infra.local.run_as import hand_over, may_rename, owner_of
from infra.local.server import Server

_SETTINGS = Path(__file__).parents[1] / "postgres" / "postgresql.conf"

# No password for the superuser and no socket: after this, only the role sluice can come in, and those that are made with a
# password. CREATEDB lets a test suite make databases of its own; the role has no other privilege.
_SQL = """\
create role sluice login createdb password '{password}'
create database sluice owner sluice
"""
_LZ4 = "wal_compression = lz4"
"""Costs the server less than its own compression, which `on` means."""
_WHO_MAY = "host all all 127.0.0.1/32 scram-sha-256\n"


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
        self._spawn([str(self._programs / "postgres"), "-D", str(self.data)], identity=owner_of(self.data))

    def _answers(self) -> bool:
        probe = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(probe, check=False).returncode == 0

    @cached_property
    def _programs(self) -> Path:
        """The directory of the newest programs that read this data: each major version reads its own alone."""
        servers = list(found("postgres"))
        if not servers:
            raise ProgramMissing("postgres is not installed")
        version = self.data / "PG_VERSION"
        if not version.exists():
            return servers[0].parent
        wanted = version.read_text().strip()
        for server in servers:
            if _major_version(server) == wanted:
                return server.parent
        raise StartError(
            f"PostgreSQL: {self.data} was made by version {wanted}, which is not installed any more; install it, "
            f"or delete {self.directory} and begin anew"
        )

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
        options = ("-U", "postgres", "--auth=reject", "--encoding=UTF8", "--locale=C", "--data-checksums")
        self.run("initdb", *options, data=draft)
        self.run("postgres", "--single", "postgres", data=draft, stdin=_SQL.format(password=self.password))
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
            self.run("postgres", "-C", name, "-c", setting.replace(" ", ""))
        except StartError:
            return False
        return True

    def run(self, program: str, *arguments: str, data: Path | None = None, stdin: str = "") -> None:
        """Run a program of the server on its data, as their owner. Raises StartError with what it said."""
        data = data or self.data
        identity = owner_of(data)
        done = subprocess.run(
            [*identity.prefix, str(self._programs / program), *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            check=False,
            env={**os.environ, "PGDATA": str(data)},
            user=identity.user,
            group=identity.group,
            extra_groups=identity.extra_groups,
        )
        if done.returncode != 0:
            raise StartError(f"PostgreSQL: {program} failed:\n{done.stdout[-2000:]}")


def _major_version(server: Path) -> str:
    said = subprocess.run([str(server), "--version"], check=False, capture_output=True, text=True, cwd="/")
    found = re.search(r"\) (\d+)", said.stdout)
    return found[1] if found else ""

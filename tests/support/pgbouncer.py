"""A PgBouncer before a PostgreSQL."""

from __future__ import annotations

import socket
from pathlib import Path

from infra.local.ports import LOOPBACK
from infra.local.postgres import Postgres
from infra.local.programs import find
from infra.local.run_as import hand_over, owner_of
from infra.local.server import Server


class PgBouncer(Server):
    """Pools the connections to `postgres`; `mode` says for how long a client has one: `session` or `transaction`."""

    name = "PgBouncer"
    program = "pgbouncer"

    def __init__(self, directory: Path, postgres: Postgres, mode: str) -> None:
        super().__init__(directory)
        self._postgres, self._mode = postgres, mode

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"postgresql://sluice:{self._postgres.password}@{LOOPBACK}:{self.port}/sluice"

    def _launch(self) -> None:
        self.data.mkdir(exist_ok=True)
        hand_over(self.data)
        (self.data / "users").write_text(f'"sluice" "{self._postgres.password}"\n')
        conf = self.data / "pgbouncer.ini"
        conf.write_text(
            f"[databases]\n* = host={LOOPBACK} port={self._postgres.port}\n[pgbouncer]\nlisten_addr = {LOOPBACK}\n"
            f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {self.data}/users\n"
            f"pool_mode = {self._mode}\ndefault_pool_size = 30\n"
        )
        self._spawn([str(find("pgbouncer")), str(conf)], identity=owner_of(self.data))

    def _answers(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.port), timeout=1).close()
        except OSError:
            return False
        return True

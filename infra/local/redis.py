"""A private Redis: loopback, a password, nothing on disk."""

import socket
from pathlib import Path

from infra.local.ports import LOOPBACK
from infra.local.programs import find
from infra.local.server import Server

_SETTINGS = Path(__file__).parents[1] / "redis" / "redis.conf"


class Redis(Server):
    """One Redis that keeps everything in memory; killing it empties it."""

    name = "Redis"
    program = "redis-server"
    start_timeout_s = 10
    stop_timeout_s = 5

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _launch(self) -> None:
        self.data.mkdir(exist_ok=True)
        conf = self.directory / "redis.conf"
        local = f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\ndir {self.data}\n"
        self._write_conf(conf, _SETTINGS, local)
        self._spawn([str(find("redis-server")), str(conf)])

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                replies = connection.makefile("rb")
                return [replies.readline(), replies.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False

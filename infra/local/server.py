"""What the three servers have in common: a directory that holds their data, their port and the password of their only user."""

import os
import secrets
import shutil
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from infra.local import ports
from infra.local.daemon import Daemon


class Server(Daemon):
    """One private server on loopback, all of whose files lie under its directory.

    A port of None picks a free one and remembers it, so that a restart answers at the same address.
    """

    program: ClassVar[str]

    def __init__(self, directory: Path, port: int | None = None) -> None:
        super().__init__()
        self.directory = directory.resolve()
        self._asked_port = port

    def start(self) -> None:
        """Start and wait until it answers, as every daemon; makes its directory first."""
        if not self.alive:
            self.kill()
            self._prepare_directory()
        super().start()

    def wipe(self) -> None:
        """Delete the data of a stopped server; port and password stay. Raises RuntimeError while it runs."""
        if self.alive:
            raise RuntimeError(f"{self.name} is running; stop it before its data is deleted")
        shutil.rmtree(self.data, ignore_errors=True)

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, user and password included."""

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._asked_port or ports.remembered_port(self.directory / "port")

    @property
    def password(self) -> str:
        """The password of the only user, random, made once per directory."""
        return secret(self.directory / "password")

    @property
    def data(self) -> Path:
        """What wipe() deletes."""
        return self.directory / "data"

    @property
    def log(self) -> Path:
        """The file that gets everything the server prints."""
        return self.directory / "log"

    @property
    def _cwd(self) -> Path:
        return self.data

    def _pid_files(self) -> list[Path]:
        return [self.directory / "pid"]

    def _prepare_directory(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        ports.forget_if_taken(self.directory / "port")

    def _write_conf(self, file: Path, shared: Path, local: str) -> None:
        """The settings shared with other ways to deploy, then the lines of this place, for the directory's owner alone."""
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        if os.geteuid() == 0:
            os.chown(file, file.parent.stat().st_uid, file.parent.stat().st_gid)
        file.write_text(f"{shared.read_text()}\n# --- this place ---\n{local}")


def secret(file: Path) -> str:
    """Return the secret kept in the file; the first time, make one and keep it for the owner alone."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(16))
    return file.read_text()

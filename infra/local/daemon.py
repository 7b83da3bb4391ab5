"""A background program with a record of its process: started once, found again by a later program, always ended completely."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from infra.local.process import Record, freeze_all, kill_all, none_alive, send, spawn, wait_until
from infra.local.run_as import Identity

_OURSELVES = Identity()


class StartError(RuntimeError):
    """A program did not start; the message carries the reason and the last lines of its log."""


class Daemon(ABC):
    """One program in the background; subclasses say how it is launched and how one knows that it works."""

    name: str
    start_timeout_s: ClassVar[float] = 30
    stop_timeout_s: ClassVar[float] = 30
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []
        self._log_size_before = 0  # bytes in the log when this object launched the program

    def start(self) -> None:
        """Start and wait until it answers; nothing happens when it runs.

        Raises StartError, having stopped what it started.
        """
        if self.alive:
            self.thaw()
            self._await_ready()
            return
        self.kill()
        self._log_size_before = self.log.stat().st_size if self.log.exists() else 0
        try:
            self._launch()
            self._await_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop in good order; kill what does not obey within its time."""
        if self.alive:
            self.thaw()
            main = self.pids[:1]
            send(self.stop_signal, main)
            wait_until(lambda: none_alive(main), self.stop_timeout_s)
        self.kill()

    def kill(self) -> None:
        """End it and all its processes at once, as a power cut would."""
        pids = [pid for record in self._records() for pid in kill_all(record)]
        if not wait_until(lambda: none_alive(pids), 10):
            raise RuntimeError(f"{self.name}: processes {pids} cannot be killed")
        for child in self._children:
            child.wait()
        self._children.clear()
        for file in self._pid_files():
            file.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stop all its processes in their tracks: connections stay open, nothing answers from here on."""
        if not freeze_all(lambda: self.pids):
            raise RuntimeError(f"{self.name}: processes {self.pids} cannot be frozen")

    def thaw(self) -> None:
        """Let frozen processes go on."""
        send(signal.SIGCONT, self.pids)

    @property
    def alive(self) -> bool:
        """Whether its main process runs, frozen or not."""
        record = Record.read(self._pid_files()[0])
        return record is not None and record.alive

    @property
    def pids(self) -> list[int]:
        """Ids of all its processes, the main one first; empty when it is stopped."""
        return [pid for record in self._records() for pid in record.members()]

    @property
    @abstractmethod
    def log(self) -> Path:
        """The file that gets everything it prints."""

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines it printed, of the present run if this object started it."""
        if not self.log.exists():
            return ""
        said = self.log.read_bytes()
        this_time = said[self._log_size_before :] if len(said) > self._log_size_before else said
        return "\n".join(this_time.decode(errors="replace").splitlines()[-lines:])

    @abstractmethod
    def _launch(self) -> None:
        """Write what the program reads and spawn it."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it does its work, not only accepts connections."""

    @abstractmethod
    def _pid_files(self) -> list[Path]:
        """Where its processes are recorded, the main one first."""

    @property
    @abstractmethod
    def _cwd(self) -> Path:
        """The directory it works in."""

    def _spawn(
        self,
        argv: list[str],
        *,
        env: dict[str, str] | None = None,
        identity: Identity = _OURSELVES,
        pid_file: Path | None = None,
    ) -> None:
        child = spawn(argv, log=self.log, cwd=self._cwd, env={**os.environ, **(env or {})}, identity=identity)
        self._children.append(child)
        Record.of(child.pid).write(pid_file or self._pid_files()[0])

    def _records(self) -> list[Record]:
        return [record for file in self._pid_files() if (record := Record.read(file))]

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self.start_timeout_s
        while not self._answers():
            if not self.alive:
                raise self._failure("it ended during its start")
            if time.monotonic() > deadline:
                raise self._failure(f"no answer within {self.start_timeout_s:.0f} s")
            time.sleep(0.02)

    def _failure(self, reason: str) -> StartError:
        return StartError(
            f"{self.name} did not start: {reason}. Last lines of {self.log}:\n{self.log_tail()}"
        )

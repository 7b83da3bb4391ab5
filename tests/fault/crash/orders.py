"""What a process is to do at a crash point: a file that a test writes and the process takes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

VARIABLE = "CRASH_ORDER"
ACTIONS = ("kill", "stop", "raise")


class Order(NamedTuple):
    """Do `action` when `point` is reached for the `nth` time; `serial` tells one order from the next."""

    point: str
    action: str
    nth: int = 1
    serial: int = 0

    @classmethod
    def read(cls, file: Path) -> Order | None:
        """Return the order in the file, None if there is none."""
        try:
            point, action, nth, serial = file.read_text().split("|")
        except (FileNotFoundError, ValueError):
            return None
        return cls(point, action, int(nth), int(serial))

    def write(self, file: Path) -> None:
        """Give the order."""
        new = file.with_suffix(".new")
        new.write_text("|".join(map(str, self)))
        new.rename(file)

    def take(self, file: Path) -> bool:
        """Mark the order as carried out; return False if it already was."""
        try:
            file.rename(self.mark(file))
        except FileNotFoundError:
            return False
        return True

    def mark(self, file: Path) -> Path:
        """Return the file that exists once the order was carried out."""
        return file.with_suffix(f".{self.serial}")

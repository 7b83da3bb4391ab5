"""What a process is told to do at a crash point: a file, written by a test and taken by the process."""

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
        """The order in the file, None where there is none."""
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
        """Leave the mark that it is carried out now; false where that was done already."""
        try:
            file.rename(self.mark(file))
        except FileNotFoundError:
            return False
        return True

    def mark(self, file: Path) -> Path:
        """The file that is there once the order was carried out."""
        return file.with_suffix(f".{self.serial}")

"""Tell files of a home that this user may not read from a server that is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from sluice.core.errors import ServerUnfit

LOOKED_FOR = (
    ".pgpass",
    *(f".postgresql/{name}" for name in ("root.crt", "root.crl", "postgresql.key", "postgresql.crt")),
)
"""Files that the driver of PostgreSQL reads where they exist. libpq goes on without those that it may not read."""

T = TypeVar("T")


async def at_home(connect: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
    """Connect. Raises ServerUnfit where a file of the home is the reason why not, and what `connect` raises."""
    try:
        return await connect(*args, **options)
    except PermissionError as error:
        file = _find_closed()
        if file is None:
            raise
        raise ServerUnfit(
            "postgresql",
            f"this user may not read {file}, for which its driver looks: set HOME to a directory of this user",
        ) from error


def _find_closed() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # there is none
        return None
    return next((home / name for name in LOOKED_FOR if _is_closed(home / name)), None)


def _is_closed(file: Path) -> bool:
    try:
        file.open("rb").close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False

"""A home whose files this user may not read, as under sudo -E or a supervisor: PostgreSQL is not away."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sluice.adapters.postgres.connecting import connect_to_primary
from sluice.adapters.postgres.pool import translated
from sluice.core.errors import ServerUnfit

NOBODY = 65_534
ONE, SEVERAL = "postgresql://u:p@127.0.0.1:1/d", "postgresql://u:p@127.0.0.1:1,127.0.0.1:2/d"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a home outside of directories that are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv("HOME", name)
        yield Path(name)


@pytest.fixture
def closed_home(home: Path) -> Path:
    """Make a home that is another user's."""
    home.chmod(0o000)
    return home


@contextmanager
def without_rights() -> Iterator[None]:
    """Do without the rights of root, who may read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


async def refusal(url: str, home: Path) -> str:
    """What a person reads, on every way out of the adapter."""
    with without_rights(), pytest.raises(ServerUnfit) as found:
        await connect_to_primary(url, timeout=5)
    assert translated(found.value) is found.value
    return str(found.value).replace(str(home), "~")


def says(file: str) -> str:
    return f"postgresql: this user may not read {file}, for which its driver looks: set HOME to a directory of this user"


@pytest.mark.parametrize("url", [ONE, SEVERAL, ONE.replace(":p@", "@"), f"{ONE}?sslmode=require"])
async def test_a_home_of_another_user_is_named(closed_home: Path, url: str) -> None:
    assert await refusal(url, closed_home) == says("~/.pgpass")


@pytest.mark.parametrize("name", ["root.crl", "postgresql.crt"])
async def test_a_file_of_another_user_is_named(home: Path, name: str) -> None:
    file = home / ".postgresql" / name
    file.parent.mkdir()
    file.touch(0o000)
    assert await refusal(f"{ONE}?sslmode=require", home) == says(f"~/.postgresql/{name}")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("url", [ONE, SEVERAL])
async def test_any_other_refusal_stays_what_it_is(url: str) -> None:
    with without_rights(), pytest.raises(ConnectionError):
        await connect_to_primary(url, timeout=5)


@pytest.mark.usefixtures("closed_home")
async def test_a_home_that_nobody_looks_into_does_not_matter() -> None:
    with without_rights(), pytest.raises(ConnectionError):
        await connect_to_primary(f"{ONE}?sslmode=disable", timeout=5)


async def test_a_socket_of_another_user_is_not_the_homes_fault(home: Path) -> None:
    closed = home / "sockets"
    closed.mkdir(0o700)
    with without_rights(), pytest.raises(PermissionError):
        await connect_to_primary(f"postgresql://u:p@/d?host={closed}", timeout=5)

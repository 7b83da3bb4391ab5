"""A home whose files this user may not read, as under sudo -E or a supervisor: PostgreSQL is not away."""

from __future__ import annotations

import errno
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
NAMELESS = "its socket or a file of ~/.postgresql"
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


async def refusal(url: str) -> str:
    """What a person reads."""
    with without_rights(), pytest.raises(PermissionError) as found:
        await connect_to_primary(url, timeout=5)
    ours = translated(found.value)
    assert isinstance(ours, ServerUnfit)
    return str(ours)


def says(file: str) -> str:
    return f"postgresql: this user may not read {file}, for which its driver looks: set HOME to a directory of this user"


@pytest.mark.parametrize("url", [ONE, SEVERAL, ONE.replace(":p@", "@")])
async def test_a_home_of_another_user_is_named(closed_home: Path, url: str) -> None:
    assert await refusal(url) == says(f"{closed_home}/.postgresql/postgresql.key")


@pytest.mark.parametrize("name", ["root.crl", "postgresql.crt"])
async def test_that_it_is_a_file_of_another_user_is_said(home: Path, name: str) -> None:
    file = home / ".postgresql" / name
    file.parent.mkdir()
    file.touch(0o000)
    assert await refusal(f"{ONE}?sslmode=require") == says(NAMELESS)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("url", [ONE, SEVERAL])
async def test_any_other_refusal_stays_what_it_is(url: str) -> None:
    with without_rights(), pytest.raises(ConnectionError):
        await connect_to_primary(url, timeout=5)


@pytest.mark.usefixtures("closed_home")
async def test_a_home_that_nobody_looks_into_does_not_matter() -> None:
    with without_rights(), pytest.raises(ConnectionError):
        await connect_to_primary(f"{ONE}?sslmode=disable", timeout=5)


async def test_that_it_may_be_a_socket_of_another_user_is_said(home: Path) -> None:
    closed = home / "sockets"
    closed.mkdir(0o700)
    assert await refusal(f"postgresql://u:p@/d?host={closed}") == says(NAMELESS)


def test_what_a_firewall_forbids_is_away() -> None:
    assert not isinstance(translated(PermissionError(errno.EPERM, "Operation not permitted")), ServerUnfit)

"""The probe of a health page, against a real one."""

from __future__ import annotations

import asyncio
import errno
import io
import os

import pytest

from sluice.adapters.admin_http import AdminApp, serve_admin
from sluice.adapters.http_server import listen
from sluice.adapters.metrics import Metrics
from sluice.adapters.probe import ask
from sluice.core.errors import ServerAway
from sluice.errors import SluiceError


class Full(io.StringIO):
    """A stream whose disk is full."""

    def write(self, _text: str) -> int:
        """Write nothing."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_it_tells_by_its_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    away = False

    async def ping() -> None:
        if away:
            raise ServerAway("postgresql")

    async with serve_admin(AdminApp("api", {"postgresql": ping}, Metrics()), "127.0.0.1", 0) as port:
        url = f"http://127.0.0.1:{port}/readyz"
        assert await asyncio.to_thread(ask, url) == 0
        away = True
        assert await asyncio.to_thread(ask, url) == 1
        assert "the record is away" in capsys.readouterr().out


async def test_a_page_that_cannot_be_printed_is_no_failure_of_the_process_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serve_admin(AdminApp("api", {}, Metrics()), "127.0.0.1", 0) as port:
        monkeypatch.setattr("sys.stdout", Full())
        with pytest.raises(OSError, match="No space left"):
            await asyncio.to_thread(ask, f"http://127.0.0.1:{port}/livez")


def test_it_fails_where_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    assert ask(f"http://127.0.0.1:{port}/livez") == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "url", ["", "readyz", "https://127.0.0.1/", "http://", "http://h:many/", "http://[::1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SluiceError, match="not an address"):
        ask(url)

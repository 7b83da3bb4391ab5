"""Hosts that have loaded the kinds that run given code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.host.host_process import HostProcess, host_process


@pytest.fixture
def bare_host(tmp_path: Path) -> Iterator[HostProcess]:
    """Start a host that has loaded nothing yet."""
    with host_process(tmp_path) as host:
        yield host


@pytest.fixture
def host(bare_host: HostProcess) -> HostProcess:
    """Start a host that runs many jobs at once."""
    bare_host.load()
    bare_host.next_of("ready")
    return bare_host


@pytest.fixture
def slot(tmp_path: Path) -> Iterator[HostProcess]:
    """Start a host that runs one job at a time, in its main thread."""
    with host_process(tmp_path, slot=True) as host:
        host.load()
        host.next_of("ready")
        yield host


@pytest.fixture
def unmeasured_host(tmp_path: Path) -> Iterator[HostProcess]:
    """Start a host in which no code is traced."""
    with host_process(tmp_path, measured=False) as host:
        host.load()
        host.next_of("ready")
        yield host

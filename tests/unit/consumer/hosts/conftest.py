"""What several tests of hosts use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

OWN = "own_hosted"
"""The name of a user's module."""

WriteModule = Callable[[str], object]


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteModule:
    """Write the module `own_hosted`, which hosts find."""
    monkeypatch.syspath_prepend(tmp_path)
    return lambda code: (tmp_path / f"{OWN}.py").write_text(dedent(code))

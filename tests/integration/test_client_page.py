"""The examples of docs/client.md, run as they are printed, one after another."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Said
from tests.support.stack import ROOT, Stack

PAGE = "docs/client.md"


def test_the_examples_of_the_page_run(
    shared_stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_URL", shared_stack.url)
    monkeypatch.setenv("SLUICE_API_KEY", shared_stack.key)
    (tmp_path / "kinds.py").write_text(Said(tmp_path, capsys, monkeypatch).run("types").out)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kinds", raising=False)
    text = (ROOT / PAGE).read_text()
    names: dict[str, Any] = {}
    examples = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert len(examples) >= 6
    try:
        for example in examples:
            line = text.count("\n", 0, example.start(1))
            exec(compile("\n" * line + example[1], PAGE, "exec"), names)  # noqa: S102  what the page shows
    finally:
        names["sluice"].close()

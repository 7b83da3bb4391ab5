"""The snippets of docs/writing-handlers.md run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMES = ("shout.py", "test_shout.py", "count.py", "test_count.py")


def test_every_snippet_of_the_guide_runs(tmp_path: Path) -> None:
    guide = (ROOT / "docs/writing-handlers.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    package = tmp_path / "my_kinds"
    package.mkdir()
    for name, text in zip(NAMES, snippets, strict=True):
        (package / name).write_text(text)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--import-mode=importlib",
            "-p",
            "no:cacheprovider",
            str(package),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "5 passed" in run.stdout, run.stdout + run.stderr
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "from sluice.core.registry import load; print(list(load(['my_kinds.shout', 'my_kinds.count'])))",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.stdout == "['count.slowly', 'text.shout']\n", loaded.stderr

"""What docs/writing-handlers.md and README.md show runs as it stands, in a directory that holds nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMES = ("shout.py", "test_shout.py", "count.py", "test_count.py")


def snippets(page: str) -> list[str]:
    """The Python that a page shows."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def run(directory: Path, *arguments: str) -> str:
    """What Python prints in this directory; where Sluice is, `make setup` has told it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kinds_of(directory: Path, *modules: str) -> str:
    """The kinds that a process would offer with these modules."""
    code = f"from sluice.host.loading import load_watched; print(*load_watched({modules}))"
    return run(directory, "-c", code).strip()


def test_every_snippet_of_the_guide_runs(tmp_path: Path) -> None:
    package = tmp_path / "my_kinds"
    package.mkdir()
    for name, text in zip(NAMES, snippets("docs/writing-handlers.md"), strict=True):
        (package / name).write_text(text)
    assert "5 passed" in run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert kinds_of(tmp_path, "my_kinds.shout", "my_kinds.count") == "count.slowly text.shout"


def test_the_handler_of_the_front_page_runs_as_it_stands(tmp_path: Path) -> None:
    [text] = [each for each in snippets("README.md") if "@handler" in each]
    (tmp_path / "words.py").write_text(text)
    assert kinds_of(tmp_path, "words") == "text.words"
    code = (
        "from sluice.testing import run_handler; import words; "
        "print(run_handler(words.count, {'text': 'to be or not to be'}).words)"
    )
    assert run(tmp_path, "-c", code) == "6\n"

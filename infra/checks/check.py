"""One check: a program, and the files that it is given. What came of it is a value."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.checks.tools import ROOT, home, program
from infra.local import programs

_LONGEST_S = 300


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the table.

    The first word of the command is `python`, a program of the lock, or one that infra/local/programs.py knows a package for.
    Behind its words come the files that fit the patterns and are not among `but`. A check without any such file fails.
    """

    name: str
    command: tuple[str, ...]
    files: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a check: `said` is all it printed, or the line that installs what is missing."""

    check: Check
    verdict: str
    said: str
    took_s: float

    @property
    def failed(self) -> bool:
        """Whether the whole run has to fail."""
        return self.verdict == "FAILED"


def run(check: Check, root: Path = ROOT) -> Result:
    """Run one check; it is skipped only if its program comes from Debian and is not installed."""
    started = time.perf_counter()
    verdict, said = _run(check, root)
    return Result(check, verdict, said, time.perf_counter() - started)


def _run(check: Check, root: Path) -> tuple[str, str]:
    found = files(check, root)
    if check.files and not found:
        return "FAILED", f"no file fits {' '.join(check.files)}"
    name, *words = check.command
    try:
        command = [_path(name), *words, *found]
    except programs.ProgramMissing:
        return "skipped", f"{name} is not installed: {programs.apt_line([name])}"
    path = f"{home() / 'bin'}:{os.environ['PATH']}"  # actionlint looks for shellcheck there
    env = {**os.environ, "PATH": path, **check.env}
    try:
        done = subprocess.run(
            command, cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=_LONGEST_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        return "FAILED", str(late)
    return "FAILED" if done.returncode else "ok", done.stdout


def files(check: Check, root: Path = ROOT) -> list[str]:
    """Return the paths below the root that the check is given, sorted."""
    fitting = {path.relative_to(root) for each in check.files for path in root.glob(each) if path.is_file()}
    return sorted(str(path) for path in fitting if not any(map(path.match, check.but)))


def _path(name: str) -> str:
    if name == "python":
        return sys.executable
    of_lock = program(name)
    return str(of_lock if of_lock.exists() else programs.find(name))

"""What faulthandler wrote, and the line of users' code in it."""

from __future__ import annotations

import faulthandler
import sys
import threading
from pathlib import Path

import pytest

from sluice.host.dumps import innermost_line

LATE = """Timeout (0:00:30)!
Thread 0x00007f1 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 320 in wait
  File "/app/jobs/pool.py", line 3 in work

Thread 0x00007f0 [MainThread] (most recent call first):
  File "/usr/lib/python3.11/socket.py", line 706 in readinto
  File "/app/jobs/fetch.py", line 12 in fetch <locals>
  File "<frozen importlib._bootstrap>", line 241 in _call_with_frames_removed
"""
DEAD = """Fatal Python error: Segmentation fault

Thread 0x00007f2 (most recent call first):
  File "/app/jobs/pool.py", line 3 in work

Current thread 0x00007f1 (most recent call first):
  File "<string>", line 1 in <module>
  File "/app/jobs/h\\xe9ll\\u0151\\U0001f600.py", line 7 in load\\xe9

Thread 0x00007f0 (most recent call first):
  File "/app/jobs/fetch.py", line 12 in fetch

Extension modules: orjson.orjson (total: 1)
"""
USERS = {"/app/jobs/pool.py", "/app/jobs/fetch.py"}


@pytest.mark.parametrize(
    ("dump", "among", "line"),
    [
        (LATE, USERS, "/app/jobs/fetch.py:12 in fetch <locals>"),
        (LATE, {"/app/jobs/pool.py"}, "/app/jobs/pool.py:3 in work"),
        (LATE, None, "/usr/lib/python3.11/socket.py:706 in readinto"),
        (LATE, (), ""),
        (DEAD, None, "/app/jobs/héllő😀.py:7 in loadé"),
        (DEAD, USERS, "/app/jobs/fetch.py:12 in fetch"),
        ("", None, ""),
        ("Fatal Python error: Aborted\n\n<no Python frame>\n", None, ""),
        ('  File "/app/a.py", line 1 in f', None, ""),
        ('Thread 0x1 (most recent call first):\n  File "???", line ??? in ???\n  ...', None, ""),
    ],
)
def test_finds_the_innermost_line(dump: str, among: set[str] | tuple[()] | None, line: str) -> None:
    assert innermost_line(dump, among) == line


@pytest.mark.parametrize("all_threads", [True, False])
def test_reads_what_this_python_writes(tmp_path: Path, all_threads: bool) -> None:
    release = threading.Event()
    other = threading.Thread(target=release.wait)
    other.start()
    with (tmp_path / "dump").open("w+") as file:
        here = sys._getframe().f_lineno + 1
        faulthandler.dump_traceback(file, all_threads)
        file.seek(0)
        dump = file.read()
    release.set()
    other.join()
    place = f"{__file__}:{here} in test_reads_what_this_python_writes"
    assert innermost_line(dump) == innermost_line(dump, {__file__}) == place

"""How many files a process may have open, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from sluice.adapters.open_files import room_for
soft, hard, connections = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(room_for(connections), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "room"),
    [
        (1_024, 9_000, 8_000, "8000 8512 9000"),  # the soft limit is raised by what is needed
        (9_000, 9_000, 8_000, "8000 9000 9000"),
        (1_024, 4_096, 8_000, "3584 4096 4096"),
        (600, 600, 8_000, "300 600 600"),  # however few there are, half are for clients
    ],
)
def test_as_many_connections_are_taken_as_there_are_files_for(
    soft: int, hard: int, connections: int, room: str
) -> None:
    words = map(str, (soft, hard, connections))
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == room

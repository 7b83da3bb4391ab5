"""Memory that goes back to the system, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from sluice.core.runtime import large_blocks

PROGRAM = """
import {module}
from pathlib import Path
def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
{module}.return_large_blocks()
for _ in range(2):
    before = resident()
    blocks = [b"x" * (8 << 20) for _ in range(10)]
    del blocks[:-1]
print((resident() - before) >> 20)
"""


def test_large_blocks_are_given_back_although_a_later_one_is_still_in_use() -> None:
    program = PROGRAM.format(module=large_blocks.__name__)
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(said.stdout) <= 16

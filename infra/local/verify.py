"""`python -m infra.local.verify`: verify the record of the running stack; arguments and exit status as the command's own."""

import os
import subprocess
import sys
from pathlib import Path

from infra.local.stack import Stack

ROOT = Path(__file__).parents[2]


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Run the command with the settings of the stack; return its exit status."""
    settings = Stack.recorded(root).settings
    if not settings:
        print("Nothing was started here; `make run` first.", file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "sluice.adapters.postgres.verify", *arguments]
    return subprocess.run(command, check=False, cwd=root, env={**os.environ, **settings}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m infra.local.key`: a further API key for the running stack, alone on standard output."""

import argparse
import sys
from pathlib import Path

from infra.local.daemon import StartError
from infra.local.stack import Stack

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Make the key; return the exit status."""
    arguments = _parser().parse_args()
    stack = Stack.recorded(ROOT)
    if not stack.api.alive:
        print("Nothing runs here; `make run` first.", file=sys.stderr)
        return 1
    try:
        print(stack.make_key(arguments.tenant, arguments.scopes))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenant", required=True, help="owner of the key and of its jobs")
    parser.add_argument(
        "--scopes", default="submit,read", help="some of submit, read, admin, with commas between"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

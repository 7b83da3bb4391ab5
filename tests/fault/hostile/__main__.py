"""`python -m tests.fault.hostile`: run every hostile kind, or those named, beside innocent work.

Exits with 1 if anything was otherwise than it should be; the table says what.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from fnmatch import fnmatch

from infra.local.run_as import temporary_directory
from tests.fault.hostile.case import CASES, Case
from tests.fault.hostile.corpus import SHORT
from tests.fault.hostile.run import Plan, start_on
from tests.fault.hostile.verdict import table
from tests.support.servers import running_servers


def main() -> int:
    """Return the exit status: 0 if all was as it should be."""
    arguments = _parser().parse_args()
    plan = Plan(_chosen(arguments), arguments.innocents, arguments.seed, arguments.pace, arguments.seconds)
    directory = temporary_directory("sluice-hostile-")
    try:
        with running_servers() as servers:
            verdict = start_on(servers, directory, plan)
    finally:
        if arguments.keep:
            _say(f"logs: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    if verdict.wrong:
        print(table(verdict.wrong))  # noqa: T201  what the program is for
    _say(
        f"{verdict.hostile} hostile jobs of {len(plan.cases)} kinds, {verdict.innocent} innocent ones, "
        f"{verdict.seconds:.0f} s, {len(verdict.wrong)} wrong"
    )
    return 1 if verdict.wrong else 0


def _chosen(arguments: argparse.Namespace) -> list[Case]:
    names = arguments.names or (SHORT if arguments.short else ["*"])
    chosen = [case for name, case in CASES.items() if any(fnmatch(name, each) for each in names)]
    if not chosen:
        sys.exit(f"no such kind; there are: {', '.join(CASES)}")
    return chosen


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  progress


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.fault.hostile", description=main.__doc__)
    parser.add_argument(
        "names", nargs="*", help="names of kinds, with wildcards: 'forks-*' '*.loop'; default: all"
    )
    parser.add_argument("--short", action="store_true", help="those of `make test`")
    parser.add_argument("--innocents", type=int, default=1000, help="at least so many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="in which order (%(default)s)")
    parser.add_argument(
        "--pace", type=float, default=0.3, help="seconds between two hostile jobs (%(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=600, help="for all hostile jobs (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the logs of all processes")
    return parser


if __name__ == "__main__":
    sys.exit(main())

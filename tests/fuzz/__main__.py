"""`python -m tests.fuzz`: requests made up from the OpenAPI document, by three identities, on fresh servers.

Exits with 1 if a check failed, if the record or a log tells of something that nobody foresaw, or if nothing could be tried.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import randrange

from infra.local.run_as import temporary_directory
from loadtests.bench.generator import BenchError
from loadtests.bench.peer_environment import python_with
from tests.fuzz.run import IDENTITIES, Came, Plan, run
from tests.support.servers import running_servers

LOCK = Path(__file__).with_name("requirements.txt")
KEPT = Path(".local") / "fuzz"
FAILURES = re.compile(r"^=+ (?:FAILURES|ERRORS) =+$.*?(?=^=+ SUMMARY =+$)", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Return the exit status: 0 if all was as it should be."""
    arguments, more = _parser().parse_known_args()
    try:
        program = Path(python_with(LOCK)).with_name("schemathesis")
    except BenchError as error:
        sys.exit(str(error))
    identities = tuple(arguments.identity or IDENTITIES)
    plan = Plan(program, arguments.examples, arguments.seed, identities, tuple(more))
    _say(f"{plan.examples} examples an operation, seed {plan.seed}")
    directory = temporary_directory("sluice-fuzz-")
    try:
        with running_servers() as servers:
            came, wrong = asyncio.run(run(servers, directory, plan))
        return _tell(came, wrong)
    finally:
        _keep_logs(directory)
        shutil.rmtree(directory, ignore_errors=True)


def _tell(came: list[Came], wrong: list[str]) -> int:
    """Print what failed and a table; return the exit status."""
    for each in came:
        if each.exit_status:
            _print("".join(FAILURES.findall(each.log.read_text())) or each.log.read_text()[-3_000:])
    _print("| identity | operations | requests | 2xx | 4xx | 5xx | failed checks |")
    _print("|---|---:|---:|---:|---:|---:|---:|")
    for each in came:
        _print(_row(each))
    for line in (*_failed(came), *wrong):
        _print(f"wrong: {line}")
    return 1 if wrong or any(each.exit_status or not each.statuses for each in came) else 0


def _row(came: Came) -> str:
    kinds = Counter[str]()
    for counts in came.statuses.values():
        for status, count in counts.items():
            kinds[status[0]] += count
    cells = (
        came.identity,
        len(came.statuses),
        kinds.total(),
        kinds["2"],
        kinds["4"],
        kinds["5"],
        sum(came.failed.values()),
    )
    return f"| {' | '.join(map(str, cells))} |"  # fmt: skip


def _failed(came: list[Came]) -> Iterator[str]:
    for each in came:
        for what, times in sorted(each.failed.items()):
            yield f"{each.identity}: {what} ({times})"


def _keep_logs(directory: Path) -> None:
    """Keep the logs of this run, and of no other."""
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    for log in directory.glob("*.log"):
        shutil.copy(log, KEPT)
    _say(f"logs: {KEPT}")


def _print(line: str) -> None:
    print(line)  # noqa: T201  what the program is for


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  progress


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.fuzz", description=main.__doc__, epilog="Other options are schemathesis' own."
    )
    parser.add_argument("--examples", type=int, default=300, help="of each operation (%(default)s)")
    parser.add_argument("--seed", type=int, default=randrange(2**31), help="which (by default any)")
    parser.add_argument("--identity", action="append", choices=IDENTITIES, help="only this one; default: all")
    return parser


if __name__ == "__main__":
    sys.exit(main())

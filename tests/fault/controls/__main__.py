"""`python -m tests.fault.controls`: remove one guard at a time, and see whether the verdict of a fault run notices.

Each guard is measured twice under the same faults: in place, where all has to be good, and removed, where it must not
be. A guard that a single test watches is tried with that test. Exits with 1 if anything is otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from infra.local.run_as import temporary_directory
from infra.local.servers import Servers
from tests.fault.chaos.checker import Verdict
from tests.fault.chaos.docs_page import PAGE, read_section, replace_section
from tests.fault.chaos.run import run
from tests.fault.controls.guards import GUARDS, Cut, Guard
from tests.fault.controls.mutants import MUTANTS, Mutant, noticed
from tests.fault.controls.tree import copy_product
from tests.support.servers import empty, running_servers

HEAD = ["| removed | with it | without it | |", "|---|---|---|---|"]


class GuardResult(NamedTuple):
    """The verdict with a guard in place (None: not asked), and without it."""

    guard: Guard
    intact: Verdict | None
    removed: Verdict

    @property
    def proves(self) -> bool:
        """Tell whether the verdicts differ as they should."""
        intact = self.intact is None or self.intact.good
        return intact and bool(self.guard.shown_by & self.removed.violations.counts.keys())


def main() -> int:
    """Return the exit status: 0 if the absence of every guard was noticed."""
    arguments = _parser().parse_args()
    guards = [each for each in GUARDS if all(word in each.name for word in arguments.words)]
    mutants = [each for each in MUTANTS if all(word in each.name for word in arguments.words)]
    if arguments.list:
        _say("\n".join([*(each.name for each in guards), *(each.name for each in mutants)]))
        return 0
    directory = temporary_directory("sluice-controls-")
    try:
        rows, good = _rows(guards, mutants, directory, arguments.quick)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if arguments.record:
        replace_section(PAGE, "controls", "\n".join(HEAD + merge_rows(read_section(PAGE, "controls"), rows)))
    print("\n".join(HEAD + rows))  # noqa: T201  what the program is for
    return 0 if good else 1


def _rows(
    guards: Sequence[Guard], mutants: Sequence[Mutant], directory: Path, quick: bool
) -> tuple[list[str], bool]:
    """Return a row for everything that was removed, and whether all of it was noticed."""
    seen = []
    if guards:
        with running_servers() as servers:
            seen = asyncio.run(_all(guards, servers, directory, quick))
    tested = [(mutant, noticed(mutant, directory / mutant.name.replace(" ", "-"))) for mutant in mutants]
    for each in tested:
        _say(_mutant_row(*each))
    rows = [*map(_row, seen), *(_mutant_row(*each) for each in tested)]
    return rows, all(each.proves for each in seen) and all(good for _, good in tested)


def merge_rows(table: str, rows: Sequence[str]) -> list[str]:
    """Return the rows of an earlier table with these in their places, for guards that still exist."""
    latest = {row.split(" | ")[0].removeprefix("| "): row for row in [*table.splitlines(), *rows]}
    return [latest[each.name] for each in (*GUARDS, *MUTANTS) if each.name in latest]


async def _all(guards: Iterable[Guard], servers: Servers, directory: Path, quick: bool) -> list[GuardResult]:
    seen = []
    for number, guard in enumerate(guards):
        place = directory / str(number)
        intact = None if quick else await _verdict(guard, guard.also_removed, servers, place / "intact")
        removed = await _verdict(guard, (*guard.also_removed, *guard.cuts), servers, place / "removed")
        seen.append(GuardResult(guard, intact, removed))
        _say(_row(seen[-1]))
    return seen


async def _verdict(guard: Guard, cuts: Iterable[Cut], servers: Servers, place: Path) -> Verdict:
    servers.up()
    await empty(servers)
    root = copy_product(place, cuts)
    return (await run(guard.plan, servers, root, _quiet, root)).verdict


def _row(seen: GuardResult) -> str:
    intact = "not asked" if seen.intact is None else _describe(seen.intact)
    return f"| {seen.guard.name} | {intact} | {_describe(seen.removed)} | {'seen' if seen.proves else 'NOT SEEN'} |"


def _mutant_row(mutant: Mutant, good: bool) -> str:
    names = ", ".join(
        test.rpartition("/")[2].removesuffix(".py").rpartition("::")[2] for test in mutant.tests
    )
    return f"| {mutant.name} | good | `{names}` | {'seen' if good else 'NOT SEEN'} |"


def _describe(verdict: Verdict) -> str:
    return (
        ", ".join(f"{name}: {count}" for name, count in sorted(verdict.violations.counts.items())) or "good"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  progress


def _quiet(_: str) -> None:
    """Report nothing but verdicts."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.fault.controls", description="Remove guards, and see that it is noticed."
    )
    parser.add_argument("words", nargs="*", help="only guards whose name has these words")
    parser.add_argument("--quick", action="store_true", help="do not run with the guard in place")
    parser.add_argument(
        "--record", action="store_true", help=f"put the rows into the table of {PAGE} as well"
    )
    parser.add_argument("--list", action="store_true", help="only name the guards")
    return parser


if __name__ == "__main__":
    sys.exit(main())

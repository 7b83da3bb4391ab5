"""`python -m tests.fault.controls`: remove one guard at a time, and see that the account of a fault run notices.

Each guard is measured twice under the same faults: in place, where all has to be good, and removed, where it must not
be. What a single test watches is tried with that test. Exit status 1 where anything is otherwise.
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
from tests.fault.chaos.docs_page import PAGE, put, shown
from tests.fault.chaos.run import run
from tests.fault.controls.guards import GUARDS, Cut, Guard
from tests.fault.controls.mutants import MUTANTS, Mutant, noticed
from tests.fault.controls.tree import copied
from tests.support.servers import empty, running_servers

HEAD = ["| removed | with it | without it | |", "|---|---|---|---|"]


class Seen(NamedTuple):
    """What the account said with a guard in place (None: not asked), and without it."""

    guard: Guard
    intact: Verdict | None
    removed: Verdict

    @property
    def proves(self) -> bool:
        """The account tells the one from the other."""
        intact = self.intact is None or self.intact.good
        return intact and bool(self.guard.shows & self.removed.wrongs.counts.keys())


def main() -> int:
    """Exit status: 0 where the absence of every guard was noticed."""
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
        put(PAGE, "controls", "\n".join(HEAD + renewed(shown(PAGE, "controls"), rows)))
    print("\n".join(HEAD + rows))  # noqa: T201  what the program is for
    return 0 if good else 1


def _rows(
    guards: Sequence[Guard], mutants: Sequence[Mutant], directory: Path, quick: bool
) -> tuple[list[str], bool]:
    """A line for everything that was removed, and whether all of it was noticed."""
    seen = []
    if guards:
        with running_servers() as servers:
            seen = asyncio.run(_all(guards, servers, directory, quick))
    tested = [(mutant, noticed(mutant, directory / mutant.name.replace(" ", "-"))) for mutant in mutants]
    for each in tested:
        _say(_tested_row(*each))
    rows = [*map(_row, seen), *(_tested_row(*each) for each in tested)]
    return rows, all(each.proves for each in seen) and all(good for _, good in tested)


def renewed(table: str, rows: Sequence[str]) -> list[str]:
    """The rows of an earlier table with these in their places, as far as there still are such guards."""
    latest = {row.split(" | ")[0].removeprefix("| "): row for row in [*table.splitlines(), *rows]}
    return [latest[each.name] for each in (*GUARDS, *MUTANTS) if each.name in latest]


async def _all(guards: Iterable[Guard], servers: Servers, directory: Path, quick: bool) -> list[Seen]:
    seen = []
    for number, guard in enumerate(guards):
        place = directory / str(number)
        intact = None if quick else await _verdict(guard, guard.beside, servers, place / "intact")
        removed = await _verdict(guard, (*guard.beside, *guard.cuts), servers, place / "removed")
        seen.append(Seen(guard, intact, removed))
        _say(_row(seen[-1]))
    return seen


async def _verdict(guard: Guard, cuts: Iterable[Cut], servers: Servers, place: Path) -> Verdict:
    servers.up()
    await empty(servers)
    root = copied(place, cuts)
    return (await run(guard.plan, servers, root, _quiet, root)).verdict


def _row(seen: Seen) -> str:
    intact = "not asked" if seen.intact is None else _told(seen.intact)
    return (
        f"| {seen.guard.name} | {intact} | {_told(seen.removed)} | {'seen' if seen.proves else 'NOT SEEN'} |"
    )


def _tested_row(mutant: Mutant, good: bool) -> str:
    names = ", ".join(
        test.rpartition("/")[2].removesuffix(".py").rpartition("::")[2] for test in mutant.tests
    )
    return f"| {mutant.name} | good | `{names}` | {'seen' if good else 'NOT SEEN'} |"


def _told(verdict: Verdict) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(verdict.wrongs.counts.items())) or "good"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  progress


def _quiet(_: str) -> None:
    """Only verdicts are told."""


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

"""`python -m sluice.adapters.postgres.verify`: is the record as it must be? Asks a live one, changes nothing.

Exit status 0 where every invariant holds, 1 where one does not, 2 where the record could not be asked.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

import orjson
from rich.console import Console
from rich.table import Table

from sluice.adapters.postgres.verifier import Check, PostgresVerifier
from sluice.core.errors import TryAgain
from sluice.core.ports import Finding
from sluice.core.runtime.settings import load_settings
from sluice.errors import SluiceError


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, show, and return the exit status."""
    asked = _parser().parse_args(arguments)
    try:
        settings = load_settings()
        verifier = PostgresVerifier(settings.postgres_url.get_secret_value(), settings)
        found = asyncio.run(_verify(verifier, asked.newest, asked.seconds))
    except SluiceError as error:
        hint = "; --newest 100000 looks at less, --seconds 600 waits longer" * isinstance(error, TryAgain)
        print(f"sluice: could not ask: {error}{hint}", file=sys.stderr)  # noqa: T201  the command's answer
        return 2
    show = _show_json if asked.json else _show
    show(found, verifier.checks)
    return int(any(each.offenders for each in found))


async def _verify(verifier: PostgresVerifier, newest: int | None, check_s: float) -> list[Finding]:
    return [found async for found in verifier.findings(newest, check_s)]


def _show(found: Sequence[Finding], checks: dict[str, Check]) -> None:
    """A row per check; of those that are violated, what it means, what to do, and some offenders."""
    console = Console()
    table = Table("check", "found", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for each in found:
        table.add_row(each.check, str(each.offenders), style="bold red" if each.offenders else "")
    console.print(table)
    for each in found:
        if each.offenders:
            check = checks[each.check]
            console.print(
                f"\n[bold red]{each.check}[/]: {check.means}\n[bold]Do:[/] {check.do}", highlight=False
            )
            console.print("\n".join(f"  {line}" for line in each.samples), highlight=False, markup=False)
    violated = sum(each.offenders > 0 for each in found)
    console.print(f"\n{len(found)} invariants, {violated} violated", highlight=False)


def _show_json(found: Sequence[Finding], checks: dict[str, Check]) -> None:
    body = [
        {
            "check": each.check,
            "count": each.offenders,
            "samples": each.samples,
            "means": checks[each.check].means,
            "do": checks[each.check].do,
        }
        for each in found
    ]
    print(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())  # noqa: T201  the command's answer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m sluice.adapters.postgres.verify", description="Verify the invariants of a live record."
    )
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--newest",
        type=_count,
        metavar="N",
        help="of finished jobs, look at the last N that came (default: all)",
    )
    parser.add_argument(
        "--seconds",
        type=_count,
        default=60,
        metavar="S",
        help="longest time for one check (default: %(default)s)",
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_000_000_000:
        raise argparse.ArgumentTypeError("a number from 1 to 1000000000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

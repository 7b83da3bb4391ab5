"""`sluice migrate` and `sluice verify`: update the schema of the record, and check its invariants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.cli.usage import examples
from sluice.errors import SluiceError

if TYPE_CHECKING:
    from sluice.adapters.postgres.verifier import PostgresVerifier
    from sluice.core.ports import Finding

MIGRATE = examples("sluice migrate")
VERIFY = examples(
    "sluice verify",
    "sluice verify --newest 100000 --json",
    status={0: "every invariant holds", 1: "one does not", 2: "the record could not be checked"},
)
_MOST = 1_000_000_000


def migrate() -> None:
    """Migrate the schema to this release.

    It migrates the database of SLUICE_POSTGRES_URL, and prints its revision. Running it again, or several times at once, does no harm. Run it before the processes of a new release start.
    """
    import asyncio

    from sluice.adapters.postgres.migrate import migrate
    from sluice.core.runtime.load_settings import load_settings

    url = load_settings().postgres_url.get_secret_value()
    typer.echo(f"record at revision {asyncio.run(migrate(url))}")


def verify(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines")] = False,
    newest: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=_MOST,
            help="Check finished jobs only among the newest N (default: all)",
        ),
    ] = None,
    seconds: Annotated[
        int, typer.Option(metavar="S", min=1, max=_MOST, help="Time limit of each check, in seconds")
    ] = 60,
) -> int:
    """Check every invariant of a live record.

    It changes nothing. For each violated invariant it prints what that means, what to do, and some offenders.
    """
    verifier, found = _ask(newest, seconds)
    show = _show_json if as_json else _show
    show(found, verifier)
    return int(any(each.offenders for each in found))


def _ask(newest: int | None, check_s: int) -> tuple[PostgresVerifier, list[Finding]]:
    import asyncio

    from sluice.adapters.postgres.verifier import PostgresVerifier
    from sluice.core.errors import TryAgain
    from sluice.core.runtime.load_settings import load_settings

    try:
        settings = load_settings()
        verifier = PostgresVerifier(settings.postgres_url.get_secret_value(), settings)
        return verifier, asyncio.run(verifier.verify(newest, check_s))
    except SluiceError as error:
        hint = "; --newest 100000 looks at less, --seconds 600 waits longer" * isinstance(error, TryAgain)
        raise SluiceError(f"could not ask: {error}{hint}") from error


def _show(found: Sequence[Finding], verifier: PostgresVerifier) -> None:
    """Print a row per check; for violated ones also what that means, what to do, and some offenders."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("check", "found", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for each in found:
        table.add_row(each.check, str(each.offenders), style="bold red" if each.offenders else "")
    console.print(table)
    for each in found:
        if each.offenders:
            check = verifier.checks[each.check]
            console.print(
                f"\n[bold red]{each.check}[/]: {check.means}\n[bold]Do:[/] {check.do}", highlight=False
            )
            console.print("\n".join(f"  {line}" for line in each.samples), highlight=False, markup=False)
    violated = sum(each.offenders > 0 for each in found)
    console.print(f"\n{len(found)} invariants, {violated} violated", highlight=False)


def _show_json(found: Sequence[Finding], verifier: PostgresVerifier) -> None:
    body = [
        {
            "check": each.check,
            "count": each.offenders,
            "samples": each.samples,
            "means": verifier.checks[each.check].means,
            "do": verifier.checks[each.check].do,
        }
        for each in found
    ]
    typer.echo(json.dumps(body, indent=2, ensure_ascii=False))

"""`sluice keys`: create, list and revoke API keys."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from sluice.cli.usage import Tenant, examples, tell
from sluice.core.access import KEY_NAME, SCOPES

app = typer.Typer(rich_markup_mode=None, help="Create, list and revoke API keys. It needs only PostgreSQL.")


def _checked_scopes(text: str) -> str:
    if not set(text.split(",")) <= set(SCOPES):
        raise typer.BadParameter(f"scopes are of {', '.join(SCOPES)}, separated by commas")
    return text


def _checked_name(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(KEY_NAME, text):
        raise typer.BadParameter("a name is 1 to 64 letters, digits, spaces and . _ @ / : -")
    return text


@app.command(
    epilog=examples(
        "sluice keys create --tenant acme",
        "sluice keys create --tenant acme --scopes submit,read,payloads,admin --expires-days 30",
        "sluice keys create --tenant operators --scopes operate",
    )
)
def create(
    tenant: Tenant,
    scopes: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            callback=_checked_scopes,
            help=f"What the key allows, separated by commas: {', '.join(SCOPES)} (results and inputs: payloads; keys, schedules, tracebacks: admin; the lanes, which all tenants share: operate)",
        ),
    ] = "submit,read,payloads",
    expires_days: Annotated[
        int | None,
        typer.Option(metavar="DAYS", min=1, max=36_500, help="Days until it expires (default: never)"),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", callback=_checked_name, help="What it is for")
    ] = None,
) -> None:
    """Create a key and print it, this once.

    The record keeps only a hash of it, so it cannot be shown again.
    """
    from api.keys.admin import create_key

    tell(create_key, tenant, frozenset(scopes.split(",")), expires_days, name)


@app.command("list", epilog=examples("sluice keys list"))
def list_() -> None:
    """Print every key, newest first, without secrets."""
    from api.keys.admin import list_keys

    tell(list_keys)


@app.command(epilog=examples("sluice keys revoke 2r8Pi8FrTJgt"))
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `sluice keys list` shows it")],
) -> None:
    """Revoke a key; within a minute every process refuses it."""
    from api.keys.admin import revoke_key

    tell(revoke_key, key_id)


@app.command(epilog=examples("sluice keys peppers"))
def peppers() -> None:
    """Print how many good keys and webhooks hang on each pepper, so that an old one can be dropped."""
    from api.keys.admin import count_peppers

    tell(count_peppers)

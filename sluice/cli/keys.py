"""`sluice keys`: API keys, those of the tenant over the API, and those of all tenants in the record itself."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from sluice.cli import views
from sluice.cli.arguments import plain_name, seconds
from sluice.cli.client_word import Session, client_word, print_secret, usage
from sluice.cli.profiles import ConfigurationRefused
from sluice.cli.suggestions import suggest
from sluice.cli.usage import examples, tell
from sluice.core.access import KEY_NAME, SCOPES

SOME = "2r8Pi8FrTJgt"
app = typer.Typer(
    rich_markup_mode=None,
    help="Create, list, rotate and revoke API keys.\n\nOver the API they are those of the tenant, and the scope admin is needed. "
    "--record and --tenant are for operators: they go to the record itself, and need PostgreSQL instead of a key.",
)
Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        parser=plain_name,
        autocompletion=suggest("keys"),
        help="Its id, as `sluice keys list` shows it",
    ),
]
Record = Annotated[
    bool, typer.Option("--record", help="In the record itself, of whichever tenant: for operators")
]


def _checked_tenant(text: str | None) -> str | None:
    if text is not None and not re.fullmatch("[a-z0-9_-]{1,64}", text):
        raise typer.BadParameter("a tenant is 1 to 64 of a-z 0-9 _ -")
    return text


def _checked_scopes(text: str) -> str:
    if not set(text.split(",")) <= set(SCOPES):
        raise typer.BadParameter(f"scopes are of {', '.join(SCOPES)}, separated by commas")
    return text


def _checked_name(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(KEY_NAME, text):
        raise typer.BadParameter("a name is 1 to 64 letters, digits, spaces and . _ @ / : -")
    return text


@client_word
def _create(
    session: Session,
    tenant: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=_checked_tenant,
            help="Of this tenant, in the record itself: for operators; 1 to 64 of a-z 0-9 _ -",
        ),
    ] = None,
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

    Only a hash of it is kept, so it cannot be shown again. It permits nothing that the key it is created with does not. --tenant creates it in the record itself, with any scopes: the first key of a tenant is created so.
    """
    if tenant is not None:
        _refuse_ways_to_the_api(session)
        from api.keys.admin import create_key

        tell(create_key, tenant, frozenset(scopes.split(",")), expires_days, name)
        return
    _find_api(session, "--tenant NAME")
    asked = {"scopes": sorted(set(scopes.split(","))), "name": name, "expires_days": expires_days}
    body = {each: value for each, value in asked.items() if value is not None}
    print_secret(session, session.ask("POST", "/v1/keys", body), "key", views.KEY)


@client_word
def _list_all(session: Session, record: Record = False) -> None:
    """Print every key, newest first, without secrets."""
    if record:
        _refuse_ways_to_the_api(session)
        from api.keys.admin import list_keys

        tell(list_keys)
        return
    _find_api(session, "--record")
    session.output.each(session.pages("/v1/keys", "keys", page_size=1_000), views.KEYS)


@client_word
def _rotate(
    session: Session,
    id: Id,
    overlap: Annotated[
        float | None,
        typer.Option(metavar="TIME", parser=seconds, help="How long the old one stays good (default: a day)"),
    ] = None,
) -> None:
    """Put a new key in the place of one, and print it, this once.

    It has the same name and scopes.
    """
    body = {} if overlap is None else {"overlap_s": round(overlap)}
    print_secret(session, session.ask("POST", f"/v1/keys/{id}/rotate", body), "key", views.KEY)


@client_word
def _revoke(
    session: Session,
    id: Id,
    last: Annotated[
        bool, typer.Option("--last", help="Also if no other good key has the scope admin")
    ] = False,
    record: Record = False,
) -> None:
    """Revoke a key; within a minute every process refuses it."""
    if record:
        _refuse_ways_to_the_api(session)
        from api.keys.admin import revoke_key

        tell(revoke_key, id)
        return
    _find_api(session, "--record")
    session.sluice.request("DELETE", f"/v1/keys/{id}", params={"last": True} if last else None)


def _peppers() -> None:
    """Print how many good keys and webhooks hang on each pepper, so that an old one can be dropped.

    It looks into the record itself, for operators.
    """
    from api.keys.admin import count_peppers

    tell(count_peppers)


def _find_api(session: Session, instead: str) -> None:
    """Raise ConfigurationRefused if no server is named, and say what operators may have meant."""
    try:
        session.access()
    except ConfigurationRefused as error:
        raise ConfigurationRefused(f"{error}; {instead} goes to the record itself") from None


def _refuse_ways_to_the_api(session: Session) -> None:
    if session.url or session.profile or session.output.given:
        raise typer.BadParameter(
            "--record and --tenant go to the record itself, where there is no --url, --profile or --output"
        )


app.command(
    "create",
    epilog=usage(
        "sluice keys create --name importer --expires-days 30",
        "sluice keys create --tenant acme --scopes submit,read,payloads,admin",
        "sluice keys create --tenant operators --scopes operate",
    ),
)(_create)
app.command("list", epilog=usage("sluice keys list", "sluice keys list --record"))(_list_all)
app.command("rotate", epilog=usage(f"sluice keys rotate {SOME} --overlap 2d"))(_rotate)
app.command("revoke", epilog=usage(f"sluice keys revoke {SOME}", f"sluice keys revoke {SOME} --record"))(
    _revoke
)
app.command("peppers", epilog=examples("sluice keys peppers"))(_peppers)

"""`sluice login` keeps the address of a server and the key for it; `sluice profile` shows and removes what is kept."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from sluice.cli import views
from sluice.cli.client_word import Session, client_word, usage
from sluice.cli.configuration import Access, check_url
from sluice.cli.profiles import (
    DEFAULT,
    ConfigurationRefused,
    Profile,
    Profiles,
    read_profiles,
    write_profiles,
)
from sluice.cli.scopes import find_scopes
from sluice.cli.suggestions import suggest_profiles

LOGIN = usage(
    "sluice login --url https://sluice.example",
    "sluice login --url https://sluice.example --profile staging <key.txt",
)
PROFILE = usage("sluice profile", "sluice profile remove staging")


@client_word
def login(session: Session) -> None:
    """Check a key, and keep it with the address of the server.

    They are kept as the profile default, or under the name of --profile. The key is asked for, or read from stdin: an option could be seen by others. Only you can read the file it is kept in.
    """
    if not session.url:
        raise typer.BadParameter("--url URL says which server to log in to")
    url, name = check_url(session.url), session.profile or DEFAULT
    kept = read_profiles()
    session.use(Access(url, _ask_for_key(url), "--url", "login"))
    scopes = find_scopes(session)
    file = write_profiles(Profiles({**kept.named, name: Profile(url, session.access().key)}))
    session.note(f"the key permits: {', '.join(scopes) or 'nothing'}; kept in {file} as {name}")


@client_word
def profile(
    session: Session,
    act: Annotated[
        Literal["remove"] | None, typer.Argument(metavar="[remove]", help="What to do with NAME")
    ] = None,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", autocompletion=suggest_profiles, help="Name of a profile")
    ] = None,
) -> None:
    """Show or remove what `sluice login` has kept."""
    kept = read_profiles()
    if act is None:
        found = ({"name": each, "url": kept.named[each].url} for each in sorted(kept.named))
        session.output.each(found, views.PROFILES)
        return
    if name not in kept.named:
        raise ConfigurationRefused(
            f"there is no profile {name!r}; there are: {', '.join(sorted(kept.named)) or 'none'}"
        )
    write_profiles(Profiles({each: kept.named[each] for each in kept.named if each != name}))


def _ask_for_key(url: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(f"API key for {url}", hide_input=True, err=True)).strip()
    key = sys.stdin.readline(1_024).strip()
    if not key:
        raise typer.BadParameter("stdin has no key")
    return key

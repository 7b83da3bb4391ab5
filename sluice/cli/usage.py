"""What the subcommands share: the form of their help, and how an answer is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import typer

from sluice.core.taken_names import OURS, refuse_what_hides_us

if TYPE_CHECKING:
    from sluice.core.runtime.settings import Settings

P = ParamSpec("P")

DONE_OR_REFUSED = {
    0: "done",
    2: "refused: an argument or a setting is wrong, or PostgreSQL is away; stderr says which",
}


def examples(*lines: str, status: Mapping[int, str] = DONE_OR_REFUSED) -> str:
    """Return the end of a subcommand's help; `\\b` makes typer keep the lines as they are."""
    shown = "\n".join(f"  {line}" for line in lines)
    ends = "\n".join(f"  {number}  {meaning}" for number, meaning in status.items())
    return f"\b\nExamples:\n{shown}\n\n\b\nExit status:\n{ends}"


def tell(
    answer: Callable[Concatenate[Settings, P], Coroutine[Any, Any, str]], *args: P.args, **kwargs: P.kwargs
) -> None:
    """Print what this returns, given the settings of the environment. Raises SluiceError."""
    import asyncio  # a tenth of what it takes to show help

    from sluice.core.runtime.load_settings import load_settings

    typer.echo(asyncio.run(answer(load_settings(), *args, **kwargs)))


def add_working_directory() -> None:
    """Let modules be found in the working directory, before all others. Raises StartRefused if one hides ours.

    Our own tree comes last: it has packages whose names users may use too, such as `tests`.
    """
    here = Path.cwd()
    sys.path.insert(len(sys.path) if here.resolve() == OURS else 0, str(here))
    refuse_what_hides_us()

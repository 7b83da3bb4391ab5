"""`sluice completion`: what makes a shell complete words, options and values."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sluice.cli.usage import examples

COMPLETE = "_SLUICE_COMPLETE"
"""The variable in which a shell asks for what may come next."""
COMPLETION = examples(
    "sluice completion bash >~/.local/share/bash-completion/completions/sluice",
    'sluice completion zsh >"${fpath[1]}/_sluice"',
    "sluice completion fish >~/.config/fish/completions/sluice.fish",
    status={0: "done", 2: "there is nothing for this shell"},
)


def completion(
    shell: Annotated[
        Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish")
    ],
) -> None:
    """Print what makes a shell complete words and options."""
    from typer._completion_shared import (
        get_completion_script,
    )  # what --show-completion prints for the shell it runs in

    typer.echo(get_completion_script(prog_name="sluice", complete_var=COMPLETE, shell=shell))

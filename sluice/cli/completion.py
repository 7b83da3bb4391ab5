"""`sluice completion`: what makes a shell complete words, options and values."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sluice.cli.usage import examples

COMPLETE = "_SLUICE_COMPLETE"
"""The variable in which a shell asks for what may come next."""
OF_ZSH = """\
if [[ ${funcstack[1]} = _sluice ]]; then _sluice_completion; fi
"""
"""What answers the first Tab, at which zsh has only just loaded the script as the function that its file is called after."""
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

    script = get_completion_script(prog_name="sluice", complete_var=COMPLETE, shell=shell)
    typer.echo(f"{script}\n\n{OF_ZSH}" if shell == "zsh" else script, nl=shell != "zsh")

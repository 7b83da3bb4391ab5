"""`sluice api` and `sluice consumer` start the processes; `sluice settings` and `sluice probe` help to run them."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice.cli.usage import add_working_directory, examples

_STARTED = {
    0: "stopped after SIGTERM or SIGINT",
    2: "refused: a setting, a handler or a server is wrong; stderr says which",
}
API = examples("sluice api", "SLUICE_HANDLERS=jobs.shout SLUICE_API_PORT=9000 sluice api", status=_STARTED)
CONSUMER = examples(
    "sluice consumer",
    "SLUICE_HANDLERS=jobs.shout SLUICE_SERVE_LANES=heavy sluice consumer",
    "SLUICE_HANDLERS=jobs.shout sluice consumer --debug",
    status=_STARTED,
)
CHECK = examples(
    "sluice check",
    "SLUICE_HANDLERS=jobs.shout sluice check",
    status={
        0: "both processes would start",
        2: "refused: a setting or a handler is wrong; stderr says which",
    },
)
SETTINGS = examples("sluice settings >.env", status={0: "done"})
PROBE = examples(
    "sluice probe http://127.0.0.1:8001/readyz",
    status={0: "it answered 200", 1: "it answered anything else, or not within 2 s", 2: "this is not an address"},
)  # fmt: skip


def api() -> int:
    """Answer HTTP until SIGTERM.

    A second SIGTERM does not wait for open requests. It reads the SLUICE_* variables and the file .env, and finds the modules of SLUICE_HANDLERS in the working directory.
    """
    add_working_directory()
    from api.serving import main

    return main()


def consumer(
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Run handlers in this process, where breakpoint() works, one at a time"),
    ] = False,
) -> int:
    """Run jobs until SIGTERM.

    It reads the SLUICE_* variables and the file .env, and finds the modules of SLUICE_HANDLERS in the working directory.
    """
    add_working_directory()
    from consumer.serving import main

    return main(debug)


def check() -> None:
    """Judge settings and handlers before a start.

    It does what both processes do at their start, connects to no server and opens no port. It reads the SLUICE_* variables and the file .env, and finds the modules of SLUICE_HANDLERS in the working directory.
    """
    add_working_directory()
    from consumer.configuration import check_configuration
    from sluice.core.registry import Registry
    from sluice.core.runtime.load_settings import load_settings
    from sluice.host.check import check_modules

    found = load_settings()
    kinds = check_modules(found.handlers, found.start_s)
    check_configuration(found, Registry(kinds))
    typer.echo(f"settings are good, and {len(kinds)} kinds load: {', '.join(each.kind for each in kinds)}")


def settings() -> None:
    """Print every setting in the form of a .env file.

    Each has its default and a line that says what it does.
    """
    from sluice.core.runtime.settings_example import example

    typer.echo(example(), nl=False)


def probe(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the page: http://HOST:PORT/PATH")],
) -> int:
    """Ask a health page whether it answers 200.

    It prints the page, and waits at most 2 s for it.
    """
    from sluice.adapters.probe import ask

    return ask(url)

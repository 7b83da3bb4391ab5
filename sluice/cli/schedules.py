"""`sluice schedules`: manage cron schedules."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sluice.cli.usage import Tenant, add_working_directory, examples, tell

CATCH_UP = Literal["one", "none", "all"]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name: 1 to 55 of a-z 0-9 . _ -")]

app = typer.Typer(
    rich_markup_mode=None,
    help="Create, list and change cron schedules. Each tick becomes one job, however many consumers there are. "
    "It needs only PostgreSQL.",
)


@app.callback()
def _find_kinds() -> None:
    add_working_directory()  # where the modules of SLUICE_HANDLERS may be


@app.command(
    epilog=examples(
        "sluice schedules create nightly --tenant acme --cron '30 3 * * 1-5' \\",
        "       --timezone Europe/Berlin --kind demo.sum --input '{\"values\": [1, 2]}'",
        "sluice schedules create nightly --tenant acme --cron '0 4 * * *' --kind demo.sum \\",
        "       --input @values.json --options '{\"timeout_s\": 60}' --replace",
    )
)
def create(
    name: Name,
    tenant: Tenant,
    cron: Annotated[
        str,
        typer.Option(
            metavar="EXPR",
            help="Minute, hour, day of month, month, day of week, such as '30 3 * * MON-FRI'; or @daily",
        ),
    ],
    kind: Annotated[str, typer.Option(metavar="KIND", help="The kind of its jobs, such as demo.sum")],
    input: Annotated[str, typer.Option(metavar="JSON", help="Their input: JSON, or @FILE")],
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="IANA time zone in which --cron is read")
    ] = "UTC",
    options: Annotated[
        str,
        typer.Option(
            metavar="JSON",
            help="lane, priority, timeout_s (seconds), max_attempts, deadline_s (seconds), tags: JSON, or @FILE",
        ),
    ] = "{}",
    catch_up: Annotated[
        CATCH_UP,
        typer.Option(help="What missed ticks make: one job for all of them, none, or one job each"),
    ] = "one",
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the schedule of this name, if there is one")
    ] = False,
) -> None:
    """Create a schedule, and print when it fires next."""
    from api.schedules.admin import create_schedule

    given = {"name": name, "cron": cron, "timezone": timezone, "kind": kind, "catch_up": catch_up}
    tell(create_schedule, tenant, given | {"input": input, "options": options}, replace)


@app.command("list", epilog=examples("sluice schedules list --tenant acme"))
def list_(tenant: Tenant) -> None:
    """Print every schedule of a tenant, by name."""
    from api.schedules.admin import list_schedules

    tell(list_schedules, tenant)


@app.command(epilog=examples("sluice schedules show nightly --tenant acme"))
def show(name: Name, tenant: Tenant) -> None:
    """Print one schedule with its input, as JSON."""
    from api.schedules.admin import show_schedule

    tell(show_schedule, tenant, name)


@app.command(epilog=examples("sluice schedules pause nightly --tenant acme"))
def pause(name: Name, tenant: Tenant) -> None:
    """Pause a schedule: it makes no jobs until it is resumed."""
    from api.schedules.admin import pause_schedule

    tell(pause_schedule, tenant, name)


@app.command(epilog=examples("sluice schedules resume nightly --tenant acme"))
def resume(name: Name, tenant: Tenant) -> None:
    """Resume a schedule, from its next tick on."""
    from api.schedules.admin import resume_schedule

    tell(resume_schedule, tenant, name)


@app.command(epilog=examples("sluice schedules run nightly --tenant acme"))
def run(name: Name, tenant: Tenant) -> None:
    """Make one job now, paused or not, and print its id."""
    from api.schedules.admin import run_schedule

    tell(run_schedule, tenant, name)


@app.command(epilog=examples("sluice schedules delete nightly --tenant acme"))
def delete(name: Name, tenant: Tenant) -> None:
    """Delete a schedule; its jobs stay."""
    from api.schedules.admin import delete_schedule

    tell(delete_schedule, tenant, name)

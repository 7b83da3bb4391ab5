"""`python -m loadtests.bench`: measure the product on fresh servers, over HTTP, beside programs to compare it with.

Everything is measured once a round, in turns, so that whatever else the machine does affects all of it alike; the
table shows medians. A missed target still exits with 0: a measurement is no test.
"""

from __future__ import annotations

import argparse
import io
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loadtests.bench import machine, processes, table
from loadtests.bench.generator import BenchError
from loadtests.bench.overload import OverloadPlan
from loadtests.bench.peer_processes import peers_running
from loadtests.bench.plan import Plan
from loadtests.bench.polling import PollingPlan
from loadtests.bench.product import Product, product_running
from loadtests.bench.queue_plan import QueuePlan, dramatiq_running
from loadtests.bench.steps import Step

FEWEST_ROUNDS = 3
PAUSE_S = 0.2
"""Seconds between steps, for what a step left behind to end."""


class Size(NamedTuple):
    """How many rounds, how long a step lasts, and after how many seconds no further round begins."""

    rounds: int
    step_s: float
    limit_s: float


USUAL, QUICK = Size(5, 2.5, 185.0), Size(FEWEST_ROUNDS, 0.5, 35.0)


def main() -> int:
    """Return the exit status: 1 if nothing could be measured."""
    arguments = _parser().parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a mark that a terminal cannot show ends nothing
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=160)
    signal.signal(signal.SIGTERM, _end)
    try:
        _bench(console, QUICK if arguments.quick else USUAL, arguments.table, arguments.record)
    except (BenchError, OSError) as error:
        console.print(f"bench: {error}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _bench(console: Console, size: Size, name: str, record: Path | None) -> None:
    load_before = machine.load_average()
    console.print("starting servers, api, consumer …", style="dim")
    with product_running() as product, _PLANS[name](product) as plan:
        rounds = _rounds(console, plan.steps, size)
    facts = machine.describe(product.versions, load_before)
    table.show(console, facts, plan.figures)
    if not processes.AVAILABLE:
        console.print("This system has no /proc: processor time and memory are left out.")
    if record:
        text = table.markdown(facts, rounds, plan.figures)
        table.record(record, name, text)


@contextmanager
def _beside_baselines(product: Product) -> Iterator[Plan]:
    """Run the programs to compare it with."""
    with peers_running(product) as peers:
        with product.second_api_running():  # and stopped from here on
            plan = Plan(product, peers)
        yield plan


@contextmanager
def _beside_queues(product: Product) -> Iterator[QueuePlan]:
    """Run another job queue."""
    product.stop_second_api()
    with dramatiq_running(product) as peer:
        yield QueuePlan(product, peer)


@contextmanager
def _polled(product: Product) -> Iterator[PollingPlan]:
    """Run it alone."""
    yield PollingPlan(product)


@contextmanager
def _overloaded(product: Product) -> Iterator[OverloadPlan]:
    """Run it alone."""
    yield OverloadPlan(product)


_PLANS: Mapping[
    str, Callable[[Product], AbstractContextManager[Plan | QueuePlan | PollingPlan | OverloadPlan]]
] = {
    "figures": _beside_baselines,
    "peers": _beside_queues,
    "polling": _polled,
    "overload": _overloaded,
}
"""What is measured, by the name of its table in docs/performance.md."""


def _rounds(console: Console, steps: list[Step], size: Size) -> int:
    """Measure round after round, every other one backwards; return how many there was time for."""
    began = time.monotonic()
    with _progress(console) as progress:
        task = progress.add_task("", total=size.rounds * len(steps))
        for number in range(size.rounds):
            for step in steps[:: -1 if number % 2 else 1]:
                progress.update(task, description=step.name)
                step.run(size.step_s)
                progress.advance(task)
                time.sleep(PAUSE_S)
            spent, done = time.monotonic() - began, number + 1
            if not console.is_terminal:
                console.print(f"round {done} of {size.rounds}: {spent:.0f} s", style="dim")
            if done >= FEWEST_ROUNDS and spent * (done + 1) / done > size.limit_s:
                break
    return done


def _progress(console: Console) -> Progress:
    return Progress(
        BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip


def _end(*_: object) -> NoReturn:
    raise SystemExit(143)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m loadtests.bench", description="Measure the product.")
    parser.add_argument("--quick", action="store_true", help="about a minute, less exact")
    which = parser.add_mutually_exclusive_group()
    for table_name, words in (
        ("peers", "beside dramatiq, and nothing else"),
        ("polling", "how often clients ask that keep to the advice, and nothing else"),
        ("overload", "what becomes of three times as many submits as can be done, and nothing else"),
    ):
        which.add_argument(
            f"--{table_name}",
            action="store_const",
            dest="table",
            const=table_name,
            default="figures",
            help=words,
        )
    parser.add_argument(
        "--record", type=Path, nargs="?", const=Path("docs/performance.md"), metavar="FILE",
        help="write the table into this file too (default: %(const)s)",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.fault.chaos`: break everything under load, and report whether every promise was kept.

Exits with 1 if one was broken; the report says which, and `--seed` repeats the same faults.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.local.run_as import temporary_directory
from infra.local.servers import Servers
from loadtests.bench.machine import load_average
from tests.fault.chaos import report
from tests.fault.chaos.docs_page import PAGE, replace_section
from tests.fault.chaos.run import Plan, run
from tests.fault.chaos.schedule import (
    CLUSTER,
    FAILOVER,
    FULL,
    HOSTS,
    SHORT,
    WITH_SPARES,
    ProcessCounts,
    kinds,
    repeated,
)
from tests.support.redundant_servers import RedundantServers
from tests.support.servers import running_servers

MIXES: Mapping[str, Mapping[str, int]] = {
    "full": FULL, "hosts": HOSTS, "short": SHORT, "failover": FAILOVER, "cluster": CLUSTER,
}  # fmt: skip
REPORTS = Path(".local/fault")
SOAK_S, SOAK_TIMES = 3_600.0, 10


def main() -> int:
    """Return the exit status: 0 if every promise was kept."""
    arguments = _parser().parse_args()
    plan = _plan(arguments)
    _say(
        f"seed {plan.seed}: {len(plan.faults)} faults in {plan.seconds:.0f} s, {plan.rate:.0f} clients a second"
    )
    if arguments.dry:
        print(*plan.faults, sep="\n")  # noqa: T201  what was asked for
        return 0
    directory = temporary_directory("sluice-fault-")
    try:
        return _run(plan, directory, arguments)
    finally:
        if arguments.keep:
            _say(f"logs and ledger: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def _plan(arguments: argparse.Namespace) -> Plan:
    if arguments.soak:
        return Plan(
            arguments.seed,
            SOAK_S,
            repeated(FULL, SOAK_TIMES),
            arguments.rate,
            ProcessCounts(spared=1),
            told=True,
        )
    told = WITH_SPARES.isdisjoint(arguments.faults)  # its subscriber knows one address of RabbitMQ
    return Plan(
        arguments.seed, arguments.seconds, arguments.faults, arguments.rate, arguments.fleet, told=told
    )


def _run(plan: Plan, directory: Path, arguments: argparse.Namespace) -> int:
    load_before, patience = load_average(), arguments.patience
    make = Servers if WITH_SPARES.isdisjoint(plan.mix) else RedundantServers
    with running_servers(make) as servers:
        where = report.facts(servers, load_before)
        outcome = asyncio.run(run(plan, servers, directory, _say))
    path = report.write(outcome, where, arguments.report, patience)
    if arguments.record:
        replace_section(PAGE, "soak" if arguments.soak else _release(where), path.read_text())
    print(path.read_text())  # noqa: T201  the report is what the program is for
    _say(f"seed {plan.seed}: {report.verdict(outcome, patience)}; {path}")
    return 0 if report.kept(outcome, patience) else 1


def _release(where: Mapping[str, str]) -> str:
    """Return `RabbitMQ 3`, or whichever release the servers are."""
    found = re.search(r"RabbitMQ \d+", where["servers"])
    assert found is not None, where
    return found[0]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  progress


def _mix(text: str) -> Mapping[str, int]:
    """Parse `full`, `hosts` and the like, or kinds with their numbers: `api-kill=2,redis-flush=1`."""
    if text in MIXES:
        return MIXES[text]
    parts = (part.partition("=") for part in text.split(","))
    mix = {name: int(number or 1) for name, _, number in parts}
    if unknown := mix.keys() - kinds(ProcessCounts()).keys():
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(sorted(unknown))}")
    return mix


def _fleet(text: str) -> ProcessCounts:
    """Parse `4+8`: so many apis and consumers."""
    apis, _, consumers = text.partition("+")
    return ProcessCounts(int(apis), int(consumers))


OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--seed", {"type": int, "help": "which faults, in which order (default: any)"}),
    ("--seconds", {"type": float, "default": 450.0, "help": "of load (default: %(default)s)"}),
    ("--rate", {"type": float, "default": 160.0, "help": "clients a second (default: %(default)s)"}),
    (
        "--patience",
        {"type": float, "default": 1.0, "help": "stretches promises about time, for a busy machine"},
    ),
    (
        "--report",
        {"type": Path, "default": REPORTS, "metavar": "DIR", "help": "where the report goes (%(default)s)"},
    ),
    (
        "--soak",
        {"action": "store_true", "help": "an hour of the full mix; processes that are spared stay level"},
    ),
    ("--record", {"action": "store_true", "help": f"put the report into its place in {PAGE} as well"}),
    ("--keep", {"action": "store_true", "help": "keep the logs of all processes, and the ledger"}),
    ("--dry", {"action": "store_true", "help": "only print the schedule"}),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m tests.fault.chaos",
        description="Break servers, processes and connections under load, and check that every promise is kept.",
        epilog=f"kinds of faults: {', '.join(kinds(ProcessCounts()))}",
    )
    mix = f"{', '.join(MIXES)}, or KIND=NUMBER,… (default: full)"
    parser.add_argument("--faults", type=_mix, default="full", metavar="MIX", help=mix)
    fleet = "so many apis and consumers (default: 2+3)"
    parser.add_argument("--fleet", type=_fleet, default="2+3", metavar="APIS+CONSUMERS", help=fleet)
    for name, option in OPTIONS:
        parser.add_argument(name, **option)
    parser.set_defaults(seed=secrets.randbelow(10**6))
    return parser


if __name__ == "__main__":
    sys.exit(main())

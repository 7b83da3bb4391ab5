"""One run: start the product, let schemathesis send requests as each identity, and look what is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from infra.local.ports import free_port
from infra.local.servers import Servers
from tests.fault.hostile.run import judge_record
from tests.fuzz.belongings import MARK, Known, make_belongings
from tests.support.stack import Stack, make_a_key

HOOKS = Path(__file__).with_name("hooks.py")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
IDENTITIES = ("none", "other", "valid")
"""No key or one that was made up, the key of a tenant that has nothing, and at last one that may do everything."""
SCOPES = ["submit", "read", "payloads", "admin", "operate"]
SETTINGS: dict[str, object] = {
    "handlers": "sluice.kinds.demo_sum,tests.fuzz.kinds",
    "docs": True,
    "wait_cap_s": 1,
    "event_streams": 0,  # each ends as soon as it has said how things stand
    "failed_auth_rate": "off",
    "webhook_allow": "127.0.0.1/32",
}
PHASES = "examples,coverage,fuzzing,stateful"
FAILED = re.compile(r"^  ❌ (.+): (\d+)$", re.MULTILINE)
"""A line of schemathesis' summary."""
LEFT_OUT = "positive_data_acceptance"
"""Not every request that fits the document can be done: a time may have passed, a name may be taken."""


class Plan(NamedTuple):
    """What schemathesis is asked: its program, examples of an operation, the seed, and further words for it."""

    program: Path
    examples: int
    seed: int
    identities: tuple[str, ...]
    more: tuple[str, ...]


class Came(NamedTuple):
    """What came of one identity: schemathesis' exit status, how often each status of each operation, how often each check failed."""

    identity: str
    exit_status: int
    statuses: dict[str, dict[str, int]]
    failed: dict[str, int]
    log: Path


async def run(servers: Servers, directory: Path, plan: Plan) -> tuple[list[Came], list[str]]:
    """Return what came of each identity, and what else is wrong."""
    with Stack(servers, directory, **SETTINGS) as stack:
        await stack.start()
        keys = {name: await make_a_key(servers, name, SCOPES) for name in ("owner", "other")}
        webhook = f"http://127.0.0.1:{free_port()}/nobody-listens"
        async with stack.client(keys["owner"]) as client:
            known = await make_belongings(client, webhook)
        keys |= {"valid": await make_a_key(servers, "owner", SCOPES)}
        given: dict[str, str | Known] = {"known": known, "webhook": webhook, "mark": MARK}
        came = [
            await asyncio.to_thread(_fuzz, stack.url, directory, plan, identity, keys.get(identity), given)
            for identity in plan.identities
        ]
        wrong = [f"{each.what}: {each.did}" for each in await judge_record(stack)]
        return came, [*wrong, *_judge_logs(stack)]


def _fuzz(
    url: str, directory: Path, plan: Plan, identity: str, key: str | None, given: Mapping[str, str | Known]
) -> Came:
    told, log = directory / f"{identity}.json", directory / f"schemathesis-{identity}.log"
    own_key = key.split("_")[1] if key else ""
    fuzz = {**given, "identity": identity, "own_key": own_key, "told": str(told)}
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), "FUZZ": json.dumps(fuzz)}
    with log.open("wb") as output:
        done = subprocess.run(
            _command(url, plan, key),
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=output,
            check=False,
        )
    statuses = json.loads(told.read_text()) if told.exists() else {}
    failed = {what: int(times) for what, times in FAILED.findall(log.read_text())}
    return Came(identity, done.returncode, statuses, failed, log)


def _command(url: str, plan: Plan, key: str | None) -> list[str]:
    words = [
        str(plan.program),
        "--no-color",
        f"--config-file={CONFIGURATION}",
        "run",
        f"{url}/openapi.json",
        f"--phases={PHASES}",
        "--mode=all",
    ]
    words += [f"--max-examples={plan.examples}", f"--seed={plan.seed}", f"--exclude-checks={LEFT_OUT}"]
    words += ["--continue-on-failure", "--request-timeout=30", "--generation-database=none", "--warnings=off"]
    words += ["--suppress-health-check=all"]
    words += [f"--header=Authorization: Bearer {key}"] if key else []
    return [*words, *plan.more]


def _judge_logs(stack: Stack) -> Iterator[str]:
    """Find what nobody foresaw."""
    for each in (*stack.apis, *stack.consumers):
        for line in each.log.read_text().splitlines():
            if "unforeseen" in line or "Traceback" in line:
                yield f"{each.log.name}: {line[:500]}"

"""`make demo`: living traffic on the stack of `make run`, so that the dashboard has something to show; Ctrl-C ends it.

Three tenants submit what succeeds, what fails, what runs out of time and is tried again, and what waits in a lane that is paused.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from infra.local import env_file as variables
from infra.local.run import link_to_pages
from infra.local.sample_picture import sunset
from infra.local.stack import Stack
from sluice.cli.output import show_any_character
from sluice.client import ApiError, AsyncSluice, Conflict, ServerAway, SubmitOptions
from sluice.errors import SluiceError

ROOT = Path(__file__).parents[2]
OTHERS = ("acme", "globex")
"""Tenants beside that of `make run`, whose pages are looked at: the others are seen in its lanes alone."""
SCOPES = "submit,read"
PAUSED = "heavy"
SECONDS = 600.0
CHANCE = random.Random()  # noqa: S311  any number will do


@cache
def picture(seed: int) -> str:
    """Return a JPEG in base64."""
    return base64.b64encode(sunset(seed)).decode()


class Traffic(NamedTuple):
    """Jobs of one sort: their input, and how many seconds lie between two of them, on average."""

    kind: str
    every_s: float
    make_input: Callable[[], Mapping[str, Any]]
    options: SubmitOptions


TRAFFIC = (
    Traffic("demo.sum", 0.3, lambda: {"values": CHANCE.choices(range(1_000), k=50)}, {"tags": ["orders"]}),
    Traffic("demo.sum", 1, lambda: {"values": [1, 2, 3]}, {"tags": ["prices"]}),
    Traffic("demo.sleep", 1, lambda: {"seconds": CHANCE.uniform(0.1, 8)}, {"tags": ["mail"], "priority": "low"}),
    Traffic("demo.sleep", 5, lambda: {"seconds": 30}, {"tags": ["bank"], "timeout_s": 1, "max_attempts": 3}),
    Traffic("demo.sleep", 6, lambda: {"seconds": 1}, {"tags": ["later"], "delay_s": 60}),
    Traffic("image.thumbnail", 3, lambda: {"image": picture(CHANCE.randint(1, 9)), "width": 240}, {"tags": ["shop"]}),
    Traffic("image.thumbnail", 7, lambda: {"image": "bm8gcGljdHVyZQ==", "width": 240}, {"tags": ["shop"]}),
    Traffic("measurements.summary", 9, lambda: {"csv": "asset,signal,time,value\na,b,never,1\n"}, {"tags": ["sensors"]}),
    Traffic("demo.spin", 8, lambda: {"seconds": 0.5}, {"tags": ["report"]}),
)  # fmt: skip
"""What each tenant submits: some pictures are none, and some readings have no time."""


async def send(client: AsyncSluice, traffic: Traffic, counts: Counter[str]) -> None:
    """Submit such jobs for ever. What is refused, as by a limit, is counted."""
    while True:
        await asyncio.sleep(CHANCE.expovariate(1 / traffic.every_s))
        try:
            await client.submit(traffic.kind, traffic.make_input(), **traffic.options)
            counts["submitted"] += 1
        except (ApiError, ServerAway):
            counts["refused"] += 1


async def run(
    url: str, operator: str, keys: list[str], seconds: float, say: Callable[[str], None]
) -> Counter[str]:
    """Keep the traffic up for so many seconds, with one lane paused; return how many jobs were submitted and refused.

    Raises ApiError, ServerAway if the lane cannot be paused.
    """
    counts: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(AsyncSluice(url, key)) for key in (operator, *keys)]
        offered = {kind.kind for kind in await clients[0].kinds()}
        await _pause(clients[0])
        stack.push_async_callback(_resume, clients[0])
        tasks = [
            asyncio.create_task(send(client, traffic, counts))
            for client in clients
            for traffic in TRAFFIC
            if traffic.kind in offered
        ]
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await asyncio.sleep(1)
                    say(f"{counts['submitted']:,} jobs submitted, {counts['refused']:,} refused")
        except TimeoutError:
            return counts
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def run_until_told(
    url: str, operator: str, keys: list[str], seconds: float, say: Callable[[str], None]
) -> Counter[str]:
    """Run. Raises CancelledError, with the lane resumed, when a terminal is closed over it or somebody ends it."""
    running = asyncio.create_task(run(url, operator, keys, seconds, say))
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    return await running


async def _pause(client: AsyncSluice) -> None:
    try:
        await client.request("POST", f"/v1/lanes/{PAUSED}/pause", {"reason": "the licence server is down"})
    except asyncio.CancelledError:  # perhaps after it was done
        await _resume(client)
        raise


async def _resume(client: AsyncSluice) -> None:
    with suppress(Conflict):  # somebody has resumed it on the dashboard
        await client.request("POST", f"/v1/lanes/{PAUSED}/resume")


def main(arguments: list[str]) -> int:
    """Run; return the exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"how long (default {SECONDS:.0f})")
    asked = parser.parse_args(arguments)
    show_any_character("replace")
    console = Console(highlight=False)
    stack = Stack.recorded(ROOT)
    operator = variables.read(ROOT / ".local" / "env").get("SLUICE_API_KEY", "")
    if not (stack.api.alive and stack.consumer.alive and operator):
        console.print("Nothing runs here: make run", style="red")
        return 1
    try:
        keys = [stack.make_key(tenant, SCOPES) for tenant in OTHERS]
        console.print(f"  pages {link_to_pages(stack, operator)} (good once, for a minute)", soft_wrap=True)
        console.print(f"  The lane {PAUSED} is paused until the end. Ctrl-C ends it.")
        with console.status("") as status:
            counts = asyncio.run(run_until_told(stack.url, operator, keys, asked.seconds, status.update))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    except SluiceError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    console.print(f"  {counts['submitted']:,} jobs submitted, {counts['refused']:,} refused")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Jobs that wait for jobs: as docs/what-a-handler-may-do.md shows it, and in a lane of their own."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

from tests.support.stack import ROOT, Stack

WAITS = """
import os
import time

from pydantic import BaseModel

from sluice import RetryPolicy, handler
from year import submit

ONCE = RetryPolicy(max_attempts=1)


class Ask(BaseModel):
    number: int


class Reply(BaseModel):
    number: int


@handler("wait.child", lane="children", retry=ONCE)
async def child(ask: Ask) -> Reply:
    return Reply(number=ask.number)


@handler("wait.parent", timeout_s=30, retry=ONCE)
def parent(ask: Ask) -> Reply:
    while (job := submit(f"child-{ask.number}", "wait.child", {"number": ask.number}))["finished_at"] is None:
        time.sleep(0.05)
    return Reply(**job["result"])
"""

PARENTS = 3


async def start(stack: Stack, directory: Path) -> None:
    """Start with the page's example and a kind that waits, one slot a lane, and what their requests need."""
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/what-a-handler-may-do.md").read_text(), re.DOTALL
    )
    (directory / "year.py").write_text(example)
    (directory / "waits.py").write_text(WAITS)
    one = '{"slots":1,"ids_per_message":1}'
    stack._settings |= {
        "handlers": "sluice.kinds.demo_sum,year,waits",
        "lanes": f'{{"default":{one},"children":{one}}}',
    }
    stack.environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(directory)])}
    await stack.start(consumers=0)
    await stack.apis[0].ready()
    stack.environment |= {"REPORTS_URL": stack.url, "REPORTS_KEY": stack.key}
    await stack.add_consumer().ready()


async def run_parents(stack: Stack, kind: str, field: str) -> list[dict[str, Any]]:
    """Submit more parents than there are slots, at once; return how they have ended."""
    works = [{"kind": kind, "input": {field: number}} for number in range(PARENTS)]
    async with stack.client() as client:
        posts = (client.post("/v1/jobs", json=work, headers={"Prefer": "wait=30"}) for work in works)
        return [answer.json() for answer in await asyncio.gather(*posts)]


async def test_parents_that_come_back_later_let_their_children_in(bare_stack: Stack, tmp_path: Path) -> None:
    await start(bare_stack, tmp_path)
    jobs = await run_parents(bare_stack, "report.year", "year")
    assert [job["result"]["total"] for job in jobs] == [12 * number + 78 for number in range(PARENTS)]
    assert {job["attempt"] for job in jobs} == {1}
    assert await bare_stack.count("select count(*) from jobs where kind = 'demo.sum'") == 12 * PARENTS


async def test_children_with_a_lane_of_their_own_pass_parents_that_wait_in_every_slot(
    bare_stack: Stack, tmp_path: Path
) -> None:
    await start(bare_stack, tmp_path)
    jobs = await run_parents(bare_stack, "wait.parent", "number")
    assert [job["result"]["number"] for job in jobs] == list(range(PARENTS))

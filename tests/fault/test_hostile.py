"""Hostile handlers end as they should and say why, and nobody else notices; `make fault` tries all there are."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from infra.local.servers import Servers
from tests.fault.hostile import imports
from tests.fault.hostile.case import CASES
from tests.fault.hostile.corpus import SHORT
from tests.fault.hostile.run import Plan, run
from tests.fault.hostile.verdict import table
from tests.support.servers import urls
from tests.support.stack import ROOT, Stack, clean_environment

SHORT_PLAN = Plan([CASES[name] for name in SHORT], innocents=300, pace_s=0.1, within_s=60)

WORDLESS = {"kills", "stops"}
"""What ends without a chance to say where it stood."""

MODULES = sorted(path.stem for path in Path(str(imports.__file__)).parent.glob("[!_]*.py"))


async def test_some_hostile_kinds_among_three_hundred_innocent_jobs(bare_stack: Stack) -> None:
    verdict = await run(bare_stack, SHORT_PLAN)
    assert verdict.wrong == [], table(verdict.wrong)
    assert (verdict.hostile, verdict.innocent >= 300) == (len(SHORT), True)


@pytest.mark.parametrize("module", MODULES)
async def test_a_module_that_hurts_its_process_is_a_refused_start(
    module: str, shared_servers: Servers
) -> None:
    file = Path(str(imports.__file__)).with_name(f"{module}.py")
    (number,) = [number for number, text in enumerate(file.read_text().splitlines(), 1) if "# here" in text]
    for status, said in await asyncio.gather(
        *(start(each, module, shared_servers) for each in ("api", "consumer"))
    ):
        assert status == 2
        (why,) = [line for line in said.splitlines() if not line.startswith("{")]  # the others are of the log
        assert why.startswith(
            f"sluice: SLUICE_HANDLERS: tests.fault.hostile.imports.{module} does not load: "
        )
        assert module in WORDLESS or f"{file}:{number}" in why


async def start(program: str, module: str, servers: Servers) -> tuple[int | None, str]:
    """Start a process with this module; return its exit status and what it said."""
    settings = {"SLUICE_HANDLERS": f"tests.fault.hostile.imports.{module}", "SLUICE_START_S": "3"}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", program, cwd=ROOT, env=clean_environment() | urls(servers) | settings, stderr=-1
    )
    _, said = await child.communicate()
    return child.returncode, said.decode()

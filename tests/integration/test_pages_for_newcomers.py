"""README.md and the pages for those who come from other systems: what they show as ours runs as it stands."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.display import TRY
from infra.local.servers import Servers
from tests.integration.test_first_steps import run
from tests.support.stack import ROOT, Stack, stack_on_empty_servers

SEEN = {
    "README.md": ("\n{'total': 6}\n4950\n", '"result":{"slept_s":1.5', '"result":{"words":6}'),
    "docs/from-celery.md": ('"result":{"order_id":7,"total":600}', '"tags":["order_id=7"]'),
    "docs/from-fastapi-and-celery.md": ('"result":{"best":"tea","totals":{"tea":5,"milk":1}}',),
    "docs/from-replicate.md": ('"result":{"text":"It rains"}',),
}

SHIPPED = ("sluice.kinds.demo_sum", "sluice.kinds.demo_sleep")


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page in this language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def is_program(text: str) -> bool:
    """Whether a block is a program that calls, and not the module of a kind."""
    return "from sluice.client" in text


@pytest.fixture(scope="module")
def with_their_kinds(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with the kinds that the pages show, each in a module as it is printed."""
    directory = tmp_path_factory.mktemp("kinds")
    modules = [Path(page).stem.replace("-", "_") for page in SEEN]
    for page, module in zip(SEEN, modules, strict=True):
        [text] = [each for each in blocks(page, "python") if not is_program(each)]
        (directory / f"{module}.py").write_text(text)
    with stack_on_empty_servers(shared_servers, directory, handlers=",".join([*SHIPPED, *modules])) as stack:
        stack.environment["PYTHONPATH"] = str(directory)
        asyncio.run(stack.start())
        yield stack


@pytest.mark.parametrize("page", SEEN)
async def test_the_translated_example_runs(with_their_kinds: Stack, tmp_path: Path, page: str) -> None:
    programs = [f"python - <<'END'\n{text}END" for text in blocks(page, "python") if is_program(text)]
    script = "\n".join([*blocks(page, "sh"), *programs]).replace(". .local/env", ":", 1)
    said = await run(script, with_their_kinds, tmp_path)
    for seen in SEEN[page]:
        assert seen in said


async def test_what_make_run_says_to_type_first_works(with_their_kinds: Stack, tmp_path: Path) -> None:
    assert f"  try   {TRY}\n" in (ROOT / "README.md").read_text()
    assert '{"total":6}' in await run(TRY.replace(". .local/env", ":", 1), with_their_kinds, tmp_path)

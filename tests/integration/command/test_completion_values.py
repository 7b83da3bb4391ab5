"""What a shell completes of what the server knows: in bash itself, and for zsh and fish by what their scripts ask."""

from __future__ import annotations

import asyncio

import pytest

from infra.local.ports import free_port
from sluice.cli.suggestions import LONGEST_S
from tests.support.command import Command

TYPED = """
eval "$(sluice completion bash)"
tab() { COMP_WORDS=(sluice "$@") COMP_CWORD=$#; _sluice_completion sluice; }
soon() { for _ in $(seq 30); do tab "$@"; [ "${COMPREPLY[*]}" ] && break; sleep 1; done; echo "${COMPREPLY[@]}"; }
"""
"""The first Tab may be too early for the answer."""


@pytest.fixture
def typist(program: Command) -> Command:
    """The command whose cache is in the directory of the test."""
    return program.but(XDG_CACHE_HOME=str(program.directory / "cache"))


@pytest.mark.timeout(300)  # some twenty processes, on a machine that may be busy
async def test_bash_completes_kinds_lanes_and_ids(typist: Command) -> None:
    line = """
    id=$(sluice submit demo.sum '{"values": [1]}')
    soon run demo.
    soon submit demo.sum --lane h
    soon get "$id" "${id:0:20}" | grep -o "$id"
    """
    done = await typist.shell(TYPED + line)
    kinds, lanes, id = done.out.split()
    assert (done.status, done.err, kinds, lanes) == (0, "", "demo.sum", "heavy")
    assert len(id) == 36
    zsh = typist.but(_SLUICE_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="sluice run demo.")
    fish = typist.but(
        _SLUICE_COMPLETE="complete_fish", _TYPER_COMPLETE_ARGS="sluice run demo.", _TYPER_COMPLETE_FISH_ACTION="get-args"
    )  # fmt: skip
    for _ in range(30):  # it may be a minute since bash has asked
        zsh_said, fish_said = (await zsh.run()).out, (await fish.run()).out
        if "demo" in zsh_said and fish_said:
            break
        await asyncio.sleep(1)
    assert (zsh_said, fish_said) == ("_arguments '*: :((\"demo.sum\"))'\n", "demo.sum\n")


@pytest.mark.parametrize("there", ["nothing", "silence", "no configuration", "a cache that is a file"])
async def test_it_is_silent_and_does_not_wait_when_it_cannot_know(typist: Command, there: str) -> None:
    ended = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1] if there == "silence" else free_port()
    url = "" if there == "no configuration" else f"http://127.0.0.1:{port}"
    if there == "a cache that is a file":
        (typist.directory / "cache").touch()
    asked = typist.but(
        SLUICE_URL=url, _SLUICE_COMPLETE="complete_bash", COMP_WORDS="sluice run d", COMP_CWORD="2"
    )
    async with asyncio.timeout(LONGEST_S - 2):  # for as long whoever asks would wait
        assert await asked.run() == (0, "\n", "")
    ended.set()
    server.close()

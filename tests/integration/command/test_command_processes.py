"""The command as a process: pipes, Ctrl-C, servers that are away, and keys that may not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import pytest

from infra.local.ports import free_port
from tests.support.command import Command, Said, end_of
from tests.support.scripted_server import answer, scripted
from tests.support.stack import COMMAND, Stack, make_a_key
from tests.support.waiting import until

SUM = '{"values": [1, 2, 3]}'


async def test_words_go_together_in_pipes(program: Command) -> None:
    pipe = f"""
    for n in 1 2 3; do sluice submit demo.sum --set "values=[$n]" --tag piped; done | xargs sluice wait -o id | sort >waited
    sluice list --tag piped -o id | sort | diff - waited
    sluice list --tag piped | {sys.executable} -c 'import json, sys; print(sum(json.loads(each)["state"] == "succeeded" for each in sys.stdin))'
    """
    ended = await program.shell(pipe)
    assert (ended.status, ended.out) == (0, "3\n"), ended.err


async def test_whoever_stops_reading_ends_it_without_a_word(program: Command) -> None:
    await program.run("submit", "demo.sum", SUM)
    pipe = "( sluice list --all || echo status $? >&2 ) | sh -c 'exec <&-; sleep 3'"
    assert (await program.shell(pipe)).err == "status 141\n"


@pytest.mark.parametrize("word", ["run", "wait", "watch"])
async def test_ctrl_c_ends_it_at_once_and_says_that_the_job_goes_on(program: Command, word: str) -> None:
    held = ["--set", f"gate={program.directory}/gate", "--set", f"mark={program.directory}/mark"]
    words = ["run", "own.loop", *held]
    if word != "run":
        id = (await program.run("submit", "own.loop", *held)).out.strip()
        words = [word, id]
    process = await program.start(*words, group=True)
    mark = program.directory / "mark"
    await until(lambda: mark.exists() and bool(mark.read_text()))
    await asyncio.sleep(2)  # until it waits; if it does not yet, the sentence is another
    process.send_signal(signal.SIGINT)
    ended = await asyncio.wait_for(end_of(process), 10)
    assert (ended.status, "Traceback" in ended.err) == (130, False), ended.err
    assert "sluice: interrupted; the job goes on: `sluice watch " in ended.err
    id = ended.err.split("`sluice watch ")[1].split("`")[0]
    (program.directory / "gate").touch()
    assert json.loads((await program.run("result", id, "--wait", "20s")).out) == {"number": 0}


async def test_a_server_that_is_away_is_status_6_and_nothing_is_lost(program: Command) -> None:
    away = program.but(SLUICE_URL=f"http://127.0.0.1:{free_port()}")
    ended = await away.run("submit", "demo.sum", SUM)
    assert (ended.status, ended.out, "Traceback" in ended.err) == (6, "", False)
    first, hint, second = ended.err.splitlines()
    assert first.startswith(f"sluice: The server at {away.environment['SLUICE_URL']} gave no answer: ")
    assert "--url, SLUICE_URL or a profile" in hint
    assert "the same command with --key " in second
    assert (await away.run("list")).status == 6


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b'{"kinds": [1], "jobs": 2, "errors": null}'])
async def test_what_is_no_sluice_is_told_apart_from_one(
    sluice: Said, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("SLUICE_URL", f"http://127.0.0.1:{port}")
        for words in (["kinds"], ["list"]):
            ended = await asyncio.to_thread(sluice.run, *words)
            assert (ended.status, ended.out) == (6, ""), ended.err
        assert (await asyncio.to_thread(sluice.run, "doctor")).status in (1, 6)


async def test_lines_that_were_not_read_are_named(sluice: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    (sluice.directory / "two.ndjson").write_text('{"kind": "demo.sum"}\n\n{"kind": "demo.sum"}\n')
    first = {"index": 0, "status": 202, "job": {"id": "01a22321-9023-7abe-8513-ed0ed005ba15"}}
    stopped = {"type": "invalid", "status": 422, "detail": "it was not read", "retryable": False}
    told = {"id": "x", "total": 1, "counts": {"queued": 1}, "items": [first], "stopped": stopped}
    with scripted(answer(202, told)) as server:
        monkeypatch.setenv("SLUICE_URL", server.url)
        ended = await asyncio.to_thread(sluice.run, "batch", "@two.ndjson")
    assert (ended.status, ended.err) == (2, "sluice: line 3: invalid: it was not read\n"), ended.err
    assert json.loads(ended.out) == told


async def test_a_key_that_may_not_is_status_4(program: Command, running: Stack) -> None:
    reader = await make_a_key(running.servers, "demo", ["read"])
    for key, words in ((reader, ["submit", "demo.sum", SUM]), ("slc_2r8Pi8FrTJgt_no_x", ["list"])):
        ended = await program.but(SLUICE_API_KEY=key).run(*words)
        assert (ended.status, ended.out) == (4, "")
        assert key not in ended.err


async def test_a_rate_that_is_used_up_is_status_5(program: Command, running: Stack) -> None:
    async with running.another_api(submit_rate="1/3600") as api:
        slow = program.but(SLUICE_URL=api.url)
        ended = [await slow.run("submit", "demo.sum", SUM) for _ in range(2)]
    assert [each.status for each in ended] == [0, 5]
    assert "rate-limited" in ended[1].err


@pytest.mark.parametrize(("said", "status", "state"), [(b"n\n", 7, "scheduled"), (b"y\n", 0, "cancelled")])
async def test_a_person_is_asked_before_many_jobs_are_changed(
    program: Command, said: bytes, status: int, state: str
) -> None:
    id = (await program.run("submit", "own.loop", "--delay", "1h", "--tag", f"asked-{status}")).out.strip()
    keyboard, terminal = os.openpty()
    os.write(keyboard, said)
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "cancel", "--filter", f"tag=asked-{status}"),
        cwd=program.directory, env=program.environment, stdin=terminal, stdout=-1, stderr=-1,
    )  # fmt: skip
    out, err = await process.communicate()
    os.close(keyboard)
    os.close(terminal)
    assert process.returncode == status, err
    assert b"Cancel 1 jobs?" in err
    assert json.loads(out)["changed"] == int(status == 0)
    assert (await program.run("get", id)).document["state"] == state


async def test_a_key_that_nobody_types_ends_the_question(program: Command, running: Stack) -> None:
    keyboard, terminal = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "login", "--url", running.url), start_new_session=True,
        cwd=program.directory, env=program.environment, stdin=terminal, stdout=-1, stderr=-1,
    )  # fmt: skip
    assert process.stderr is not None
    async with asyncio.timeout(30):
        await process.stderr.readuntil(b"API key for ")
        await asyncio.sleep(0.5)  # until it reads: what is typed before is dropped
        os.write(keyboard, b"\x04")
        _, err = await process.communicate()
    os.close(keyboard)
    os.close(terminal)
    assert (process.returncode, b"Traceback" in err) == (130, False), err
    assert b"sluice: interrupted" in err


async def test_what_cannot_be_said_has_its_exit_status_still(program: Command) -> None:
    for line in ("", "unset PYTHONUNBUFFERED; "):  # what is buffered fails once more at the end
        assert (await program.shell(f"{line}sluice run demo.sum '{{' 2>/dev/full")).status == 2


async def test_a_shell_completes_words_and_options(program: Command) -> None:
    script = await program.run("completion", "bash")
    line = "COMP_WORDS=(sluice ca) COMP_CWORD=1; _sluice_completion sluice; echo ${COMPREPLY[*]}"
    done = await program.shell(f"{script.out}\n{line}")
    assert (done.status, done.out) == (0, "cancel\n"), done.err
    for name in ("zsh", "fish"):
        assert "_SLUICE_COMPLETE" in (await program.run("completion", name)).out
    assert (await program.run("completion", "dos")).status == 2

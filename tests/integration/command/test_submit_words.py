"""`sluice run`, `submit`, `wait` and `result`: what they print, and their exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import Ended, Said

SUM = '{"values": [1, 2, 3]}'


def held(directory: Path) -> list[str]:
    """The words for an input of a job that runs until `open_gate`."""
    return ["--set", f"gate={directory}/gate", "--set", f"mark={directory}/mark"]


def open_gate(directory: Path) -> None:
    """Let it end."""
    (directory / "gate").touch()


def test_a_job_is_run_and_its_result_is_all_of_stdout(sluice: Said) -> None:
    ended = sluice.run("run", "demo.sum", SUM)
    assert (ended.status, ended.out) == (0, '{"total":6}\n'), ended.err


def test_an_input_comes_from_a_file_stdin_or_options(sluice: Said) -> None:
    (sluice.directory / "in.json").write_text(SUM)
    assert (sluice.run("run", "demo.sum", "@in.json")).document == {"total": 6}
    assert (sluice.run("run", "demo.sum", "-", given=SUM)).document == {"total": 6}
    assert (sluice.run("run", "demo.sum", "--set", "values=[4,5]")).document == {"total": 9}


@pytest.mark.parametrize(
    ("form", "out"),
    [("json", '{\n  "total": 6\n}\n'), ("ndjson", '{"total":6}\n'), ("table", '{\n  "total": 6\n}\n')],
)
def test_a_result_is_laid_out_as_asked_for(sluice: Said, form: str, out: str) -> None:
    assert (sluice.run("run", "demo.sum", SUM, "-o", form)).out == out


def test_a_submit_prints_the_id_with_which_the_result_is_had(sluice: Said) -> None:
    submitted = sluice.run("submit", "demo.sum", SUM, "--tag", "one", "--tag", "two")
    id = submitted.out.strip()
    assert submitted == (0, f"{id}\n", "")
    assert sluice.run("result", id, "--wait", "20s") == (0, '{"total":6}\n', "")
    document = (sluice.run("get", id)).document
    assert (document["id"], document["tags"]) == (id, ["one", "two"])
    detached = sluice.run("run", "demo.sum", SUM, "--detach", "-o", "ndjson")
    assert detached.document["kind"] == "demo.sum"


def test_options_arrive(sluice: Said) -> None:
    words = [
        "--priority",
        "low",
        "--delay",
        "2h",
        "--deadline",
        "3h",
        "--time-limit",
        "30s",
        "--max-attempts",
        "2",
        "--cache",
        "off",
    ]
    document = (sluice.run("submit", "demo.sum", SUM, *words, "-o", "ndjson")).document
    assert document["state"] == "scheduled"
    assert (document["priority"], document["max_attempts"]) == ("low", 2)
    assert document["run_at"] is not None
    assert document["deadline"] is not None


def test_the_same_key_is_the_same_job(sluice: Said) -> None:
    first, second = [sluice.run("submit", "own.loop", "--key", "order-7") for _ in range(2)]
    assert first.out == second.out


def test_a_failed_job_is_status_1_and_says_why_on_stderr(sluice: Said) -> None:
    ended = sluice.run("run", "own.fails", "-q")
    assert (ended.status, ended.out) == (1, "")
    assert "no luck" in ended.err
    assert ended.err.startswith("sluice: job ")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["run", "demo.sum", '{"values": ["x"]}'], "sluice: invalid: input.values.0: "),
        (["run", "demo.nothing"], "kind-unknown"),
        (["submit", "demo.sum", SUM, "--max-attempts", "0"], "options.max_attempts"),
        (["submit", "demo.sum", "{"], "INPUT is not JSON"),
        (["submit", "demo.sum", "@nothing.json"], "nothing.json: No such file"),
        (["run", "demo.sum", SUM, "--wait", "soon"], "no length of time"),
        (["run"], "see `sluice run --help`"),
        (["submit", "demo.sum", '{"values": ["\\ud800"]}'], "half a character"),
        (["list", "--tag", "\udcff"], "no UTF-8"),
        (["run", "demo.sum", SUM, "--key", 'a"b'], "is no key"),
        (["submit", "demo.sum", SUM, "--key", ""], "is no key"),
        (["batch", "@nothing.ndjson", "--key", "k" * 241], "is no key, which is 1 to 240"),
    ],
)
def test_what_is_refused_is_status_2_and_says_where(sluice: Said, words: list[str], why: str) -> None:
    ended = sluice.run(*words)
    assert (ended.status, ended.out) == (2, ""), ended.err
    assert why in ended.err
    assert all(line.startswith("sluice: ") for line in ended.err.splitlines())


def test_a_wait_that_is_too_short_is_status_8_and_names_the_job(sluice: Said) -> None:
    ended = sluice.run("run", "own.loop", *held(sluice.directory), "--wait", "1s")
    assert (ended.status, ended.out) == (8, "")
    late, hint = [each for each in ended.err.splitlines() if each.startswith("sluice: ")]
    id = late.split()[2]
    assert f"`sluice watch {id}`" in hint
    open_gate(sluice.directory)
    waited = sluice.run("wait", id)
    assert (waited.status, waited.document["id"], waited.document["state"]) == (0, id, "succeeded")


def test_a_cancelled_job_is_status_7(sluice: Said) -> None:
    id = (sluice.run("submit", "own.loop", "--delay", "1h")).out.strip()
    sluice.run("cancel", id)
    for words in (["result", id], ["wait", id]):
        assert (sluice.run(*words)).status == 7


def test_several_jobs_are_shown_as_they_are_waited_for(sluice: Said) -> None:
    ids = [(sluice.run("submit", kind)).out.strip() for kind in ("own.loop", "own.fails")]
    ended = sluice.run("wait", *ids)
    assert ended.status == 1
    assert {each["id"]: each["state"] for each in ended.documents} == dict(
        zip(ids, ("succeeded", "failed"), strict=True)
    )


def test_what_has_ended_is_shown_though_others_have_not(sluice: Said) -> None:
    done = sluice.run("run", "demo.sum", SUM, "-o", "id").out.strip()
    open_one = sluice.run("submit", "own.loop", *held(sluice.directory)).out.strip()
    ended = sluice.run("wait", done, open_one, "--timeout", "1s", "-o", "table")
    assert (ended.status, ended.out) == (8, f"{done}  succeeded\n")
    assert ended.err == f"sluice: these have not ended in time: {open_one}\n"
    first = sluice.run("wait", open_one, done, "--any", "-o", "id")
    assert (first.status, first.out) == (0, f"{done}\n")
    open_gate(sluice.directory)


def test_the_id_of_a_job_that_was_run_is_printed_where_it_is_asked_for(sluice: Said) -> None:
    ended: Ended = sluice.run("run", "demo.sum", SUM, "-o", "id")
    assert json.loads((sluice.run("result", ended.out.strip())).out) == {"total": 6}

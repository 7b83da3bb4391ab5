"""docs/command.md: its commands do what it says, and it has a section for each word with all of its options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_args

import pytest

from sluice.cli import FOR_OTHERS, app
from sluice.cli.client_word import session
from sluice.cli.formats import Format
from sluice.cli.statuses import MEANINGS
from tests.support.command import command_of
from tests.support.stack import ROOT, Stack

PAGE = (ROOT / "docs/command.md").read_text()
SECTIONS = {text.split("\n", 1)[0]: text for text in PAGE.split("\n## ")[1:]}
OURS = {
    each.name or each.callback.__name__: [each.callback]
    for each in app.registered_commands
    if each.callback is not None and each.name not in FOR_OTHERS and each.callback.__name__ not in FOR_OTHERS
}
GROUPS = {
    each.name: each.typer_instance for each in app.registered_groups if each.name and each.typer_instance
}
for name, group in GROUPS.items():
    found = [group.info.callback, *(word.callback for word in group.registered_commands)]
    OURS[name] = [word for word in found if callable(word)]
"""The words of clients, alone or in a group, with what each of them does."""


def options(word: Callable[..., Any]) -> set[str]:
    """The options of a word, but for those that every word has."""
    shared = inspect.signature(session).parameters.keys()
    found = set()
    for name, each in inspect.signature(word).parameters.items():
        infos = [info for info in get_args(each.annotation) if hasattr(info, "param_decls")]
        if name not in shared and any(type(info).__name__ == "OptionInfo" for info in infos):
            given = [
                text
                for text in (infos[0].default, *(infos[0].param_decls or ()))
                if str(text).startswith("--")
            ]
            found.add(given[0] if given else f"--{name.replace('_', '-')}")
    return found


def test_it_has_a_section_for_each_word_of_clients_and_no_other() -> None:
    assert sorted(SECTIONS.keys() - {"How it writes", "Exit status", "Where the server is"}) == sorted(OURS)
    assert all(f"`{word}`" in PAGE for word in FOR_OTHERS)


@pytest.mark.parametrize("word", sorted(OURS))
def test_a_section_has_all_options_of_its_word_and_no_others(word: str) -> None:
    told = set(re.findall(r"`(--[a-z-]+)", SECTIONS[word]))
    shared = {"--url", "--profile", "--output", "--quiet"}
    mentioned = {"--wait", "--detach"} if word == "submit" else set()
    assert told - shared - mentioned == set().union(*map(options, OURS[word]))


@pytest.mark.parametrize("group", GROUPS)
def test_a_section_has_all_words_of_its_group(group: str) -> None:
    words = {each.name for each in GROUPS[group].registered_commands}
    told = set(re.findall(rf"^\| `({'|'.join(map(str, words))})\b", SECTIONS[group], re.MULTILINE))
    assert told == words


def test_it_has_the_exit_statuses_and_forms_of_the_program() -> None:
    told = {
        int(number): means
        for number, means in re.findall(r"^\| (\d+) \| (.*) \|$", SECTIONS["Exit status"], re.MULTILINE)
    }
    assert told.pop(141)
    assert told == MEANINGS
    assert set(re.findall(r"^\| `(\w+)` \|", SECTIONS["How it writes"], re.MULTILINE)) == set(
        get_args(Format)
    )


@pytest.mark.timeout(900)  # some fifty processes, on a machine that may be busy
async def test_its_commands_work_as_they_are_printed(
    stack_of_the_pages: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    command = command_of(stack_of_the_pages, tmp_path_factory.mktemp("reader"))
    script = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace(". .local/env", ":", 1)
    ended = await command.shell(script)
    assert ended.status == 0, ended.err[-3_000:]
    assert "Traceback" not in ended.err
    total, slept, another, failed = ended.out.splitlines()[:4]
    assert (total, another, failed) == ('{"total":6}', '{"total":9}', "status 1")
    assert slept.startswith('{"slept_s":1.')

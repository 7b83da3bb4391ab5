"""What `@handler` makes of a function, and what it refuses before anything runs."""

import logging
from collections.abc import Callable
from datetime import timedelta
from math import inf, nan
from typing import Any

import pytest
from pydantic import BaseModel

from sluice.context import Context
from sluice.errors import GiveUp, RetryLater, StartRefused
from sluice.handler import _TYPES, Options, handler
from sluice.retry import RetryPolicy


class Given(BaseModel):
    """An input."""

    x: int = 0


class Got(BaseModel):
    """An output."""

    y: int = 0


async def waits(given: Given) -> Got:
    return Got(y=given.x)


def works(given: Given, context: Context) -> Got:
    return Got(y=given.x + context.attempt)


def a_context(reports: list[tuple[float, str]]) -> Context:
    log = logging.LoggerAdapter(logging.getLogger("test"), {})
    return Context("id", 1, 1, log, lambda percent, note: reports.append((percent, note)), lambda: True)


def test_reads_everything_from_the_annotations() -> None:
    made = handler("t.waits")(waits)
    assert (made.kind, made.input_model, made.output_model) == ("t.waits", Given, Got)
    assert (made.runs_in, made.lane, made.takes_context, made.pure) == ("loop", "default", False, False)
    assert (made.timeout_s, made.retry, made.max_input) == (300, RetryPolicy(), 256 * 1024)
    assert (made.version, made.aliases, made.keep_s, made.lanes) == (1, (), None, None)


def test_a_plain_function_runs_in_a_thread_and_may_take_a_context() -> None:
    made = handler("t.works")(works)
    assert (made.runs_in, made.lane, made.takes_context) == ("thread", "default", True)
    assert made(Given(x=2), a_context([])) == Got(y=3)


def test_a_process_has_the_heavy_lane() -> None:
    assert handler("t.works", runs_in="process")(works).lane == "heavy"


@pytest.mark.parametrize("lanes", [("bulk", "night"), ["bulk", "default", "night"]])
def test_its_own_lane_is_among_those_that_clients_may_choose(lanes: Any) -> None:
    assert handler("t.works", lanes=lanes)(works).lanes == ("default", "bulk", "night")
    assert handler("t.works", lanes=())(works).lanes == ("default",)


def test_every_option_is_taken_over() -> None:
    options: Options = {
        "lane": "slow",
        "lanes": ("slow", "bulk"),
        "timeout_s": 9,
        "retry": RetryPolicy(1),
        "cache_s": 60,
        "keep_s": 3_600,
        "max_input": 10,
        "version": 3,
        "aliases": ("t.old", "t.older"),
        "searchable": ("x",),
    }
    made = handler("t.works", **options)(works)
    assert {name: getattr(made, name) for name in options} == options
    assert made.pure


@pytest.mark.parametrize("kind", ["", "Upper", "a b", "1st", ".a", "a.", "a..b", "ä", "a" * 65, "a/b", "a\n"])
def test_refuses_a_name_that_is_none(kind: str) -> None:
    with pytest.raises(StartRefused, match="lower-case words"):
        handler(kind)(waits)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"runs_in": "thread"}, "needs 'async def'"),
        ({"runs_in": "cloud"}, "needs 'async def'|runs_in is"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": inf}, "timeout_s"),
        ({"timeout_s": nan}, "timeout_s"),
        ({"cache_s": -1}, "cache_s"),
        ({"cache_s": 10**13}, "a hundred years"),
        ({"keep_s": 0}, "keep_s"),
        ({"keep_s": inf}, "keep_s"),
        ({"keep_s": nan}, "keep_s"),
        ({"max_input": 0}, "max_input"),
        ({"max_input": 2**40}, "max_input"),
        ({"version": 0}, "version"),
        ({"version": 2**31}, "version"),
        ({"timeout": 5}, "'timeout' is no option; do you mean timeout_s\\?"),
        ({"run_in": "loop"}, "do you mean runs_in\\?"),
        ({"max_inputs": 5}, "do you mean max_input\\?"),
        ({"queue": "q"}, "'queue' is no option; there are lane, lanes, runs_in, timeout_s"),
        ({"timeout_s": "5"}, "timeout_s is a number of seconds, not str"),
        ({"timeout_s": timedelta(seconds=5)}, "timeout_s is a number of seconds, not timedelta"),
        ({"cache_s": 1.5}, "cache_s is a whole number of seconds, not float"),
        ({"cache_s": True}, "cache_s is a whole number of seconds, not bool"),
        ({"retry": 3}, "retry is a RetryPolicy"),
        ({"lane": None}, "lane is a name, not NoneType"),
        ({"aliases": (1,)}, "aliases"),
        ({"lane": "no lane"}, "a lane's name is a word"),
        ({"lanes": "bulk"}, r"lanes is names of lanes in brackets, such as \('bulk',\), not str"),
        ({"lanes": None}, "lanes is names of lanes in brackets"),
        ({"lanes": ("no lane",)}, "a lane's name is a word"),
        ({"lanes": ("bulk", ["night"])}, "a lane's name is a word"),
        ({"aliases": "t.old"}, "aliases"),
        ({"aliases": ("T",)}, "aliases"),
        ({"searchable": "x"}, "searchable is fields of its input in brackets"),
        ({"searchable": (1,)}, "searchable has names of fields"),
        ({"searchable": ("y",)}, "the input has no field 'y'; there are x"),
    ],
)
def test_refuses_an_option_that_makes_no_sense(options: Any, remedy: str) -> None:
    with pytest.raises(StartRefused, match=remedy):
        handler("t.waits", **options)(waits)


def test_every_option_has_a_type_in_words() -> None:
    assert list(_TYPES) == list(Options.__annotations__)


def test_refuses_a_decorator_without_a_name() -> None:
    bare: Any = handler
    with pytest.raises(StartRefused, match=r"not waits: write @handler\('some.name'\)"):
        bare(waits)


def test_refuses_a_place_that_does_not_exist() -> None:
    cloud: Any = "cloud"
    with pytest.raises(StartRefused, match="runs_in is"):
        handler("t.works", runs_in=cloud)(works)


def test_refuses_a_plain_function_in_the_loop() -> None:
    with pytest.raises(StartRefused, match="needs 'async def'"):
        handler("t.works", runs_in="loop")(works)


def yields(given: Given) -> Got:  # type: ignore[misc]  # that is what is wrong
    yield given


async def yields_later(given: Given) -> Got:  # type: ignore[misc]  # as above
    yield given


@pytest.mark.parametrize("function", [yields, yields_later])
def test_refuses_a_generator(function: Any) -> None:
    with pytest.raises(StartRefused, match="'return' instead of 'yield'"):
        handler("t.yields")(function)


def no_input() -> Got:
    return Got()


def bare_input(given) -> Got:  # type: ignore[no-untyped-def]  # the missing annotation is the case
    return Got()


def dict_input(given: dict[str, int]) -> Got:
    return Got()


def any_model(given: BaseModel) -> Got:
    return Got()


def no_output(given: Given):  # type: ignore[no-untyped-def]  # the missing annotation is the case
    return Got()


def three(given: Given, context: Context, more: int) -> Got:
    return Got()


def not_a_context(given: Given, context: int) -> Got:
    return Got()


def keyword(given: Given, *, context: Context) -> Got:
    return Got()


def many(*given: Given) -> Got:
    return Got()


def unknown(given: "Missing") -> Got:  # type: ignore[name-defined]  # noqa: F821
    return Got()


@pytest.mark.parametrize(
    ("function", "remedy"),
    [
        (no_input, "it takes its Input"),
        (three, "it takes its Input"),
        (keyword, "it takes its Input"),
        (many, "it takes its Input"),
        (bare_input, "annotate 'given'"),
        (dict_input, "annotate 'given'"),
        (any_model, "annotate 'given'"),
        (no_output, "annotate 'return'"),
        (not_a_context, "annotate 'context' with Context"),
        (unknown, "cannot be read: name 'Missing'"),
    ],
)
def test_refuses_a_signature_and_names_file_line_and_remedy(
    function: Callable[..., Any], remedy: str
) -> None:
    with pytest.raises(StartRefused, match=remedy) as refused:
        handler("t.wrong")(function)
    assert f"test_handler.py:{function.__code__.co_firstlineno}" in str(refused.value)


def test_refuses_what_is_no_function() -> None:
    thing: Any = Given
    with pytest.raises(StartRefused, match="decorate a plain function"):
        handler("t.wrong")(thing)


@pytest.mark.parametrize(("percent", "kept"), [(-1, 0), (0, 0), (50, 50), (101, 100), (nan, 0), (inf, 100)])
def test_progress_stays_between_0_and_100(percent: float, kept: float) -> None:
    reports: list[tuple[float, str]] = []
    a_context(reports).progress(percent, "x" * 999)
    assert reports == [(kept, "x" * 200)]


def test_a_handler_can_ask_whether_to_stop() -> None:
    assert a_context([]).should_stop()


@pytest.mark.parametrize(
    ("asked", "kept"), [(5, 5), (0, 1), (-1, 1), (-inf, 1), (inf, 30 * 86_400), (10**400, 30 * 86_400)]
)
def test_later_is_a_time_that_can_be_kept(asked: float, kept: float) -> None:
    end = RetryLater(asked, "busy")
    assert (end.after_s, end.why) == (kept, "busy")


def test_later_needs_a_number() -> None:
    with pytest.raises(ValueError, match="number of seconds"):
        RetryLater(nan)


@pytest.mark.parametrize("wrong", ["5", None, timedelta(seconds=5), 1j])
def test_later_names_what_is_no_number(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"number of seconds, not {type(wrong).__name__}"):
        RetryLater(wrong)


def test_giving_up_has_a_message() -> None:
    assert str(GiveUp("no use")) == "no use"

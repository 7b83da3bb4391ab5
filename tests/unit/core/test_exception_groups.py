"""What counts in a group of exceptions, and how its causes are told apart."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest

from sluice.core.exception_groups import MOST_LEAVES, describe_causes, drop_frames, unwrap
from sluice.error_text import MOST_NAME, MOST_TEXT
from sluice.errors import BadInput, BadOutput, GiveUp, RetryLater

PLAIN, SECOND = KeyError("a"), IndexError("b")
STRONGEST_FIRST = [MemoryError(), GiveUp(), BadInput(), BadOutput(), ImportError(), RetryLater(5)]


def group(*errors: BaseException) -> BaseExceptionGroup[BaseException]:
    return BaseExceptionGroup("many", errors)


def nested(error: BaseException, depth: int) -> BaseException:
    for _ in range(depth):
        error = group(error)
    return error


@pytest.mark.parametrize("error", [PLAIN, SystemExit(3), *STRONGEST_FIRST])
def test_an_exception_alone_is_itself_in_a_group_and_outside(error: BaseException) -> None:
    assert unwrap(error) is error
    assert unwrap(group(error)) is error
    assert unwrap(nested(error, 20_000)) is error


def test_the_strongest_decides_wherever_it_is() -> None:
    for strong, weak in pairwise(STRONGEST_FIRST):
        for errors in permutations([PLAIN, weak, group(SECOND, strong)]):
            assert unwrap(group(*errors)) is strong


def test_several_plain_errors_are_a_group() -> None:
    both = group(PLAIN, SECOND)
    assert unwrap(both) is both


def test_causes_are_named_alike_in_any_order_and_number() -> None:
    expected = ("KeyError, ValueError", "KeyError: 'a'; ValueError: row 1 is bad")
    assert describe_causes(group(ValueError("row 1 is bad"), PLAIN)) == expected
    assert (
        describe_causes(group(PLAIN, group(ValueError("row 1 is bad"), ValueError("row 2 is bad"), PLAIN)))
        == expected
    )


def test_many_of_one_cause_are_described_like_one() -> None:
    assert describe_causes(group(*(ValueError(f"row {number}") for number in range(9)))) == (
        "ValueError",
        "row 0",
    )


def test_the_description_of_very_many_is_bounded() -> None:
    errors = [
        type(f"E{chr(65 + number % 26) * (number // 26 + 1)}", (Exception,), {})("x" * 900)
        for number in range(500)
    ]
    title, detail = describe_causes(group(*errors))
    assert (len(title), len(detail)) == (MOST_NAME, MOST_TEXT)
    assert detail.index("; ") < 300
    assert unwrap(group(*[PLAIN] * MOST_LEAVES, GiveUp())) is not PLAIN


def test_frames_are_dropped_from_everything_in_a_group() -> None:
    def fail() -> None:
        try:
            raise KeyError
        except KeyError as error:
            raise MemoryError from error

    with pytest.raises(MemoryError) as caught:
        fail()
    both = group(PLAIN, group(caught.value))
    drop_frames(both)
    assert (caught.value.__traceback__, caught.value.__cause__, caught.value.__context__) == (
        None,
        None,
        None,
    )

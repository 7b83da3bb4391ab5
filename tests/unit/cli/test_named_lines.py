"""How `sluice batch` names the lines that were refused."""

from __future__ import annotations

import pytest

from sluice.cli.batches import name_lines


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ([3], "line 3"),
        ([1, 2, 3, 7], "lines 1-3, 7"),
        ([*range(1, 10_001)], "lines 1-10000"),
        ([1, 3, 5, 7, 9, 11, 13, 15, 17, 19], "lines 1, 3, 5, 7, 9, 11, 13, 15, 17, 19"),
        ([*range(1, 20_000, 2)], "lines 1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and 9990 more"),
    ],
)
def test_lines_are_named_in_runs_and_not_without_end(numbers: list[int], named: str) -> None:
    assert name_lines(numbers) == named

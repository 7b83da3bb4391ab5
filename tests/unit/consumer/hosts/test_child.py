"""How the end of a host's process is told."""

from __future__ import annotations

from signal import SIGABRT, SIGKILL

import pytest

from consumer.hosts.child import describe_end


@pytest.mark.parametrize(
    ("code", "why", "sent", "told"),
    [
        (3, None, [SIGKILL], "It ended with exit status 3."),
        (
            70,
            None,
            [SIGKILL],
            "It ended with exit status 70 (it could not go on, for lack of memory perhaps, or as its files were closed).",
        ),
        (-40, None, [SIGKILL], "It was ended by signal 40."),
        (-SIGKILL, None, [SIGKILL], "It was ended by SIGKILL (perhaps out of memory)."),
        (-SIGKILL, "It was deaf.", [SIGKILL], "It was deaf."),
        (9, "It was deaf.", [SIGKILL], "It ended with exit status 9."),
        (-SIGABRT, "It was deaf.", [SIGKILL], "It was ended by SIGABRT."),
        (-SIGABRT, "It was blocked.", [SIGKILL, SIGABRT], "It was blocked."),
    ],
)
def test_a_process_that_ended_by_itself_is_not_said_to_have_been_killed(
    code: int, why: str | None, sent: list[int], told: str
) -> None:
    assert describe_end(code, why, sent) == told

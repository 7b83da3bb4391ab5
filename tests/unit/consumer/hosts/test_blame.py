"""Which kinds may share a host."""

from __future__ import annotations

from consumer.hosts.blame import MOST_SLOW_S, WINDOW_S, Blame


def test_a_kind_gets_a_host_of_its_own_at_its_second_strike() -> None:
    blame = Blame()
    assert [blame.strike("t.block") for _ in range(3)] == [False, True, False], "said once"
    assert blame.quarantined("t.block")


def test_a_kind_that_holds_up_others_for_long_gets_a_host_of_its_own() -> None:
    blame = Blame()
    assert [blame.hold_up("t.slow", MOST_SLOW_S / 2) for _ in range(3)] == [False, True, False], "said once"
    assert blame.kinds == ["t.slow"]


def test_one_that_does_so_seldom_does_not() -> None:
    blame = Blame()
    for _ in range(10):
        assert not blame.hold_up("t.slow", MOST_SLOW_S - 1)
        blame._since -= WINDOW_S + 1


def test_strikes_count_for_each_kind() -> None:
    blame = Blame()
    for kind in ("t.nap", "t.block", "t.exit", "t.block", "t.exit"):
        blame.strike(kind)
    assert not blame.quarantined("t.nap")
    assert not blame.quarantined("t.echo")
    assert blame.kinds == ["t.block", "t.exit"]

"""Which kinds may share a host."""

from __future__ import annotations

from consumer.hosts.blame import Blame


def test_a_kind_gets_a_host_of_its_own_at_its_second_strike() -> None:
    blame = Blame()
    assert [blame.strike("t.block") for _ in range(3)] == [False, True, False], "said once"
    assert blame.quarantined("t.block")


def test_strikes_count_for_each_kind() -> None:
    blame = Blame()
    for kind in ("t.nap", "t.block", "t.exit", "t.block", "t.exit"):
        blame.strike(kind)
    assert not blame.quarantined("t.nap")
    assert not blame.quarantined("t.echo")
    assert blame.kinds == ["t.block", "t.exit"]

"""Which database the record is."""

from __future__ import annotations

from sluice.core.runtime.record_identity import RecordIdentity


def test_followers_hear_of_another_record_but_not_of_the_first() -> None:
    identity, heard = RecordIdentity(), list[str]()
    identity.follow(lambda: heard.append(identity.current))
    for each in ("one", "one", "two", "two"):
        identity.learn(each)
    assert heard == ["two"]

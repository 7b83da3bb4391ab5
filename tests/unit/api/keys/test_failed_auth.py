"""How often an address may come without a valid key."""

from __future__ import annotations

import pytest

from api.keys.failed_auth import MOST_PEERS, FailedAuth, TooManyFailures, network_of
from api.keys.keyring import Keyring, Unauthorized
from sluice.core.errors import ServerAway
from sluice.core.peppers import Peppers
from sluice.core.rate_limit import Quota
from sluice.core.runtime.telemetry import Event, Telemetry
from tests.support.fakes import Events
from tests.unit.api.in_memory_api import PEPPER, Clock, Record

QUOTA = Quota(20, 60)
BAD = b"Bearer slc_x"


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def failures(clock: Clock, events: Events) -> FailedAuth:
    return FailedAuth(QUOTA, Telemetry(events), clock)


@pytest.fixture
def ring(record: Record, clock: Clock, failures: FailedAuth) -> Keyring:
    return Keyring(record, Peppers(PEPPER), 60, 600, clock, failures)


async def fail(ring: Keyring, peer: str, times: int = 20) -> None:
    for _ in range(times):
        with pytest.raises(Unauthorized):
            await ring.check([BAD], peer=peer)


async def test_after_twenty_failures_an_address_waits(ring: Keyring, clock: Clock, events: Events) -> None:
    await fail(ring, "10.0.0.1")
    with pytest.raises(TooManyFailures) as refused:
        await ring.check([BAD], peer="10.0.0.1")
    assert refused.value.retry_after_s == 3
    assert events.count(Event.PEER_LIMITED) == 1
    await fail(ring, "10.0.0.2")
    clock.now += 3
    await fail(ring, "10.0.0.1", 1)


async def test_what_is_refused_costs_the_record_nothing(ring: Keyring, record: Record) -> None:
    key = record.add_key("acme", "read")
    await fail(ring, "10.0.0.1")
    asked = record.asked
    with pytest.raises(TooManyFailures):
        await ring.check([f"Bearer {key}".encode()], peer="10.0.0.1")
    assert record.asked == asked


async def test_a_key_that_is_known_works_from_a_limited_address(
    ring: Keyring, record: Record, clock: Clock
) -> None:
    key = record.add_key("acme", "read").encode()
    await ring.check([b"Bearer " + key], peer="10.0.0.1")
    clock.now += 61  # it has to be looked up again
    await fail(ring, "10.0.0.1")
    for scheme in (b"Bearer ", b"bearer ", b"BEARER  "):
        assert (await ring.check([scheme + key], peer="10.0.0.1")).tenant == "acme"


async def test_good_keys_and_a_record_that_is_away_are_no_failures(ring: Keyring, record: Record) -> None:
    good = f"Bearer {record.add_key('acme', 'read')}".encode()
    for _ in range(30):
        await ring.check([good], peer="10.0.0.1")
    record.away = True
    other = f"Bearer {record.add_key('acme', 'read')}".encode()
    for _ in range(30):
        with pytest.raises(ServerAway):
            await ring.check([other], peer="10.0.0.1")


async def test_one_network_of_ipv6_counts_as_one(ring: Keyring) -> None:
    await fail(ring, "2001:db8::1", 10)
    await fail(ring, "2001:db8::ffff:2", 10)
    with pytest.raises(TooManyFailures):
        await ring.check([BAD], peer="2001:db8::3")
    await fail(ring, "2001:db8:0:1::1", 20)


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("", ""),
        ("/run/socket", ""),
    ],
)
def test_addresses_are_counted_by_network(peer: str, network: str) -> None:
    assert network_of(peer) == network


def test_memory_is_bounded(failures: FailedAuth) -> None:
    for number in range(MOST_PEERS + 10):
        failures.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(failures) == MOST_PEERS


def test_without_a_quota_nothing_is_counted(clock: Clock) -> None:
    failures = FailedAuth(None, Telemetry(), clock)
    failures.count("10.0.0.1")
    failures.check("10.0.0.1")
    assert len(failures) == 0

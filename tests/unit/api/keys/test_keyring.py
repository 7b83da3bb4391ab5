"""The keys that were verified lately, and the arguments of the command that makes them."""

from __future__ import annotations

import asyncio
from zlib import crc32

import pytest

from api.keys.api_key import hash_secret, make_key, parse_key
from api.keys.keyring import AWAY_S, LONGEST, MOST_KEYS, REFUSED_S, Keyring, Unauthorized
from sluice.core.errors import ServerAway
from sluice.core.peppers import Peppers
from sluice.core.ports import ApiKeyRecord
from tests.unit.api.in_memory_api import PEPPER, Clock, Record


@pytest.fixture
def ring(record: Record, clock: Clock) -> Keyring:
    return Keyring(record, Peppers(PEPPER), 60, 600, clock)


def bearer(key: str) -> bytes:
    return f"Bearer {key}".encode()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_good_key_says_who_asks(ring: Keyring, record: Record, scheme: str) -> None:
    key = record.add_key("acme", "read")
    identity = await ring.check([f"{scheme} {key}".encode()])
    assert (identity.tenant, identity.scopes) == ("acme", frozenset({"read"}))


async def test_a_verified_key_is_known_without_asking_again(ring: Keyring, record: Record) -> None:
    authorization = bearer(record.add_key("acme", "read"))
    assert ring.find_verified(authorization) is None
    identity = await ring.check([authorization])
    assert ring.find_verified(authorization) == identity
    await ring.check([authorization])
    assert record.asked == 1
    assert "1 verified" in repr(ring)


async def test_a_revoked_key_ends_within_its_freshness(ring: Keyring, record: Record, clock: Clock) -> None:
    authorization = bearer(record.add_key("acme", "read"))
    await ring.check([authorization])
    (key_id,) = record.keys
    record.keys[key_id] = record.keys[key_id]._replace(usable=False)
    clock.now += 59
    assert ring.find_verified(authorization)
    clock.now += 1
    assert ring.find_verified(authorization) is None
    with pytest.raises(Unauthorized):
        await ring.check([authorization])
    record.away = True
    with pytest.raises(Unauthorized):  # and it is not remembered for bad times
        await ring.check([authorization])


@pytest.mark.parametrize("away", [False, True])
async def test_a_key_is_never_good_beyond_its_end(
    ring: Keyring, record: Record, clock: Clock, away: bool
) -> None:
    authorization = bearer(record.add_key("acme", "read"))
    (key_id,) = record.keys
    record.keys[key_id] = record.keys[key_id]._replace(lasts_s=30)
    await ring.check([authorization])
    await ring.check_id(key_id)
    record.keys[key_id] = record.keys[key_id]._replace(usable=False, lasts_s=0)
    record.away = away
    clock.now += 29
    assert ring.find_verified(authorization)
    await ring.check_id(key_id)
    clock.now += 1
    assert ring.find_verified(authorization) is None
    with pytest.raises(ServerAway if away else Unauthorized):
        await ring.check([authorization])
    with pytest.raises(ServerAway if away else Unauthorized):
        await ring.check_id(key_id)


async def test_known_keys_stay_good_while_the_record_is_away(
    ring: Keyring, record: Record, clock: Clock
) -> None:
    authorization = bearer(record.add_key("acme", "read"))
    identity = await ring.check([authorization])
    record.away = True
    clock.now += 599
    assert ring.find_verified(authorization) is None
    assert await ring.check([authorization]) == identity
    assert ring.find_verified(authorization) == identity
    clock.now += 1
    assert ring.find_verified(authorization) is None
    with pytest.raises(ServerAway):
        await ring.check([authorization])


async def test_a_new_key_while_the_record_is_away_is_not_called_wrong(ring: Keyring, record: Record) -> None:
    authorization = bearer(record.add_key("acme", "read"))
    record.away = True
    with pytest.raises(ServerAway):
        await ring.check([authorization])
    record.away = False
    assert await ring.check([authorization])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer nonsense"],
        [b"Basic dXNlcjpwYXNz"],
        [b"Bearer \xff\xfe"],
        [b"slc_abcdefghijkl_ABCDEFGHIJKLMNOPQRSTUVWXYZ012345_00000000"],
    ],
)
async def test_what_is_no_key_is_refused_without_asking(
    ring: Keyring, record: Record, headers: list[bytes]
) -> None:
    with pytest.raises(Unauthorized):
        await ring.check(headers)
    assert record.asked == 0


async def test_two_authorizations_are_refused(ring: Keyring, record: Record) -> None:
    authorization = bearer(record.add_key("acme", "read"))
    with pytest.raises(Unauthorized, match="once"):
        await ring.check([authorization, authorization])


async def test_a_wrong_secret_of_a_real_key_is_refused(ring: Keyring, record: Record) -> None:
    other = parse_key(make_key().encode())
    mine = record.add_key("acme", "read")
    (key_id,) = record.keys
    assert other
    record.keys[key_id] = ApiKeyRecord(
        key_id, "acme", frozenset(), hash_secret(other.secret, PEPPER.encode()), True
    )
    with pytest.raises(Unauthorized):
        await ring.check([bearer(mine)])


async def test_a_refused_key_is_not_looked_up_again_for_a_while(
    ring: Keyring, record: Record, clock: Clock
) -> None:
    authorization = bearer(make_key())
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await ring.check([authorization])
    assert record.asked == 1
    clock.now += REFUSED_S
    with pytest.raises(Unauthorized):
        await ring.check([authorization])
    assert record.asked == 2


async def test_the_memory_of_refused_keys_is_bounded(ring: Keyring) -> None:
    for _ in range(MOST_KEYS + 10):
        with pytest.raises(Unauthorized):
            await ring.check([bearer(make_key())])
    assert f"{MOST_KEYS} refused" in repr(ring)


async def test_requests_with_the_same_key_share_one_look_up(ring: Keyring, record: Record) -> None:
    authorization = bearer(record.add_key("acme", "read"))
    await asyncio.gather(*[ring.check([authorization]) for _ in range(50)])
    assert record.asked == 1


async def test_a_request_that_leaves_does_not_spoil_the_others(ring: Keyring, record: Record) -> None:
    authorization = bearer(record.add_key("acme", "read"))
    leaving = asyncio.create_task(ring.check([authorization]))
    staying = asyncio.create_task(ring.check([authorization]))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).tenant == "acme"


async def test_while_the_record_is_away_it_is_not_asked_with_every_request(
    ring: Keyring, record: Record, clock: Clock
) -> None:
    authorization = bearer(record.add_key("acme", "read"))
    await ring.check([authorization])
    record.away = True
    clock.now += 60
    for _ in range(5):
        await ring.check([authorization])
    assert record.asked == 2
    clock.now += AWAY_S
    await ring.check([authorization])
    assert record.asked == 3


def padded(key: str, size: int) -> bytes:
    """The header with this key, with as many spaces as it takes to have so many bytes."""
    return b"Bearer " + b" " * (size - len(bearer(key))) + key.encode()


async def test_a_header_longer_than_any_key_is_refused_without_asking(ring: Keyring, record: Record) -> None:
    key = record.add_key("acme", "read")
    with pytest.raises(Unauthorized):
        await ring.check([padded(key, LONGEST + 1)])
    assert record.asked == 0
    assert await ring.check([padded(key, LONGEST)])


async def test_what_is_remembered_of_a_header_does_not_grow_with_it(ring: Keyring, record: Record) -> None:
    good, unknown = record.add_key("acme", "read"), make_key()
    for size in range(100, LONGEST):
        await ring.check([padded(good, size)])
        with pytest.raises(Unauthorized):
            await ring.check([padded(unknown, size)])
    assert record.asked == 2
    (verified,) = ring._verified.items()
    assert (len(verified[0]), verified[1].authorization) == (12, bearer(good))
    assert [len(each) for each in ring._refused] == [32]


async def test_a_wrong_secret_neither_passes_nor_spoils_the_right_one(ring: Keyring, record: Record) -> None:
    good = record.add_key("acme", "read")
    await ring.check([bearer(good)])
    head = f"{good[:17]}{'x' * 32}"
    wrong = bearer(f"{head}_{crc32(head.encode()):08x}")
    assert ring.find_verified(wrong) is None
    with pytest.raises(Unauthorized):
        await ring.check([wrong])
    assert ring.find_verified(bearer(good))
    record.away = True
    with pytest.raises(Unauthorized):  # refused a moment ago
        await ring.check([wrong])


OTHER = "another pepper, of 32 characters"


async def test_a_key_that_is_hashed_with_the_other_pepper_is_good_and_hashed_anew(
    record: Record, clock: Clock
) -> None:
    both = Keyring(record, Peppers(OTHER, PEPPER), 60, 600, clock)
    authorization = bearer(record.add_key("acme", "read"))
    (old,) = record.keys.values()
    assert (await both.check([authorization])).tenant == "acme"
    (new,) = record.keys.values()
    parsed = parse_key(authorization.removeprefix(b"Bearer "))
    assert parsed
    assert new == old._replace(secret_hmac=hash_secret(parsed.secret, OTHER.encode()))
    clock.now += 60
    assert (await both.check([authorization])).tenant == "acme"
    assert (await Keyring(record, Peppers(OTHER), 60, 600, clock).check([authorization])).tenant == "acme"
    for gone in (Peppers(PEPPER), Peppers(PEPPER, PEPPER[::-1])):
        with pytest.raises(Unauthorized):
            await Keyring(record, gone, 60, 600, clock).check([authorization])


async def test_with_two_peppers_a_wrong_secret_is_refused_and_the_hash_stays(
    record: Record, clock: Clock
) -> None:
    good = record.add_key("acme", "read")
    kept = dict(record.keys)
    head = f"{good[:17]}{'x' * 32}"
    with pytest.raises(Unauthorized):
        await Keyring(record, Peppers(OTHER, PEPPER), 60, 600, clock).check(
            [bearer(f"{head}_{crc32(head.encode()):08x}")]
        )
    assert record.keys == kept

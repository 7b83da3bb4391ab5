"""The pepper is changed while clients go on: nobody is refused, and the command says when the old one can be dropped."""

from __future__ import annotations

import asyncio

from sluice.core.peppers import pepper_id
from tests.integration.test_http import sluice
from tests.integration.test_keys import KEYS, status_of
from tests.integration.test_webhooks import ALLOWED, HOOKS, register
from tests.support.job_client import submit_and_wait
from tests.support.stack import Stack, make_a_key
from tests.support.webhook_receiver import signed_by, webhook_receiver

OLD, NEW = "a pepper for tests only", "the pepper that comes next"
FRESH_S = 0.2
FIRST = {"key_pepper": OLD, "key_pepper_other": NEW, "key_fresh_s": FRESH_S}
"""The new one is made known to every process, before any uses it."""
SECOND = {"key_pepper": NEW, "key_pepper_other": OLD, "key_fresh_s": FRESH_S}


async def counted(stack: Stack, **settings: str) -> dict[str, list[str]]:
    """What `sluice keys peppers` says of each pepper."""
    given = {f"SLUICE_{name.upper()}": value for name, value in settings.items()}
    status, said, complained = await sluice(stack.servers, "keys", "peppers", **given)
    assert (status, complained) == (0, "")
    return {line.split()[0]: line.split() for line in said.splitlines()}


async def test_no_key_is_refused_while_the_pepper_changes(bare_stack: Stack) -> None:
    keys = [await make_a_key(bare_stack.servers, "acme", ["read", "admin"]) for _ in range(2)]
    unused = await make_a_key(bare_stack.servers, "acme", ["read"])
    old, new = bare_stack.add_api(**FIRST), bare_stack.add_api(**SECOND)
    await asyncio.gather(old.ready(), new.ready())
    for api in (old, new):
        async with bare_stack.client(keys[0], api) as admin:
            keys.append((await admin.post(KEYS, json={"scopes": ["read"]})).json()["key"])
    for _ in range(5):  # each is hashed anew by both, again and again
        for key in keys:
            for api in (old, new):
                async with bare_stack.client(key, api) as client:
                    assert await status_of(client) == 200
        await asyncio.sleep(FRESH_S)
    old.stop()
    for key in keys:
        async with bare_stack.client(key, new) as client:
            assert await status_of(client) == 200
    said = await counted(bare_stack, key_pepper=NEW, key_pepper_other=OLD)
    assert said[pepper_id(NEW)][1] == str(len(keys))
    assert said[pepper_id(NEW)][-1] == "SLUICE_KEY_PEPPER"
    assert said[pepper_id(OLD)][1] == "1"
    assert said[pepper_id(OLD)][-1] == "SLUICE_KEY_PEPPER_OTHER"
    listed = (await sluice(bare_stack.servers, "keys", "list", "--record"))[1].splitlines()
    (left,) = [line for line in listed if pepper_id(OLD) in line]
    assert left.startswith(unused.split("_")[1])
    async with bare_stack.another_api(key_pepper=NEW) as last:
        for key, status in [*((key, 200) for key in keys), (unused, 401)]:
            async with bare_stack.client(key, last) as client:
                assert await status_of(client) == status
    assert "refused" in (await counted(bare_stack, key_pepper=NEW))[pepper_id(OLD)][-1]


async def test_a_page_token_of_before_is_good_and_webhooks_are_signed_for_both(bare_stack: Stack) -> None:
    key = await make_a_key(bare_stack.servers, "acme", ["submit", "read", "payloads", "admin"])
    old, new = bare_stack.add_api(**FIRST, **ALLOWED), bare_stack.add_api(**SECOND, **ALLOWED)
    consumer = bare_stack.add_consumer(**SECOND, **ALLOWED)
    await asyncio.gather(*(each.ready() for each in (old, new, consumer)))
    async with (
        bare_stack.client(key, old) as before,
        bare_stack.client(key, new) as after,
        webhook_receiver() as receiver,
    ):
        hook = await register(before, receiver)
        for _ in range(2):
            await submit_and_wait(before)
        token = (await before.get("/v1/jobs", params={"page_size": 1})).json()["next_page_token"]
        paged = await after.get("/v1/jobs", params={"page_size": 1, "page_token": token})
        assert (paged.status_code, len(paged.json()["jobs"])) == (200, 1)
        assert all(signed_by(hook["secret"], each) for each in await receiver.until(2))
        rotated = (await after.post(f"{HOOKS}/{hook['id']}/rotate", json={})).json()
        await submit_and_wait(after)
        came = (await receiver.until(3))[-1]
        assert signed_by(hook["secret"], came)
        assert signed_by(rotated["secret"], came)
        consumer.stop()
        last = bare_stack.add_consumer(key_pepper=NEW, **ALLOWED)
        await last.ready()
        await submit_and_wait(after)
        came = (await receiver.until(4))[-1]
        assert signed_by(rotated["secret"], came)
        assert not signed_by(hook["secret"], came)

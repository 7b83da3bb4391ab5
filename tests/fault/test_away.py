"""Each server away in each way: what every endpoint answers, what the process reports, and that all recovers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from infra.local.servers import Servers
from tests.fault.away.client import Answer, ask_everything, fill_up, prepare
from tests.fault.away.proxied_stack import ProxiedStack, check, proxied_stack
from tests.support.job_client import SUM, WAIT
from tests.support.stack import Process
from tests.support.waiting import until_found

LONGEST_S = 5.0
"""No answer waits for a server. On a quiet machine each comes within 1 s, lists within 2 s."""

TABLE = """
    server    how        submit   known  cached  same  open     wait     list     cancel   delete   ready  check
    rabbitmq  refused    202      200    200     hit   200      200      200      200      204      200    degraded
    rabbitmq  frozen     202      200    200     hit   200      200      200      200      204      200    degraded
    rabbitmq  silent     202      200    200     hit   200      200      200      200      204      200    degraded
    rabbitmq  slow       202      200    200     hit   200      200      200      200      204      200    ok
    rabbitmq  alarm      202      200    200     hit   200      200      200      200      204      200    degraded
    redis     killed     202      200    200     hit   200      200      200      200      copies   200    degraded
    redis     frozen     202      200    200     hit   200      200      200      200      copies   200    degraded
    redis     silent     202      200    200     hit   200      200      200      200      copies   200    degraded
    redis     slow       202      200    200     hit   200      200      200      200      copies   200    degraded
    redis     read-only  202      200    200     hit   200      200      200      200      copies   200    any
    postgres  killed     away     200    200     hit   away     away     away     away     away     503    failing
    postgres  frozen     unsure   200    200     hit   away     away     away     away     away     503    failing
    postgres  silent     unsure   200    200     hit   away     away     away     away     away     503    failing
    postgres  slow       perhaps  200    200     hit   perhaps  perhaps  perhaps  perhaps  perhaps  any    any
    postgres  full       refused  200    200     hit   200      200      200      update   204      503    failing
    postgres  read-only  unfit    200    200     hit   session  session  session  unfit    unfit    503    failing
    """
"""The first answers after a server has gone. `known` is a finished job in process memory, `cached` one in Redis, `same` a
submit of work that was done before, `open` an unfinished job. `slow` is 300 ms for each round trip.
"""

MEANING = {
    "away": {"record-away"},
    "refused": {"record-read-only"},
    "copies": {"cache-away"},
    "unsure": {"record-away", "outcome-unknown"},  # the latter if the statement was sent
    "perhaps": {
        "200",
        "202",
        "204",
        "record-away",
        "outcome-unknown",
    },  # connecting takes longer than a request waits
    "update": {"200", "record-read-only"},  # it may fit into an existing page
    "session": {
        "200",
        "record-away",
    },  # open sessions go on; none is opened with a server that takes no writes
    "unfit": {"record-read-only", "record-away"},  # the same
    "any": {"200", "503", "ok", "degraded", "failing"},
}
"""What a word of the table stands for, where it is not the answer itself."""

SERVERS = {"rabbitmq": "rabbitmq", "redis": "redis", "postgres": "postgresql"}


class Row(NamedTuple):
    """One line of the table."""

    server: str
    how: str
    cells: dict[str, set[str]]

    @property
    def check(self) -> set[str]:
        """Return what `/check` may report."""
        return self.cells["check"]

    def surprises(self, seen: dict[str, Answer]) -> dict[str, Answer]:
        """Return what was not answered as the row says, or not in time."""
        return {
            name: answer
            for name, answer in seen.items()
            if answer.outcome not in self.cells[name] or answer.after_s > LONGEST_S
        }


def rows() -> Iterator[Row]:
    """Parse the table."""
    head, *lines = (line.split() for line in TABLE.strip().splitlines())
    for server, how, *words in lines:
        yield Row(
            server, how, {name: MEANING.get(word, {word}) for name, word in zip(head[2:], words, strict=True)}
        )


@pytest.fixture(scope="module")
def proxied(shared_servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedStack]:
    """Run one stack for all rows."""
    with proxied_stack(shared_servers, tmp_path_factory.mktemp("away")) as running:
        yield running


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: f"{row.server}-{row.how}")
async def test_every_request_is_answered_in_time_and_truthfully(proxied: ProxiedStack, row: Row) -> None:
    await proxied.until_healthy()
    api = proxied.api(row.server)
    async with proxied.stack.client(api=api) as client:
        known = await prepare(proxied.stack, client)
        async with proxied.away(row.server, row.how):
            if row.how == "full":
                await fill_up(client)
            seen = await ask_everything(client, api.private_url, known)
            assert row.surprises(seen) == {}
            await until_found(lambda: _reports_it(api, row))
        slowest = max(answer.after_s for name, answer in seen.items() if name not in ("wait", "list"))
        sys.stdout.write(f"{row.server} {row.how}: the slowest answer took {slowest:.3f} s\n")
        await proxied.until_healthy()
        again = await client.post("/v1/jobs", json=SUM, headers=WAIT)
        assert (again.status_code, again.json()["result"]) == (200, {"total": 6})


async def _reports_it(api: Process, row: Row) -> bool:
    found = await check(api)
    away = {name for name, each in found["dependencies"].items() if each["status"] != "up"}
    return found["status"] in row.check and away <= {SERVERS[row.server]}

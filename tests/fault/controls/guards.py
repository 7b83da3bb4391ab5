"""The guards, each with the few lines that remove it and the faults that show its absence.

Where another guard would repair what the first lets through, that one is removed on both sides of the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tests.fault.chaos.run import Plan
from tests.fault.chaos.schedule import Fault, ProcessCounts

SEED = 1
SMALL = ProcessCounts(apis=2, consumers=2)
QUIESCE_S = 25.0
"""Longer than the intact product takes to find messages that RabbitMQ has lost."""
FEW_SLOTS = '{"default":{"slots":8,"ids_per_message":4},"heavy":{"slots":1,"ids_per_message":1}}'


class Cut(NamedTuple):
    """In a file of the copy, `old` becomes `new`."""

    file: str
    old: str
    new: str


class Guard(NamedTuple):
    """What is removed, in words and in lines, and the violations that show it: one of them is enough.

    `also_removed` is removed in both runs: the intact one has to be good without it as well.
    """

    name: str
    cuts: tuple[Cut, ...]
    plan: Plan
    shown_by: frozenset[str]
    also_removed: tuple[Cut, ...] = ()


KEEPER = "consumer/keeper/timetable.py"
NO_SEARCH = (Cut(KEEPER, "        if ports.depths:\n", "        if False:\n"),)
"""Removes the search for messages that RabbitMQ has lost."""

_REPUBLISH_OUTBOX = (
    '            "publish": RepublishOutbox(store, publisher, telemetry, ports.connected).once,\n'
)
_BLIND_ACCEPT = """\
        try:
            accepted = await self._store.accept(jobs)
        except Exception:
            from datetime import UTC

            from sluice.core.job import Accepted

            accepted = Accepted(datetime.now(UTC), frozenset(job.id for job in jobs), ())
"""


def plan(
    *script: Fault, seconds: float, rate: float = 60.0, client_mix: Mapping[str, float] | None = None, **settings: object
) -> Plan:  # fmt: skip
    """Plan a short run with these faults, and with clients that behave in these ways alone."""
    usual = Plan(SEED, seconds, {}, rate, SMALL, script=script, settings=settings, quiesce_s=QUIESCE_S)
    return usual._replace(client_mix=client_mix) if client_mix else usual


def fault(at_s: float, kind: str, target: str, lasts_s: float = 0.0) -> Fault:
    """Make one fault of a script."""
    return Fault(at_s, kind, target, lasts_s)


GUARDS = (
    Guard(
        "the fence is not compared when an ending is written",
        (Cut("sluice/adapters/postgres/queries/fragments/settled.sql", "join held using (id, fence, owner)", "join held using (id)"),),
        plan(
            fault(4, "consumer-freeze", "consumer-0", 4.0),
            fault(11, "consumer-freeze", "consumer-1", 4.0),
            seconds=18, rate=5, client_mix={"slow": 1},
        ),
        frozenset({"written by an older claim", "claims unexplained"}),
    ),
    Guard(
        "nobody publishes again what was not published",
        (Cut(KEEPER, _REPUBLISH_OUTBOX, ""), *NO_SEARCH),
        plan(fault(4, "rabbitmq-kill", "rabbitmq", 1.0), seconds=15),
        frozenset({"stuck"}),
    ),
    Guard(
        "nobody looks for messages that RabbitMQ has lost",
        NO_SEARCH,
        plan(
            fault(6, "rabbitmq-purge", "rabbitmq"), fault(7, "rabbitmq-wipe", "rabbitmq"),
            seconds=14, rate=9, client_mix={"slow": 1}, lanes=FEW_SLOTS,
        ),
        frozenset({"stuck"}),
    ),
    Guard(
        "nobody takes jobs from consumers that are gone",
        (Cut(KEEPER, '            "rescue": RescueJobs(store, cache, telemetry, lambda: lease.is_steady).once,\n', ""),),
        plan(fault(5, "consumer-kill", "consumer-0"), seconds=10, rate=5, client_mix={"slow": 1}),
        frozenset({"stuck"}),
    ),
    Guard(
        "a message counts as sent before RabbitMQ has confirmed it",
        (
            Cut(
                "sluice/adapters/rabbitmq/publishing.py",
                "await within(CALL_S, connection.channel())",
                "await within(CALL_S, connection.channel(publisher_confirms=False))",
            ),
        ),
        plan(fault(5, "rabbitmq-hang", "rabbitmq", 3.0), seconds=16),
        frozenset({"stuck"}),
        also_removed=NO_SEARCH,
    ),
    Guard(
        "a message is acknowledged before its jobs are claimed",
        (
            Cut("consumer/intake/lane_buffer.py", "        ids = decode(delivery.body)\n", "        ids = decode(delivery.body)\n        delivery.acknowledge()\n"),
            Cut("consumer/acknowledging.py", "            self._delivery.acknowledge()\n", "            pass\n"),
        ),
        plan(
            fault(6, "consumer-kill", "consumer-0"), fault(8, "consumer-kill", "consumer-1"),
            seconds=10, rate=10, client_mix={"slow": 1}, lanes=FEW_SLOTS,
        ),
        frozenset({"stuck"}),
        also_removed=NO_SEARCH,
    ),
    Guard(
        "PostgreSQL answers a commit before it is on disk",
        (
            Cut("sluice/adapters/postgres/queries/server_checks/server_settings.sql", "'on'", "'off'"),
            Cut("sluice/adapters/postgres/queries/server_checks/server_settings.sql", "$1::bool and synchronous_commit not in ('off', 'local')", "$1::bool or true"),
        ),
        plan(
            *(fault(4 * number, "postgres-kill", "postgres") for number in range(1, 6)),
            seconds=24, rate=150, client_mix={"plain": 1}, unsafe_durability="accept",
        ),
        frozenset({"lost"}),
    ),
    Guard(
        "an unknown commit counts as a good one",
        (Cut("api/jobs/submit.py", "        accepted = await self._store.accept(jobs)\n", _BLIND_ACCEPT),),
        plan(fault(4, "postgres-kill", "postgres"), seconds=10),
        frozenset({"lost"}),
    ),
    Guard(
        "keys are not looked at when jobs are inserted",
        (
            Cut(
                "sluice/adapters/postgres/queries/job_store/accept.sql",
                "where (key is null or id in (select job_id from keyed))",
                "where (key is null or id in (select job_id from keyed) or true)",
            ),
        ),
        plan(seconds=6, client_mix={"twins": 1}),
        frozenset({"duplicated"}),
    ),
    Guard(
        "equal pure work does not share a flight",
        (Cut("api/jobs/submit.py", "flight=not limited,", "flight=False,"),),
        plan(seconds=6, rate=100, client_mix={"pure": 1}),
        frozenset({"same work done twice"}),
    ),
    Guard(
        "unfinished documents are kept in process memory",
        (
            Cut("api/jobs/lookup.py", "        if document and document.finished:\n", "        if document:\n"),
        ),
        plan(seconds=8, client_mix={"followed": 1}),
        frozenset({"went back", "shown unfinished after its end"}),
    ),
    Guard(
        "a record that is away is taken for one without the job",
        (
            Cut(
                "api/jobs/lookup.py",
                "        jobs = await self._store.look_up(list(set(ids)))\n",
                "        try:\n            jobs = await self._store.look_up(list(set(ids)))\n"
                "        except ServerAway:\n            jobs = {}\n",
            ),
        ),
        plan(fault(4, "postgres-kill", "postgres", 1.0), seconds=10, client_mix={"followed": 1}),
        frozenset({"not found after its 202"}),
    ),
    Guard(
        "the tenant of a document is not compared",
        (Cut("api/jobs/lookup.py", "if document is None or document.tenant != tenant:", "if document is None:"),),
        plan(seconds=6, client_mix={"foreign": 1}),
        frozenset({"seen by a stranger"}),
    ),
    Guard(
        "a cancel is forgotten when a job ends",
        (
            Cut(
                "sluice/adapters/postgres/queries/fragments/settled.sql",
                "case when cancel_requested_at is null then ended.state else 'cancelled' end",
                "case when ended.state = 'queued' then 'succeeded' else ended.state end",
            ),
        ),
        plan(seconds=8, client_mix={"cancelled": 1}),
        frozenset({"stuck"}),  # the schema refuses such an ending, so the job has none
    ),
    Guard(
        "the death of a host is charged to all jobs it had",
        (Cut("consumer/hosts/in_hand.py", "                done.set_exception(Interrupted(suspected=is_blamed))\n", "                done.set_result(ChildDied(how))\n"),),
        plan(
            fault(4, "host-kill", "consumer-0"), fault(7, "host-kill", "consumer-1"),
            seconds=10, rate=10, client_mix={"slow": 1},
        ),
        frozenset({"charged although not the cause"}),
    ),
    Guard(
        "the neighbours of a job that blocks the event loop are charged with it",
        (Cut("consumer/hosts/in_hand.py", "ChildDied(how) if is_blamed else Released()", "ChildDied(how)"),),
        plan(seconds=14, rate=6, client_mix={"slow": 29, "blocking": 1}, lease_s=8),
        frozenset({"charged although not the cause"}),
    ),
    Guard(
        "what a host has started is not ended with it",
        (Cut("consumer/hosts/descendants.py", "                end_descendants(self._hosts)\n", "                pass\n"),),
        plan(seconds=8, rate=10, client_mix={"plain": 19, "exiting": 1}),
        frozenset({"processes left behind"}),
    ),
    Guard(
        "a host does not end with its consumer",
        (
            Cut("sluice/host/watch.py", "            on_gone()\n", "            pass\n"),
            Cut("sluice/host/shared_host.py", "        except (EOFError, ConnectionError):\n            leave()\n", "        except (EOFError, ConnectionError):\n            pass\n"),
        ),
        plan(fault(5, "consumer-kill", "consumer-0"), seconds=8, rate=10, client_mix={"slow": 1}),
        frozenset({"processes left behind"}),
    ),
)  # fmt: skip
"""All guards that can be removed."""

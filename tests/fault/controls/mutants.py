"""Guards that a single test watches: what is removed, and the test that has to go red without it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.fault.controls.guards import Cut
from tests.fault.controls.tree import copy_product
from tests.support.stack import ROOT

FAILED = 1
"""Exit status of pytest if a test has failed; if there was none, or it could not start, it is another."""


class Mutant(NamedTuple):
    """What is removed, in words and in lines, and the tests (as pytest names them) that notice it."""

    name: str
    cuts: tuple[Cut, ...]
    tests: tuple[str, ...]


_REDIS = "sluice/adapters/redis/connection.py"
_QUERIES = "sluice/adapters/postgres/queries"
_LEASE_STORE = "sluice/adapters/postgres/lease_store.py"
_OWN_CLOCK = '__import__("time").time() + self._lease_s'
_RECORD = "sluice/adapters/postgres/migrations/versions/0001_the_record.sql"

MUTANTS = (
    Mutant(
        "a batch that is to be accepted whole is accepted without what was skipped",
        (Cut(f"{_QUERIES}/job_store/accept.sql", "case when $24::bool then", "case when $24::bool and false then"),),
        ("tests/contract/test_job_store.py::test_all_jobs_are_accepted_or_none",),
    ),
    Mutant(
        "the key of a batch is none of its items",
        (Cut("api/batches/items.py", "key = own or (sender.key", "key = own or (None and sender.key"),),
        ("tests/fault/test_batches.py::test_an_api_that_is_killed_in_the_middle_goes_on_where_it_was",),
    ),
    Mutant(
        "the record lets finished jobs be changed",
        (Cut(_RECORD, "    when (old.state in (", "    when (false and old.state in ("),),
        ("tests/integration/record/test_record_history.py::test_nothing_at_all_of_a_finished_job_can_be_changed",),
    ),
    Mutant(
        "the record lets a fence fall",
        (Cut(_RECORD, "or new.fence < old.fence or", "or"),),
        ("tests/integration/record/test_record_history.py::test_fence_and_version_never_fall",),
    ),
    Mutant(
        "a message that reached no queue counts as sent",
        (Cut("sluice/adapters/rabbitmq/publishing.py", "mandatory=True", "mandatory=False"),),
        ("tests/integration/rabbitmq/test_rabbitmq_faults.py::"
         "test_a_message_for_a_missing_queue_is_noticed_and_the_queue_is_made_again",),
    ),
    Mutant(
        "redis-py tries again, and nobody looks at the clock",
        (Cut("sluice/adapters/redis/client.py", "Retry(NoBackoff(), 0)", "Retry(NoBackoff(), 20)"), Cut(_REDIS, "asyncio.timeout(budget_s or self._budget_s)", "asyncio.timeout(None)")),
        ("tests/integration/test_redis_cache.py::test_a_frozen_redis_costs_a_read_no_more_than_its_budget",),
    ),
    Mutant(
        "a lease goes by the clock of the consumer",
        (
            Cut(f"{_QUERIES}/lease_store/take_lease.sql", "clock_timestamp() + $8::float8 * interval '1 second'", "to_timestamp($8::float8)"),
            Cut(f"{_QUERIES}/lease_store/renew_lease.sql", "clock_timestamp() + $2::float8 * interval '1 second'", "to_timestamp($2::float8)"),
            Cut(_LEASE_STORE, "list(kinds.values()), self._lease_s,", f"list(kinds.values()), {_OWN_CLOCK},"),
            Cut(_LEASE_STORE, "self._owner.id, self._lease_s, report", f"self._owner.id, {_OWN_CLOCK}, report"),
        ),
        ("tests/fault/test_clocks.py::test_leases_hold_and_no_job_is_done_twice",),
    ),
    Mutant(
        "a lease that is over is renewed",
        (Cut(f"{_QUERIES}/lease_store/renew_lease.sql", " and lease_until > clock_timestamp()", ""),),
        ("tests/contract/test_lease_store.py::test_a_lease_is_taken_and_renewed_until_it_is_over",),
    ),
    Mutant(
        "a consumer runs jobs of a newer version of their kind than it has",
        (Cut(f"{_QUERIES}/fragments/claimable.sql", "handler_version <= :version_here", ":version_here is not null"),),
        ("tests/contract/test_job_store.py::test_only_a_version_that_is_not_older_runs_a_job",),
    ),
    Mutant(
        "a newer version gives the result of an older one",
        (Cut(f"{_QUERIES}/fragments/claimed.sql", "case when not wanted.older then fingerprint end", "fingerprint"),),
        ("tests/contract/test_job_store.py::test_a_newer_version_gives_no_result_for_the_version_that_was_asked_for",),
    ),
    Mutant(
        "a claim does not ask whether its lease holds",
        (Cut(f"{_QUERIES}/fragments/lease.sql", "lease_until > clock_timestamp() + $4::float8 * interval '1 second'", "$4::float8 > 0"),),
        ("tests/integration/record/test_record_claims_need_a_lease.py::"
         "test_no_job_is_claimed_under_a_lease_that_is_about_to_end",),
    ),
    Mutant(
        "a keeper judges others although it has just lost touch with the record itself",
        (Cut("consumer/keeper/timetable.py", "lambda: lease.is_steady", "lambda: True"),),
        ("tests/unit/consumer/keeper/test_steady_contact.py::"
         "test_a_keeper_that_has_just_reached_the_record_again_rescues_nothing",),
    ),
    Mutant(
        "a host whose event loop is blocked is left alone",
        (Cut("consumer/hosts/places.py", "                self._end_blocked(place)\n", "                pass\n"),),
        ("tests/unit/consumer/hosts/test_places.py::test_a_silent_host_is_ended_once",),
    ),
    Mutant(
        "the death of a host is charged to all its jobs",
        (Cut("consumer/hosts/in_hand.py", "                done.set_exception(Interrupted(suspected=is_blamed))\n", "                done.set_result(ChildDied(how))\n"),),
        ("tests/unit/consumer/hosts/test_hosts.py::"
         "test_jobs_beside_one_that_kills_their_host_go_on_elsewhere_and_it_alone_is_charged",),
    ),
    Mutant(
        "a handler that does not end keeps its host",
        (Cut("consumer/hosts/in_hand.py", "        self._stopping.on_late(run.attempt)\n", ""),),
        ("tests/unit/consumer/hosts/test_hosts.py::test_a_handler_that_goes_on_after_a_cancel_costs_its_host_too",),
    ),
    Mutant(
        "what a dead host has started goes on",
        (Cut("consumer/hosts/child.py", "            await self._spec.descendants.forget(process.pid)\n", ""),),
        ("tests/unit/consumer/hosts/test_consumers_end.py::"
         "test_what_a_host_that_died_has_left_behind_is_ended_and_the_rest_spared",),
    ),
    Mutant(
        "a body may be of any size",
        (Cut("api/http/body.py", "        if size > limit:", "        if False:"),),
        ("tests/integration/test_bad_input.py",),
    ),
    Mutant(
        "a host goes on although it has lost a message",
        (Cut("sluice/host/shared_host.py", "            break_off(error)\n\n    def _start", "            pass\n\n    def _start"),),
        ("tests/unit/host/test_breaking_off.py::test_a_host_that_has_no_memory_to_receive_a_message_ends",),
    ),
)  # fmt: skip
"""All guards that single tests watch."""


def noticed(mutant: Mutant, place: Path) -> bool:
    """Tell whether its tests, green as they are, fail in a copy without the guard."""
    return _run(mutant.tests, _copy_with_tests(place / "intact", ())) == 0 and (
        _run(mutant.tests, _copy_with_tests(place / "removed", mutant.cuts)) == FAILED
    )


def _copy_with_tests(to: Path, cuts: Iterable[Cut]) -> Path:
    """Copy the product with its tests and their configuration."""
    root = copy_product(to, cuts)
    for folder in ("tests", "infra", "loadtests", "docs"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.glob("*.toml"):
        shutil.copy(path, root)
    return root


def _run(tests: Iterable[str], root: Path) -> int:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=root, capture_output=True, timeout=600).returncode

"""New ids."""

from __future__ import annotations

from uuid import UUID

from sluice.core.runtime.ids import new_job_id


def test_ids_are_of_version_7_and_sort_by_time() -> None:
    ids = [new_job_id() for _ in range(1_000)]
    assert ids == sorted(set(ids))
    assert {UUID(each).version for each in ids} == {7}

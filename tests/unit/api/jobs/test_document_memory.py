"""Finished documents in process memory."""

from __future__ import annotations

from api.jobs.document_memory import OVERHEAD, DocumentMemory
from api.jobs.job_response import found, not_modified
from sluice.core.document import Document
from tests.unit.api.in_memory_api import Clock


def document(number: int, size: int = 100) -> Document:
    """A finished document of so many bytes."""
    return Document(f"job-{number}", "acme", 3, "succeeded", 0, 0, b"x" * size)


async def test_a_document_is_kept_with_its_answers_made_once() -> None:
    memory = DocumentMemory(10_000, 10, Clock())
    memory.put(document(1))
    entry = memory.get("job-1")
    assert entry is not None
    assert entry.document == document(1)
    assert entry.found == found(document(1))
    assert entry.not_modified == not_modified(document(1))
    assert memory.get("job-2") is None


async def test_a_document_is_forgotten_when_its_time_is_over() -> None:
    clock = Clock()
    memory = DocumentMemory(10_000, 10, clock)
    memory.put(document(1))
    clock.now += 10
    assert memory.get("job-1")
    clock.now += 0.1
    assert memory.get("job-1") is None
    assert len(memory) == 0


async def test_a_memory_that_was_cleared_is_empty_and_has_all_its_room() -> None:
    memory = DocumentMemory(2 * (100 + OVERHEAD), 10, Clock())
    for number in (1, 2):
        memory.put(document(number))
    memory.clear()
    assert len(memory) == 0
    for number in (3, 4):
        memory.put(document(number))
    assert len(memory) == 2


async def test_reading_does_not_keep_a_document_longer() -> None:
    clock = Clock()
    memory = DocumentMemory(10_000, 10, clock)
    memory.put(document(1))
    for _ in range(3):
        clock.now += 3
        memory.get("job-1")
        memory.put(document(1))
    clock.now += 2
    assert memory.get("job-1") is None


async def test_what_is_out_of_date_leaves_when_something_new_comes() -> None:
    clock = Clock()
    memory = DocumentMemory(10_000, 10, clock)
    memory.put(document(1))
    clock.now += 11
    memory.put(document(2))
    assert len(memory) == 1


async def test_the_oldest_make_room_for_the_newest() -> None:
    memory = DocumentMemory(3 * (100 + OVERHEAD), 10, Clock())
    for number in range(5):
        memory.put(document(number))
    assert [bool(memory.get(f"job-{number}")) for number in range(5)] == [False, False, True, True, True]


async def test_the_limit_holds_over_many_documents_of_many_sizes() -> None:
    memory = DocumentMemory(20_000, 10, Clock())
    for number in range(500):
        memory.put(document(number, size=number * 37 % 5_000))
        held = [memory.get(f"job-{each}") for each in range(number + 1)]
        assert sum(len(each.document.body) + OVERHEAD for each in held if each) <= 20_000
    assert len(memory) > 3


async def test_a_document_larger_than_the_limit_displaces_nothing() -> None:
    memory = DocumentMemory(5_000, 10, Clock())
    memory.put(document(1))
    memory.put(document(2, size=5_000))
    assert memory.get("job-1")
    assert memory.get("job-2") is None


async def test_a_document_put_twice_counts_once() -> None:
    memory = DocumentMemory(2 * (100 + OVERHEAD), 10, Clock())
    for _ in range(10):
        memory.put(document(1))
    memory.put(document(2))
    assert memory.get("job-1")
    assert memory.get("job-2")


async def test_a_memory_of_no_size_keeps_nothing() -> None:
    memory = DocumentMemory(0, 10, Clock())
    memory.put(document(1))
    assert len(memory) == 0

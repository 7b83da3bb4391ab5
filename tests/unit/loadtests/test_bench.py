"""What the bench makes of its samples, and what it reads from the load generator's output."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.bench import generator, table
from loadtests.bench.figures import Figure, percentile, ratio
from loadtests.bench.generator import BenchError, Request, Run, next_count
from loadtests.bench.queue_plan import locked_version

SAID = """
finished in 2.00s, 1000.00 req/s, 1.00MB/s
requests: 2000 total, 2000 started, 2000 done, 1500 succeeded, 500 failed, 0 errored, 0 timeout
status codes: 1500 2xx, 0 3xx, 0 4xx, 500 5xx
                     min         max         mean         sd        +/- sd
time for request:      123us     250.5ms     10.34ms      4.61ms    70.50%
"""


def figure(name: str, *samples: float) -> Figure:
    made = Figure(name, "/s")
    for sample in samples:
        made.add(sample)
    return made


def test_only_answers_as_expected_count_into_the_rate() -> None:
    assert generator._read(SAID, Request("http://here/")) == Run(
        good=1500, bad=500, per_s=750.0, slowest_s=0.2505
    )


def test_a_run_without_any_expected_answer_is_no_measurement() -> None:
    with pytest.raises(BenchError, match="no 3xx answer"):
        generator._read(SAID, Request("http://here/", expected=3))


def test_a_run_is_as_long_as_asked_for_but_bounded() -> None:
    assert next_count(Run(1, 0, 1_000), seconds=2, connections=64) == 2_000
    assert next_count(Run(1, 0, 1), seconds=2, connections=64) == 256
    assert next_count(Run(1, 0, 1e9), seconds=2, connections=64) == generator.MOST


def test_a_ratio_is_the_median_over_rounds_and_not_the_ratio_of_medians() -> None:
    assert ratio(figure("fast", 10, 40, 90), figure("slow", 10, 10, 100)) == 1.0


def test_a_percentile_is_a_sample_that_was_seen() -> None:
    samples = [float(number) for number in range(100, 0, -1)]

    assert [percentile(samples, share) for share in (50, 99, 100)] == [50.0, 99.0, 100.0]
    assert percentile([7.0], 50) == 7.0


def test_a_missed_target_is_called_missed(tmp_path: Path) -> None:
    bare, poll, memory = figure("bare", 100, 100), figure("poll", 50, 60), figure("memory", 90)
    poll.at_least(0.75, bare, "bare")
    memory.at_most(110)

    text = table.markdown({"machine": "this one"}, 2, [bare, poll, memory])

    assert "| poll | 55 /s | 50 to 60 |  | 0.55 times bare | ≥ 0.75 | missed |" in text
    assert "| memory | 90 /s |  |  |  | ≤ 110 | met |" in text


def test_a_ratio_may_be_bounded_from_above_too() -> None:
    rest, beside, slow = figure("rest", 2, 4), figure("beside", 2.2, 4), figure("slow", 3, 6)
    for each in (beside, slow):
        each.at_most_times(1.1, rest, "at rest")

    text = table.markdown({}, 2, [rest, beside, slow])

    assert "1.05 times at rest | ≤ 1.1 | met |" in text
    assert "1.50 times at rest | ≤ 1.1 | missed |" in text


def test_a_record_takes_the_place_of_the_one_before_and_leaves_the_rest(tmp_path: Path) -> None:
    begin, end = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
    file = tmp_path / "performance.md"
    file.write_text(f"before\n{begin}\nold\n{end}\nafter\n")

    table.record(file, "figures", "new")

    assert file.read_text() == f"before\n{begin}\n\nnew\n{end}\nafter\n"


def test_records_of_another_name_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    for name in ("figures", "peers"):
        table.record(file, name, f"those of {name}")

    table.record(file, "figures", "new")

    assert "those of peers" in file.read_text()
    assert "those of figures" not in file.read_text()


def test_the_release_that_is_locked_is_read_whatever_extras_it_has() -> None:
    lock = "redis==8.1.0 \\\n    --hash=sha256:12\ndramatiq[rabbitmq, redis]==2.2.1 \\\n"

    assert [locked_version(name, lock) for name in ("redis", "dramatiq", "pika")] == ["8.1.0", "2.2.1", "?"]

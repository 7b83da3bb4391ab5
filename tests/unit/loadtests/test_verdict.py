"""When a run of the load was good enough."""

from __future__ import annotations

from loadtests.verdict import JOB, POLL, POLLED, REFUSED, Row, breaches, polls_per_job


def row(name: str, **changes: object) -> Row:
    usual = Row("GET", name, asked=100, errors=0, p50_ms=2.0, p95_ms=9.0, p99_ms=20.0)
    return usual._replace(**changes)  # type: ignore[arg-type]  # values of its own fields


def test_a_run_within_all_bounds_is_good() -> None:
    assert breaches([row("read")], ["read"]) == []


def test_a_p95_at_the_bound_is_too_slow() -> None:
    assert breaches([row("read", p95_ms=499.9)], ["read"]) == []
    assert breaches([row("read", p95_ms=500.0)], ["read"]) == ["read: p95 is 500 ms, not below 500"]


def test_one_error_is_one_too_many() -> None:
    assert breaches([row("read", errors=1)], ["read"]) == ["read: 1 of 100 went wrong"]


def test_refusals_are_no_errors_but_have_to_be_quick() -> None:
    assert breaches([row("read"), row(f"read{REFUSED}")], ["read"]) == []
    assert len(breaches([row("read"), row(f"read{REFUSED}", p95_ms=700.0)], ["read"])) == 1


def test_a_journey_that_was_only_refused_shows_nothing() -> None:
    assert breaches([row(f"read{REFUSED}")], ["read"]) == ["read: never answered as it should be"]


def test_a_run_in_which_nothing_was_asked_for_is_not_good() -> None:
    assert breaches([], ["read", "submit"]) == [
        "read: never answered as it should be",
        "submit: never answered as it should be",
    ]


def test_a_row_of_errors_alone_counts_as_unanswered() -> None:
    assert "read: never answered as it should be" in breaches([row("read", errors=100)], ["read"])


def test_what_a_user_raised_is_a_breach() -> None:
    assert breaches([row("read")], ["read"], ["3 times oh no"]) == ["3 times oh no"]


def test_the_time_of_a_polled_job_is_the_clients_own_pace() -> None:
    assert breaches([row(POLLED, method=JOB, p95_ms=2_000.0)], []) == []


def test_polls_are_counted_per_job_and_refused_ones_as_well() -> None:
    jobs = row(POLLED, method=JOB, asked=100)

    assert polls_per_job([jobs, row(POLL, asked=150), row(f"{POLL}{REFUSED}", asked=50)]) == 2.0
    assert polls_per_job([row("read")]) is None


def test_clients_that_must_ask_too_often_are_a_breach() -> None:
    jobs = row(POLLED, method=JOB, asked=100)

    assert breaches([jobs, row(POLL, asked=250)], []) == []
    assert breaches([jobs, row(POLL, asked=251)], []) == ["2.5 status requests per polled job, more than 2.5"]

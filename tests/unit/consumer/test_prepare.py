"""What a consumer tunes before it starts."""

from __future__ import annotations

import pytest

from consumer.start import prepare


@pytest.mark.parametrize("debug", [False, True])
def test_the_driver_is_left_as_it_is_where_handlers_run(debug: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --debug they run in the consumer, and may use the driver themselves."""
    tuned: list[bool] = []
    monkeypatch.setenv("SLUICE_POSTGRES_URL", "postgresql://u:p@127.0.0.1/x")
    monkeypatch.setenv("SLUICE_REDIS_URL", "redis://127.0.0.1/0")
    monkeypatch.setenv("SLUICE_KEY_PEPPER", "p" * 32)
    monkeypatch.setattr("consumer.start.log_to_stderr", lambda _: None)
    monkeypatch.setattr("consumer.start.tell_arrays_by_type", lambda: tuned.append(True))
    prepare(debug)
    assert bool(tuned) is not debug

"""What every process runs on: batches, breakers, tasks, clocks, settings, telemetry."""

"""What every process needs at run time: batches, breakers, tasks, clocks, settings, telemetry."""

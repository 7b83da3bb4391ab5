"""Many jobs: list them, group their errors, cancel or retry them by a filter."""

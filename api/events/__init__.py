"""What clients hear of a job while it runs: its progress, its logs, its changes as events."""

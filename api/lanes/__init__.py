"""Lanes: what waits and runs in each, and whether it is paused."""

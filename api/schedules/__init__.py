"""Schedules: jobs made by the clock."""

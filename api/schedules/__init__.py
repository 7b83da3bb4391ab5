"""Schedules: jobs created at the ticks of cron expressions."""

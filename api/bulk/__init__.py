"""Bulk acts: one thing done to all jobs that fit a filter, which can be watched, let go on and aborted."""

"""Explain why a job is not done."""

"""Crash points: where a process can be made to die, freeze or fail, between any two of its steps."""

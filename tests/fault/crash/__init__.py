"""Crash points: where a process can be made to die, to freeze or to fail, between any two of its steps."""

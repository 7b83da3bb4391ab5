"""The installation as its operators look at it."""

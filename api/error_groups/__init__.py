"""Failures grouped by their error, and what was said of them."""

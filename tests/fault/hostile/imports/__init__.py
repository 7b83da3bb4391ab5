"""Modules that must not be imported where anything else runs."""

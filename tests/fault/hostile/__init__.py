"""Handlers that do what handlers should not, beside innocent work that must not notice."""

"""The api process: HTTP only."""

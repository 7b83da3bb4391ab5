"""The front door: HTTP only."""

"""The work itself: one file per kind."""

"""API keys: their form, and how they are checked."""

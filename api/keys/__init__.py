"""API keys: their form, and checking them."""

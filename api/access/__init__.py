"""A tenant's API keys, managed by its administrators, and what they did."""

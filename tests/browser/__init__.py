"""A walk through the dashboard in a browser."""

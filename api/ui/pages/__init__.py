"""The pages of the dashboard, one feature a file."""

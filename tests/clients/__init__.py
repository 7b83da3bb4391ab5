"""The api as clients of other makes speak to it."""

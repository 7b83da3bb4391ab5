"""Proves that the fault runs can fail: one guard at a time is removed from a copy of the product, and the account must turn red."""

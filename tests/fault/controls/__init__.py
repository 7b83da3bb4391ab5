"""Prove that the fault runs can fail: remove one guard at a time from a copy of the product, and see the verdict turn red."""

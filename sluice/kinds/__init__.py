"""The kinds that ship with Sluice: examples, one file each."""

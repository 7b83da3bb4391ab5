"""The promise of this installation, measured."""

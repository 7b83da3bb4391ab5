"""How to talk to each server: one folder per server."""

"""The adapters that talk to the servers: one folder per server."""

"""Other job queues, each in a folder and an environment of its own: `make bench ARGS=--peers`."""

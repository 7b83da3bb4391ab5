"""What `make test` leaves out here."""

collect_ignore = ["test_rabbitmq_cluster.py"]
"""Three brokers on two processors take minutes: `make fault-cluster` runs it."""

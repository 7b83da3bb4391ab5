"""The keeper: duties that repair the record and RabbitMQ. It runs in every consumer and has no leader."""

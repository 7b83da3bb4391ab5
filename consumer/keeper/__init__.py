"""The keeper: duties that keep the record and RabbitMQ honest. It runs in every consumer and has no leader."""

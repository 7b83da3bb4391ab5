-- Delete outbox rows whose messages RabbitMQ has confirmed.
-- $1: outbox ids.
delete from outbox where id = any($1::bigint[])

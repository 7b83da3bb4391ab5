-- A row of the outbox that nobody has published for over a minute since it was due.
-- Do: see that RabbitMQ answers and a consumer runs; after an outage its keeper publishes 2,000 ids a second.
select id::text from outbox where due < now() - interval '1 minute'

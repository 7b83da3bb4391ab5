-- An outbox row that has been due for over a minute and is still not published.
-- Do: see that RabbitMQ answers and a consumer runs; after an outage its keeper publishes 2,000 ids a second.
select id::text from outbox where due < now() - interval '1 minute'

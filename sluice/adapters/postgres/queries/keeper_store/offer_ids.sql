-- Offer those of these jobs again that are still queued: RabbitMQ gave up delivering their message, or a consumer gave it back.
-- $1: ids.
with lost as materialized (
    select id from jobs where id = any($1::uuid[]) and state = 'queued' order by id for update
), :offer_again

-- Offer those of these jobs again that are still queued: RabbitMQ gave up delivering their message.
-- $1: ids.
with queued as materialized (
    select id, lane, priority from jobs where id = any($1::uuid[]) and state = 'queued'
), sent as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id), now() from queued group by lane, priority
)
select count(*)::int from queued

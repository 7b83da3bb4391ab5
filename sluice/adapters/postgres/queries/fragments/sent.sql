-- Offers those of the jobs that were `changed` that are queued now.
sent as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id), now() from changed where state = 'queued' group by lane, priority
)

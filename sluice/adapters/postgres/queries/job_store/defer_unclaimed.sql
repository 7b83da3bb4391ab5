-- Deal with jobs that could not be claimed: those of kinds unknown here are offered again in 30 s, the overdue are
-- returned, the rest are void.
-- $1: ids; $2: kinds known here. Returns id and kind of the overdue ones.
with seen as materialized (
    select id, lane, priority, kind, deadline <= now() as overdue
    from jobs
    where id = any($1::uuid[]) and state = 'queued'
    order by id
    for update
), deferred as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id), now() + interval '30 seconds'
    from seen
    where overdue is not true and not kind = any($2::text[])
    group by lane, priority
)
select id::text, kind from seen where overdue

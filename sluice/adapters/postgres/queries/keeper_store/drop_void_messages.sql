-- Drop outbox rows that name no queued job any more, while RabbitMQ is away and nobody publishes them. Rows that are still
-- needed are skipped and stay due, so that they are published as soon as it is back.
-- $1: the last id looked at before; $2: the most rows to look at.
-- Returns the last id looked at, or 0 if this was the end; and how many ids were dropped.
with seen as materialized (
    select id, ids from outbox
    where id > $1::bigint
    order by id limit $2::int for update skip locked
), dropped as (
    delete from outbox
    where id = any(array(select id from seen
                         where not exists (select from jobs where jobs.id = any(seen.ids) and state = 'queued')))
    returning cardinality(ids) as ids
)
select case when count(*) < $2::int then 0 else max(id) end as last,
       (select coalesce(sum(ids), 0)::int from dropped) as dropped
from seen

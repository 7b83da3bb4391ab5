-- Drop outbox rows that name no queued job any more, while RabbitMQ is away and nobody publishes them. Rows that are still
-- needed are skipped and stay due, so that they are published as soon as it is back.
-- $1: lock; $2: the last id looked at before; $3: the most rows to look at.
-- Returns the last id looked at, or 0 if this was the end; and how many ids were dropped.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint) as mine
), seen as materialized (
    select id, ids from outbox
    where id > $2::bigint and (select mine from turn)
    order by id limit $3::int for update skip locked
), dropped as (
    delete from outbox using seen
    where outbox.id = seen.id
      and not exists (select from jobs where jobs.id = any(seen.ids) and state = 'queued')
    returning cardinality(seen.ids) as ids
)
select case when count(*) < $3::int then 0 else max(id) end as last,
       (select coalesce(sum(ids), 0)::int from dropped) as dropped
from seen

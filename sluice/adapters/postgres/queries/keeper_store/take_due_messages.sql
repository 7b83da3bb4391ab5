-- Take outbox rows whose time has come, and put them off so that a lost publish is tried again: by 30 s, or half of the time for
-- which their job waits already, or those of a lane that is no more would keep the keeper from all else. Rows that name no queued
-- job are dropped.
-- The ids come as arrays, too: a join alone may be planned as a walk of the whole table.
-- $1: the most ids to take.
with due as materialized (
    select id, ids from outbox where due <= now() order by due limit 500 for update skip locked
), counted as (
    select id, ids, sum(cardinality(ids)) over (order by id) as running_ids from due
), looked_at as materialized (
    select id, (select queued_at from jobs where jobs.id = any(ids) and state = 'queued' limit 1) as since
    from counted where running_ids <= greatest($1::int, cardinality(ids))
), dropped as (
    delete from outbox where id = any(array(select id from looked_at where since is null)) returning ids
), taken as (
    update outbox set due = now() + greatest(interval '30 seconds', least((now() - since) / 2, interval '30 minutes'))
    from looked_at
    where outbox.id = looked_at.id and since is not null and outbox.id = any(array(select id from looked_at))
    returning outbox.id, lane, priority, ids::text[] as ids
)
select id as outbox_id, lane, priority, ids from taken
union all
select null, null, null, array_agg(id::text) from dropped, unnest(ids) as id having count(*) > 0

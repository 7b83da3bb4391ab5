-- Take outbox rows whose time has come, and put them off by 30 s so that a lost publish is tried again. Rows that name no
-- queued job are dropped.
-- The ids come as arrays: a join may be planned as a walk of the whole table.
-- $1: the most ids to take.
with due as materialized (
    select id, ids from outbox where due <= now() order by due limit 500 for update skip locked
), counted as (
    select id, ids, sum(cardinality(ids)) over (order by id) as running_ids from due
), looked_at as materialized (
    select id, exists (select from jobs where jobs.id = any(ids) and state = 'queued') as wanted
    from counted where running_ids <= greatest($1::int, cardinality(ids))
), dropped as (
    delete from outbox where id = any(array(select id from looked_at where not wanted)) returning ids
), taken as (
    update outbox set due = now() + interval '30 seconds' where id = any(array(select id from looked_at where wanted))
    returning id, lane, priority, ids::text[] as ids
)
select id as outbox_id, lane, priority, ids from taken
union all
select null, null, null, array_agg(id::text) from dropped, unnest(ids) as id having count(*) > 0

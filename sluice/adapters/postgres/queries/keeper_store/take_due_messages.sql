-- Take outbox rows whose time has come, and put them off by 30 s so that a lost publish is tried again. Rows that name no
-- queued job are dropped.
-- The ids come as arrays: a join may be planned as a walk of the whole table.
-- $1: the most ids to take.
with due as materialized (
    select id, ids from outbox where due <= now() order by due limit 500 for update skip locked
), counted as materialized (
    select id, ids, sum(cardinality(ids)) over (order by id) as running_ids,
           exists (select from jobs where jobs.id = any(due.ids) and state = 'queued') as wanted
    from due
), dropped as (
    delete from outbox where id = any(array(select id from counted where not wanted)) returning id
), taken as (
    update outbox set due = now() + interval '30 seconds'
    where id = any(array(select id from counted where wanted and running_ids <= greatest($1::int, cardinality(ids))))
    returning id, lane, priority, ids::text[] as ids
)
select id as outbox_id, lane, priority, ids from taken
union all
select null, null, null, array_agg(id::text) from dropped having count(*) > 0

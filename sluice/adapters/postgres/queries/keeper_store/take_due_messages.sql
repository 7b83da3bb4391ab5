-- Take outbox rows whose time has come, and put them off by 30 s so that a lost publish is tried again. Rows that name no
-- queued job are dropped. One keeper does so at a time: the lock ends with the statement.
-- $1: lock; $2: the most ids to take.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint) as mine
), due as materialized (
    select id, ids from outbox where due <= now() and (select mine from turn) order by due limit 500 for update skip locked
), counted as materialized (
    select id, ids, sum(cardinality(ids)) over (order by id) as running_ids,
           exists (select from jobs where jobs.id = any(due.ids) and state = 'queued') as wanted
    from due
), dropped as (
    delete from outbox using counted where outbox.id = counted.id and not wanted returning outbox.id
), taken as (
    update outbox set due = now() + interval '30 seconds'
    from counted
    where outbox.id = counted.id and wanted and running_ids <= greatest($2::int, cardinality(counted.ids))
    returning outbox.id, outbox.lane, outbox.priority, outbox.ids::text[] as ids
)
select id as outbox_id, lane, priority, ids from taken
union all
select null, null, null, array_agg(id::text) from dropped having count(*) > 0

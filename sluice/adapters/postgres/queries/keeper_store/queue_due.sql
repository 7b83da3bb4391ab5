-- Queue scheduled jobs whose time has come.
-- $1: lock; $2: the most jobs to take. Returns id and version of each.
with turn as materialized (
    select pg_try_advisory_xact_lock($1::bigint) as mine
), due as materialized (
    select id from jobs where state = 'scheduled' and run_at <= now() and (select mine from turn)
    order by run_at limit $2::int for update skip locked
), queued as (
    update jobs set state = 'queued', version = version + 1, queued_at = now()
    from due where jobs.id = due.id
    returning jobs.id, lane, priority, version
), sent as (
    insert into outbox (lane, priority, ids, due)
    select lane, priority, array_agg(id), now() from queued group by lane, priority
)
select id::text, version from queued

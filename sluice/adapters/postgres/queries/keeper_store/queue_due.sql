-- Queue scheduled jobs whose time has come.
-- $1: the most jobs to take. Returns id and version of each.
with due as materialized (
    select id from jobs
    where run_at <= now() and queued_at is null and finished_at is null
    order by run_at limit $1::int for update skip locked
), changed as (
    update jobs set state = 'queued', version = version + 1, queued_at = now(), :queued_anew
    from due where jobs.id = due.id
    returning jobs.id, state, lane, priority, version
), :sent
select id::text, version from changed

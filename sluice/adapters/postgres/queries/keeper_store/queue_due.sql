-- Queue scheduled jobs whose time has come.
-- The ids come as an array: a join may be planned as a walk of the whole table, once most of it is due.
-- $1: the most jobs to take. Returns id and version of each.
with due as materialized (
    select id from jobs
    where run_at <= now() and queued_at is null and finished_at is null
    order by run_at limit $1::int for update skip locked
), changed as (
    update jobs set state = 'queued', version = version + 1, queued_at = now(), :queued_anew
    where id = any(array(select id from due))
    returning id, state, lane, priority, version
), :sent
select id::text, version from changed
